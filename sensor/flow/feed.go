package flow

import "github.com/roje-ot/roje/protocols"

// bucket is where packets with payload of c belong.
func (c *Conn) bucket() Bucket {
	switch c.state {
	case decoding:
		return Decoded
	case encrypted:
		return Encrypted
	}
	return Unknown
}

// take takes the bytes b, which follow in order and behind which h.next stands already.
func (t *Table) take(c *Conn, dir protocols.Dir, b []byte, p *PacketInfo) {
	h := &c.half[dir]
	c.Count.Seen += uint64(len(b))
	if c.Count.Decoded == 0 && c.state <= decoding {
		t.sniffTLS(c, dir, b)
	}
	switch c.state {
	case decoding:
		t.remember(c, h, b)
		t.feed(c, dir, b, p)
		if c.Count.Decoded == 0 {
			t.doubt(c, dir, b, p)
		} else if c.probe != nil {
			t.forget(c)
		}
	case probing:
		c.Count.Skipped += uint64(len(b))
		t.consider(c, dir, b, p)
	case encrypted:
		c.Count.Skipped += uint64(len(b))
		c.TLS.read(t, c, dir, b)
	case other:
		c.Count.Skipped += uint64(len(b))
		t.reconsider(c, dir, b, p)
	}
	if h.moved && c.half[dir.Other()].moved {
		t.promote(c)
	}
}

// feed gives the decoder the bytes b: from the packet itself if nothing waits, else behind what waits.
func (t *Table) feed(c *Conn, dir protocols.Dir, b []byte, p *PacketInfo) {
	h := &c.half[dir]
	if len(h.tail) == 0 {
		if rest := t.cut(c, dir, b, 0, false, p); len(rest) > 0 {
			t.keep(c, h, rest)
		}
	} else {
		old := len(h.tail)
		t.keep(c, h, b)
		rest := t.cut(c, dir, h.tail, old, false, p)
		h.tail = h.tail[:copy(h.tail, rest)]
	}
	if len(h.tail) > 0 || h.run > 0 {
		h.late = *p
		if len(h.tail) > maxTail {
			t.drain(c, dir)
		}
	}
}

// keep appends b to the tail.
func (t *Table) keep(c *Conn, h *half, b []byte) {
	room := cap(h.tail)
	h.tail = append(h.tail, b...)
	if cap(h.tail) != room {
		t.hold(c, cap(h.tail)-room)
	}
}

// drain decides what to do with the tail without waiting for more.
func (t *Table) drain(c *Conn, dir protocols.Dir) {
	h := &c.half[dir]
	if len(h.tail) > 0 {
		t.cut(c, dir, h.tail, len(h.tail), true, &h.late)
		h.tail = h.tail[:0]
	}
	t.endRun(c, dir, &h.late)
	if cap(h.tail) > maxRecent {
		t.hold(c, -cap(h.tail))
		h.tail = nil
	}
}

// cut cuts frames off b, has them decoded, and returns what must wait for more; with last, nothing does. b came with p,
// save for its first old bytes: what they complete belongs to the packet before.
func (t *Table) cut(c *Conn, dir protocols.Dir, b []byte, old int, last bool, p *PacketInfo) []byte {
	for len(b) > 0 {
		skip, n := c.dec.Split(dir, b, last)
		if skip < 0 || n < 0 || skip+n > len(b) {
			skip, n = len(b), 0 // a decoder that claims what is not there gets nothing
		}
		if skip > 0 {
			t.skip(c, dir, b[:skip])
			b = b[skip:]
		}
		if n == 0 {
			break
		}
		info := p
		if old -= skip + n; old >= 0 {
			info = &c.half[dir].late
		}
		t.endRun(c, dir, info)
		c.Count.Decoded += uint64(n)
		if c.dec.Decode(protocols.Frame{Dir: dir, At: info.At, Bytes: b[:n]}, &t.msg) {
			c.Count.Messages++
			c.Count.LastDecoded = info.At
			if t.msg.Turn == protocols.Unpaired {
				c.Count.Unpaired++
			}
			if c.Count.Messages >= 2 {
				t.promote(c)
			}
			t.handler.Message(c, &t.msg, info)
		}
		b = b[n:]
	}
	if last && len(b) > 0 {
		t.skip(c, dir, b)
		b = nil
	}
	return b
}

// skip notes bytes of no frame. The run that they belong to is told when it ends.
func (t *Table) skip(c *Conn, dir protocols.Dir, b []byte) {
	h := &c.half[dir]
	if h.run == 0 {
		c.Count.Resyncs++
		h.nfirst = 0
	}
	h.nfirst += uint8(copy(h.first[h.nfirst:], b))
	h.run += len(b)
	c.Count.Skipped += uint64(len(b))
}

// endRun tells the run of skipped bytes that ends here, if there is one.
func (t *Table) endRun(c *Conn, dir protocols.Dir, p *PacketInfo) {
	h := &c.half[dir]
	if h.run == 0 {
		return
	}
	n := h.run
	h.run = 0
	t.handler.Unframed(c, dir, n, h.first[:h.nfirst], p)
}
