package flow

import "github.com/roje-ot/roje/protocols"

// segment takes a TCP segment of c.
func (t *Table) segment(c *Conn, dir protocols.Dir, v *view) Bucket {
	p := &v.info
	if p.Flags&(SYN|RST) == SYN && c.reused(dir, p) {
		t.close(c, Reused)
		c, dir = t.find(v)
		p.Dir = dir
	}
	t.touch(c, dir, v)
	t.hear(c, dir, p.At)
	seq := p.Seq
	if p.Flags&(SYN|RST) == SYN {
		t.open(c, dir, p)
		seq++
	}
	if p.Flags&(ACK|RST) == ACK {
		t.acked(c, dir.Other(), p.Ack)
	}
	bucket := Control
	if n := len(v.payload) + v.missing; n > 0 && p.Flags&RST == 0 {
		if c.half[dir].over(seq, n, p.At) {
			t.handler.AfterEnd(c, dir, v.payload, p)
		}
		bucket = t.data(c, dir, seq, v.payload, v.missing, p)
		name := segmentName(seq, n)
		if h := &c.half[dir]; bucket == Repeat && h.lately.holds(v, name) {
			c.Count.Copies++
		} else {
			h.lately.add(v, name)
		}
		seq += uint32(n)
	}
	if p.Flags&RST != 0 {
		t.reset(c, dir, p)
	} else if p.Flags&FIN != 0 {
		h := &c.half[dir]
		h.fin, h.finSeq = true, seq
		if !h.ended && (!h.known || h.next == seq) {
			t.end(c, dir, p)
		}
	}
	return bucket
}

// reused says whether a SYN of dir begins another connection between the same ports.
func (c *Conn) reused(dir protocols.Dir, p *PacketInfo) bool {
	h, peer := &c.half[dir], &c.half[dir.Other()]
	if h.hasISN && h.isn != p.Seq {
		return p.Flags&ACK == 0 || h.moved || peer.moved
	}
	return !h.hasISN && (h.moved || peer.moved && p.Flags&ACK == 0)
}

// open takes a SYN.
func (t *Table) open(c *Conn, dir protocols.Dir, p *PacketInfo) {
	h := &c.half[dir]
	h.isn, h.hasISN = p.Seq, true
	if !h.moved {
		h.known, h.next = true, p.Seq+1
	}
	if p.Flags&ACK != 0 {
		t.edge(c, Answered, dir, p)
	} else {
		t.edge(c, Called, dir, p)
	}
}

// reset takes an RST. The connection goes on if its segments do: the RST may be forged.
func (t *Table) reset(c *Conn, dir protocols.Dir, p *PacketInfo) {
	const called, answered = 1 << Called, 1 << Answered
	if c.edges&(called|answered) == called && c.half[dir.Other()].hasISN {
		t.edge(c, Refused, dir, p)
	} else {
		t.edge(c, Reset, dir, p)
	}
	c.half[dir].reset = p.At
	t.lists.strays.move(c)
}

// afterReset is for how long segments may come that were on their way when an RST was.
const afterReset = int64(1e9)

// over tells whether n bytes at seq are of a stream that is over: they come after its FIN, or go on where it stood when it was
// reset (RFC 9293 3.10.7.4). Either the end was forged or the bytes are. A keep-alive may repeat the FIN's place with one byte.
func (h *half) over(seq uint32, n int, at int64) bool {
	const near = 1 << 16 // beyond it is another connection
	if h.reset != 0 && h.known && seq == h.next && at-h.reset > afterReset {
		h.reset = 0
		return true
	}
	return h.fin && n > 1 && seq-h.finSeq < near
}

// end notes that dir will send no more: what is half read stays so.
func (t *Table) end(c *Conn, dir protocols.Dir, p *PacketInfo) {
	c.half[dir].ended = true
	if c.state == decoding {
		t.drain(c, dir)
	}
	if c.half[dir.Other()].ended {
		t.edge(c, Finished, dir, p)
		t.lists.strays.move(c)
	}
}

// edge tells the Handler of a step, once.
func (t *Table) edge(c *Conn, e Edge, dir protocols.Dir, p *PacketInfo) {
	if c.edges&(1<<e) != 0 {
		return
	}
	c.edges |= 1 << e
	if e >= Refused {
		t.part(c)
	}
	t.handler.Edge(c, e, dir, p)
}
