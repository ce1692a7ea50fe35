package events

import (
	"encoding/binary"
	"reflect"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/lang"
)

// What an event has beside its kind.
const (
	hasMessage = 0x80
	hasAct     = 0x40
	kindMask   = 0x3f
)

const (
	maxKnown  = 1 << 14 // entries of one dictionary, after which it begins anew with the next block
	keptPrev  = 64      // points that a row can be the difference of
	hashBits  = 48      // of what is kept of the bytes of a message
	maxFields = 256     // of one protocol
)

// An entry is the number of something that repeats, in the block that block counts.
type entry struct {
	block  uint64
	number uint32
}

// A dictionary numbers what repeats within a block. What was known in an earlier block keeps its place in memory, so that
// a warm dictionary allocates nothing.
type dictionary[K comparable] struct {
	known map[K]*entry
	next  uint32
}

// number returns the number of k in a block, and whether it is new there.
func (d *dictionary[K]) number(k K, block uint64) (n uint32, fresh bool) {
	e := d.known[k]
	if e == nil {
		e = &entry{}
		d.known[k] = e
	}
	if e.block != block {
		e.block, e.number = block, d.next
		d.next++
		return e.number, true
	}
	return e.number, false
}

// begin starts a block.
func (d *dictionary[K]) begin() {
	if d.next = 0; d.known == nil || len(d.known) > maxKnown {
		d.known = map[K]*entry{}
	}
}

// A shape is what the rows of one shape are differences from.
type shape struct {
	entry
	prev
}

// prev is the row before of the same shape.
type prev struct {
	ints   []int64
	points []previous
}

type previous struct {
	addr  uint32
	value float64
	time  int64 // less the packet's
}

// point returns what the i-th point was, or zeros.
func (p *prev) point(i int) (was previous) {
	if i < len(p.points) {
		was = p.points[i]
	}
	return was
}

// keep notes what the i-th point is now.
func (p *prev) keep(i int, now previous) {
	if i < len(p.points) {
		p.points[i] = now
	} else if i < keptPrev {
		p.points = append(p.points, now)
	}
}

// An encoder writes rows. One goroutine uses it.
type encoder struct {
	block    uint64 // counts blocks; from 1
	flows    dictionary[rules.Flow]
	facts    dictionary[rules.Facts]
	statics  dictionary[pointStatic]
	contents dictionary[uint64]
	shapes   map[string]*shape
	nShapes  uint32
	key      []byte
	ints     []int64
	at       int64
	frame    uint64
}

// begin starts a block.
func (c *encoder) begin() {
	c.block++
	c.flows.begin()
	c.facts.begin()
	c.statics.begin()
	c.contents.begin()
	if c.nShapes = 0; c.shapes == nil || len(c.shapes) > maxKnown {
		c.shapes = map[string]*shape{}
	}
	c.at, c.frame = 0, 0
}

// append appends e as a row. It keeps nothing of e.
func (c *encoder) append(dst []byte, e *rules.Event) []byte {
	what := byte(e.What)
	if e.Msg != nil {
		what |= hasMessage
	}
	if e.Act != nil {
		what |= hasAct
	}
	dst = appendInt(append(dst, what), e.At-c.at)
	dst = appendInt(dst, int64(e.Frame-c.frame))
	c.at, c.frame = e.At, e.Frame
	n, fresh := c.flows.number(e.Flow, c.block)
	if dst = binary.AppendUvarint(dst, uint64(n)); fresh {
		dst = appendFlow(dst, &e.Flow)
	}
	n, fresh = c.facts.number(e.Facts, c.block)
	if dst = binary.AppendUvarint(dst, uint64(n)); fresh {
		dst = appendFacts(dst, &e.Facts)
	}
	if e.Act != nil {
		dst = appendFields(dst, reflect.ValueOf(e.Act).Elem())
	}
	if e.Msg == nil {
		return dst
	}
	m := e.Msg
	c.describe(m, e.What == rules.Message && m.Detail != nil)
	s := c.shapes[string(c.key)]
	if s == nil {
		s = &shape{}
		c.shapes[string(c.key)] = s
	}
	fresh = s.block != c.block
	if fresh {
		s.entry = entry{c.block, c.nShapes}
		s.ints, s.points = s.ints[:0], s.points[:0]
		c.nShapes++
	}
	if dst = binary.AppendUvarint(dst, uint64(s.number)); fresh {
		dst = append(dst, c.key...)
	}
	return c.appendRest(dst, e, s)
}

// describe sets key to the shape of m, and ints to the numbers that are not part of it.
func (c *encoder) describe(m *protocols.Message, detail bool) {
	k := appendString(c.key[:0], m.Proto.Name)
	k = binary.AppendUvarint(k, bit(m.HasCode, 0)|bit(m.HasStation, 1)|bit(m.HasMaster, 2)|bit(m.From == protocols.Server, 3)|
		bit(m.Dir != 0, 4)|bit(len(m.Body) > 0, 5)|bit(detail, 6))
	k = append(k, byte(m.Op), byte(m.Turn))
	for _, v := range [...]uint32{uint32(m.Code), m.Station, m.Master, m.Status, uint32(m.Faults)} {
		k = binary.AppendUvarint(k, uint64(v))
	}
	k = appendString(k, m.Name)
	c.ints = c.ints[:0]
	if !detail {
		c.key = append(k, 0)
		return
	}
	last := -1
	for i := range m.Proto.Field {
		f := &m.Proto.Field[i]
		var ok bool
		switch {
		case f.Int != nil:
			var v int64
			if v, ok = f.Int(m); ok {
				c.ints = append(c.ints, v)
				k = append(k, byte(i-last), fieldInt)
			}
		case f.Bool != nil:
			var v bool
			if v, ok = f.Bool(m); ok {
				k = append(k, byte(i-last), fieldFalse+byte(bit(v, 0)))
			}
		case f.Text != nil:
			var v string
			if v, ok = f.Text(m); ok {
				k = appendString(append(k, byte(i-last), fieldText), v)
			}
		}
		if ok {
			last = i
		}
	}
	c.key = append(k, 0) // no field is 0 further on than the one before
}

// How a field of a shape goes on.
const (
	fieldInt   byte = iota
	fieldFalse      // a truth that is false
	fieldTrue
	fieldText
)

// appendRest appends what a message has beside its shape.
func (c *encoder) appendRest(dst []byte, e *rules.Event, s *shape) []byte {
	m := e.Msg
	for i, v := range c.ints {
		if i == len(s.ints) {
			s.ints = append(s.ints, 0)
		}
		dst = appendInt(dst, v-s.ints[i])
		s.ints[i] = v
	}
	dst = appendInt(dst, m.RTT)
	if len(m.Body) > 0 {
		hash := uint64(lang.Hash(0).Bytes(m.Body)) & (1<<hashBits - 1)
		n, fresh := c.contents.number(hash, c.block)
		if dst = binary.AppendUvarint(dst, uint64(n)); fresh {
			dst = binary.LittleEndian.AppendUint64(dst, hash)[:len(dst)+hashBits/8]
		}
	}
	dst = binary.AppendUvarint(dst, uint64(len(m.Points)))
	after := uint32(0)
	for i := range m.Points {
		p := &m.Points[i]
		static := staticOf(p)
		n, fresh := c.statics.number(static, c.block)
		if dst = binary.AppendUvarint(dst, uint64(n)); fresh {
			dst = appendStatic(dst, &static)
		}
		was, now := s.point(i), previous{addr: p.Addr}
		if i > 0 {
			was.addr = after
		}
		dst = appendInt(dst, int64(int32(p.Addr-was.addr)))
		after = p.Addr + p.N
		if p.Has&protocols.HasValue != 0 {
			dst = appendFloat(dst, p.Value, was.value)
			now.value = p.Value
		}
		if p.Has&(protocols.HasTime|protocols.HasAge) != 0 {
			now.time = p.Time - e.At
			dst = appendTime(dst, now.time-was.time)
		}
		s.keep(i, now)
	}
	return dst
}

// appendTime appends nanoseconds, those of whole milliseconds in fewer bytes.
func appendTime(dst []byte, ns int64) []byte {
	const ms = 1e6
	if ns%ms == 0 {
		return appendInt(append(dst, 1), ns/ms)
	}
	return appendInt(append(dst, 0), ns)
}
