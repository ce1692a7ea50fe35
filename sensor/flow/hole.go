package flow

import "github.com/roje-ot/roje/protocols"

// holes is the place of a connection among those that wait for missing bytes, the longest waiting first.
type holes struct {
	prev, next *Conn
	in         bool
}

// wait puts c among the waiting connections.
func (t *Table) wait(c *Conn) {
	if c.hole.in {
		return
	}
	c.hole = holes{prev: t.holesN, in: true}
	if t.holesN != nil {
		t.holesN.hole.next = c
	} else {
		t.holes = c
	}
	t.holesN = c
}

// waited takes c from among the waiting connections if it waits for nothing.
func (t *Table) waited(c *Conn) {
	if c.hole.in && c.half[0].ahead == nil && c.half[1].ahead == nil {
		t.unwait(c)
	}
}

func (t *Table) unwait(c *Conn) {
	if c.hole.prev != nil {
		c.hole.prev.hole.next = c.hole.next
	} else {
		t.holes = c.hole.next
	}
	if c.hole.next != nil {
		c.hole.next.hole.prev = c.hole.prev
	} else {
		t.holesN = c.hole.prev
	}
	c.hole = holes{}
}

// waitingSince is the time at which the first segment behind a hole of c came.
func (c *Conn) waitingSince() int64 {
	a, b := c.half[0].ahead, c.half[1].ahead
	if a == nil || b != nil && b.info.At < a.info.At {
		a = b
	}
	return a.info.At
}

// giveUpLate gives up the holes of c that are too old at now, and puts c behind the others if one is left.
func (t *Table) giveUpLate(c *Conn, now int64) {
	c.touched = t.cover.Packets + 1 // what is delivered now may move it to the young end of its list
	for dir := range c.half {
		h := &c.half[dir]
		if h.ahead != nil && now-h.ahead.info.At > int64(t.config.HoleTimeout) {
			t.giveUp(c, protocols.Dir(dir))
		}
	}
	if c.hole.in {
		t.unwait(c)
		t.wait(c)
	}
}

// pop takes the first waiting segment out.
func (h *half) pop() {
	s := h.ahead
	h.ahead = s.next
	h.nAhead--
	h.held -= len(s.data)
}

// Spare segments are kept for the next hole: so many, of so much room each.
const (
	maxSpareSegments = 1024
	maxSpareSegment  = 2 << 10
)

// newSegment returns a segment that holds a copy of b.
func (t *Table) newSegment(c *Conn, b []byte) *segment {
	s := t.segments
	if s != nil {
		t.segments = s.next
		t.spareSegments--
	} else {
		s = &segment{}
	}
	s.data = append(s.data[:0], b...)
	t.hold(c, cap(s.data))
	return s
}

// freeSegment takes s back.
func (t *Table) freeSegment(c *Conn, s *segment) {
	t.hold(c, -cap(s.data))
	if t.spareSegments == maxSpareSegments || cap(s.data) > maxSpareSegment {
		return
	}
	s.next, t.segments = t.segments, s
	t.spareSegments++
}

// hold accounts for n bytes of memory more, or less, in c's buffers.
func (t *Table) hold(c *Conn, n int) {
	c.held += n
	t.held += n
}

// finish delivers what c still holds: no more will come.
func (t *Table) finish(c *Conn) {
	for d := range c.half {
		dir, h := protocols.Dir(d), &c.half[d]
		for h.ahead != nil {
			t.giveUp(c, dir)
		}
		if c.state == probing && c.probe != nil {
			t.recognise(c, dir, true)
		}
		if c.state == decoding {
			t.drain(c, dir)
		}
	}
}

// free gives back all memory of c.
func (t *Table) free(c *Conn) {
	t.forget(c)
	t.leave(c)
	if c.hole.in {
		t.unwait(c)
	}
	t.hold(c, -c.held)
	*c = Conn{}
}
