package flow

import (
	"bytes"

	"github.com/roje-ot/roje/protocols"
)

// half is one direction of a connection.
type half struct {
	tail []byte // bytes that wait for the rest of their frame

	run    int // bytes of no frame so far, in a row
	first  [32]byte
	nfirst uint8
	late   PacketInfo // of the last packet that left something in tail or run

	known  bool // next means something
	moved  bool // payload was delivered
	hasISN bool
	hasAck bool
	fin    bool
	ended  bool // all up to the FIN was delivered

	next   uint32 // sequence number of the next byte to deliver
	isn    uint32
	acked  uint32 // what the other end has acknowledged
	finSeq uint32
	reset  int64 // when it sent an RST; 0: it has not, or that was told

	ahead  *segment // what came behind a hole, by sequence number
	nAhead int
	held   int // bytes in ahead

	recent []byte // delivered bytes, at their sequence number modulo its length
	valid  uint32 // how many of them, before next

	lost      [4]span // sequence numbers that were given up, the newest first
	conflict  uint32  // where repetitions differ from what was delivered
	conflicts uint8   // how often in a row
	rewind    uint32  // where a segment from the past would continue
	rewinding bool

	lately lately // the last packets with payload
}

// frozen is how many times in a row other content at the same place is a fault. After that it is taken for what the
// sender means.
const frozen = 4

// span is a range of sequence numbers.
type span struct {
	from, to uint32
	counted  bool // as GapBytes
}

// A segment is TCP payload that waits for what comes before it.
type segment struct {
	next    *segment
	seq     uint32
	missing int // bytes that the capture cut off
	data    []byte
	info    PacketInfo
}

func (s *segment) end() uint32 { return s.seq + uint32(len(s.data)+s.missing) }

// start lets a half begin at seq, in the middle of what may have come before.
func (h *half) start(seq uint32) {
	h.known, h.next, h.valid = true, seq, 0
	h.lost[0] = span{from: seq - maxAhead, to: seq}
}

// data takes the payload b at seq, of which the capture cut off missing bytes at the end.
func (t *Table) data(c *Conn, dir protocols.Dir, seq uint32, b []byte, missing int, p *PacketInfo) Bucket {
	h := &c.half[dir]
	n := len(b) + missing
	if !h.known {
		if n == 1 && p.Flags&PSH == 0 && (len(b) == 0 || b[0] == 0) {
			return Control // a keep-alive, whose byte is none of the stream's
		}
		h.start(seq)
		if before := int32(seq - h.acked); h.hasAck && before > 0 && before <= maxAhead {
			h.start(h.acked) // what the receiver had not yet when it was first seen is on its way
		}
	}
	ahead := int32(seq - h.next)
	if n == 1 && ahead == -1 {
		return Control // a keep-alive
	}
	if !h.moved && (ahead < 0 || ahead > maxWindow) {
		h.start(seq) // the SYN was not this session's
		ahead = 0
	}
	if ahead == 0 {
		h.conflicts, h.rewinding = 0, false
		t.deliver(c, dir, b, missing, p)
		if h.ahead != nil {
			t.catchUp(c, dir, p)
		}
		return c.bucket()
	}
	if ahead > 0 {
		return t.early(c, dir, seq, b, missing, p)
	}
	return t.behind(c, dir, seq, b, missing, p)
}

// behind takes a segment that starts before what was delivered.
func (t *Table) behind(c *Conn, dir protocols.Dir, seq uint32, b []byte, missing int, p *PacketInfo) Bucket {
	h := &c.half[dir]
	n, old := len(b)+missing, -int(int32(seq-h.next))
	if i := h.given(seq, len(b)); i >= 0 && old >= n {
		return t.island(c, dir, i, seq, b, p)
	}
	if old >= n && old > maxAhead+int(h.valid) {
		return t.past(c, dir, seq, b, missing, p)
	}
	if have, got := t.differ(h, seq, b); got != nil {
		if seq != h.conflict {
			h.conflict, h.conflicts = seq, 0
		}
		if h.conflicts < frozen {
			h.conflicts++
			t.overlap(c, dir, have, got, p)
		}
		if h.conflicts == frozen { // the sender's sequence numbers stand still
			h.next, h.valid = seq, 0
			t.deliver(c, dir, b, missing, p)
			return c.bucket()
		}
	}
	if old >= n {
		c.Count.Repeated++
		return Repeat
	}
	t.deliver(c, dir, b[min(old, len(b)):], missing-max(old-len(b), 0), p)
	if h.ahead != nil {
		t.catchUp(c, dir, p)
	}
	return c.bucket()
}

// past takes a segment from long before. A second one that continues it says that this is where the stream is.
func (t *Table) past(c *Conn, dir protocols.Dir, seq uint32, b []byte, missing int, p *PacketInfo) Bucket {
	h := &c.half[dir]
	if h.rewinding && h.rewind == seq {
		h.rewinding = false
		t.lose(c, dir, 0, p)
		h.start(seq)
		t.deliver(c, dir, b, missing, p)
		return c.bucket()
	}
	h.rewinding, h.rewind = true, seq+uint32(len(b)+missing)
	c.Count.Repeated++
	return Repeat
}

// early takes a segment behind a hole. The hole is a loss as soon as the receiver acknowledges what was never seen.
func (t *Table) early(c *Conn, dir protocols.Dir, seq uint32, b []byte, missing int, p *PacketInfo) Bucket {
	h := &c.half[dir]
	if h.ahead == nil && h.proven(seq) {
		t.skipTo(c, dir, seq, p)
		t.deliver(c, dir, b, missing, p)
		return c.bucket()
	}
	if h.ahead != nil && (h.nAhead >= maxSegments || h.held+len(b) > maxAhead) {
		t.giveUp(c, dir)
		return t.data(c, dir, seq, b, missing, p)
	}
	at := &h.ahead
	for *at != nil && int32((*at).seq-seq) < 0 {
		at = &(*at).next
	}
	if s := *at; s != nil && s.seq == seq && len(b) <= len(s.data) {
		c.Count.Repeated++
		if !bytes.Equal(b, s.data[:len(b)]) {
			t.overlap(c, dir, s.data[:len(b)], b, p)
		}
		return Repeat
	}
	s := t.newSegment(c, b)
	s.seq, s.missing, s.info, s.next = seq, missing, *p, *at
	*at = s
	h.nAhead++
	h.held += len(b)
	t.wait(c)
	if h.proven(h.ahead.seq) {
		t.giveUp(c, dir)
	}
	return c.bucket()
}

// proven says whether the other end has all before seq.
func (h *half) proven(seq uint32) bool { return h.hasAck && int32(h.acked-seq) >= 0 }

// acked takes the other end's acknowledgement of what dir has sent.
func (t *Table) acked(c *Conn, dir protocols.Dir, ack uint32) {
	h := &c.half[dir]
	if h.hasAck && int32(ack-h.acked) <= 0 {
		return
	}
	if ahead := int32(ack - h.next); h.known && (ahead > 1<<24 || ahead < -1<<24) {
		return
	}
	h.acked, h.hasAck = ack, true
	for h.ahead != nil && h.proven(h.ahead.seq) {
		t.giveUp(c, dir)
	}
}

// giveUp declares the hole before the first waiting segment a loss, and delivers what is behind it. A segment far away
// that nobody has acknowledged or continued is not believed, and dropped instead.
func (t *Table) giveUp(c *Conn, dir protocols.Dir) {
	h := &c.half[dir]
	s := h.ahead
	if int32(s.seq-h.next) > maxWindow && !h.proven(s.seq) && (s.next == nil || s.next.seq != s.end()) {
		h.pop()
		c.Count.Seen += uint64(len(s.data))
		c.Count.Skipped += uint64(len(s.data))
		t.freeSegment(c, s)
		t.waited(c)
		return
	}
	t.skipTo(c, dir, s.seq, &s.info)
	t.catchUp(c, dir, nil)
}

// skipTo gives up the bytes before seq.
func (t *Table) skipTo(c *Conn, dir protocols.Dir, seq uint32, p *PacketInfo) {
	h := &c.half[dir]
	n := int(seq - h.next)
	if n > maxWindow {
		n = 0
	}
	t.lose(c, dir, n, p)
	copy(h.lost[1:], h.lost[:])
	h.lost[0] = span{from: seq - uint32(min(n, maxAhead)), to: seq, counted: true}
	h.next, h.valid = seq, 0
}

// catchUp delivers the waiting segments that follow now. p is the packet that filled the hole, nil if none did.
func (t *Table) catchUp(c *Conn, dir protocols.Dir, p *PacketInfo) {
	h := &c.half[dir]
	for s := h.ahead; s != nil && int32(s.seq-h.next) <= 0; s = h.ahead {
		h.pop()
		info := p
		if info == nil {
			info = &s.info
		}
		old := int(h.next - s.seq)
		if old > 0 {
			t.compare(c, dir, s.seq, s.data, info)
		}
		if old < len(s.data)+s.missing {
			t.deliver(c, dir, s.data[min(old, len(s.data)):], s.missing-max(old-len(s.data), 0), info)
		}
		t.freeSegment(c, s)
	}
	t.waited(c)
}

// deliver hands on bytes that follow in order, and says the loss of those that the capture cut off.
func (t *Table) deliver(c *Conn, dir protocols.Dir, b []byte, missing int, p *PacketInfo) {
	h := &c.half[dir]
	h.moved = true
	if len(b) > 0 {
		h.next += uint32(len(b))
		t.take(c, dir, b, p)
	}
	if missing > 0 {
		t.lose(c, dir, missing, p)
		h.next += uint32(missing)
		h.valid = 0
	}
	if h.fin && !h.ended && h.next == h.finSeq {
		t.end(c, dir, p)
	}
}

// lose says that n bytes will not come; 0 if their number is unknown.
func (t *Table) lose(c *Conn, dir protocols.Dir, n int, p *PacketInfo) {
	c.Count.Gaps++
	c.Count.GapBytes += uint64(n)
	switch c.state {
	case decoding:
		t.drain(c, dir)
		c.dec.Lost(dir)
		t.forget(c)
	case probing:
		t.forget(c)
	}
	t.handler.Gap(c, dir, n, p)
}

// given returns the index of the lost span in which n bytes at seq lie, or -1.
func (h *half) given(seq uint32, n int) int {
	for i, s := range h.lost {
		if s.from != s.to && n > 0 && int32(seq-s.from) >= 0 && int32(s.to-seq) >= int32(n) && h.next-s.to < 1<<24 {
			return i
		}
	}
	return -1
}

// island takes bytes of the lost span i. They are decoded by themselves, if nothing is half read at the moment.
func (t *Table) island(c *Conn, dir protocols.Dir, i int, seq uint32, b []byte, p *PacketInfo) Bucket {
	h := &c.half[dir]
	s := h.lost[i]
	end := seq + uint32(len(b))
	switch {
	case seq == s.from:
		h.lost[i].from = end
	case end == s.to:
		h.lost[i].to = seq
	default:
		h.lost[i].to = seq
		h.lost[len(h.lost)-1] = span{from: end, to: s.to, counted: s.counted}
	}
	if s.counted {
		c.Count.GapBytes -= uint64(len(b))
	}
	c.Count.Seen += uint64(len(b))
	if c.state != decoding || len(h.tail) > 0 {
		c.Count.Skipped += uint64(len(b))
		if c.state != decoding {
			return c.bucket()
		}
		return Late
	}
	t.endRun(c, dir, p)
	c.dec.Lost(dir)
	t.cut(c, dir, b, 0, true, p)
	t.endRun(c, dir, p)
	c.dec.Lost(dir)
	return Decoded
}
