package flow

import (
	"hash/maphash"

	"github.com/roje-ot/roje/protocols"
)

var seed = maphash.MakeSeed() // equality of hashes is all that is used

// datagram takes a UDP datagram of c.
func (t *Table) datagram(c *Conn, dir protocols.Dir, v *view) Bucket {
	b, p := v.payload, &v.info
	h := &c.half[dir]
	t.hear(c, dir, p.At)
	name := maphash.Bytes(seed, b)
	if h.lately.holds(v, name) {
		c.Count.Repeated++
		c.Count.Copies++
		return Repeat
	}
	h.lately.add(v, name)
	h.moved = true
	if c.half[dir.Other()].moved {
		t.promote(c)
	}
	c.Count.Seen += uint64(len(b))
	if c.state != decoding && t.guessDatagram(c, b) == nil {
		c.Count.Skipped += uint64(len(b))
		return Unknown
	}
	decoded := c.Count.Decoded
	if c.state == decoding {
		t.whole(c, dir, b, p)
	}
	if c.Count.Decoded == decoded && decoded == 0 && c.Count.Messages == 0 && c.Proto.Probe != nil && c.Proto.Probe(b, true) == protocols.No {
		if other := t.guessDatagram(c, b); other != nil {
			c.Count.Skipped -= uint64(len(b))
			t.whole(c, dir, b, p)
		}
	}
	if v.missing > 0 {
		t.lose(c, dir, v.missing, p)
	}
	return Decoded
}

// whole gives the decoder one datagram.
func (t *Table) whole(c *Conn, dir protocols.Dir, b []byte, p *PacketInfo) {
	t.cut(c, dir, b, 0, true, p)
	t.endRun(c, dir, p)
}

// guessDatagram asks the protocols, other than c's own, about a datagram, for the first few of a connection and rarely
// later on. The one that says yes gets the connection.
func (t *Table) guessDatagram(c *Conn, b []byte) *protocols.Protocol {
	if c.tries++; c.tries > 4 && c.tries&(c.tries-1) != 0 {
		return nil
	}
	for _, p := range t.config.Protocols {
		if p != c.Proto && p.Probe != nil && p.New != nil && p.Probe(b, true) == protocols.Yes {
			t.adopt(c, p, false)
			return p
		}
	}
	return nil
}
