package events

import (
	"encoding/binary"
	"errors"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

// maxPoints is more than a message of any protocol carries.
const maxPoints = 1 << 17

var errRow = errors.New("a row makes no sense")

// kept is the Detail of a message that was read: the fields of the protocol's own object, by their place in its table.
type kept struct {
	has   [maxFields]bool
	ints  [maxFields]int64
	bools [maxFields]bool
	texts [maxFields]string
}

// A stand is a protocol whose fields read what was kept.
type stand struct {
	*protocols.Protocol
	place []int // by the writer's number of a field: this program's; -1 where it has none
}

// newStand makes a stand-in for p, for events whose writer called p's fields by names.
func newStand(p *protocols.Protocol, names []string) *stand {
	s := &stand{Protocol: &protocols.Protocol{Name: p.Name, Title: p.Title, TCP: p.TCP, UDP: p.UDP, Codes: p.Codes, AppendStatus: p.AppendStatus}}
	for i := range p.Field {
		f := &p.Field[i]
		row := protocols.Field{Name: f.Name, Doc: f.Doc}
		switch {
		case f.Int != nil:
			row.Int = func(m *protocols.Message) (int64, bool) { k := m.Detail.(*kept); return k.ints[i], k.has[i] }
		case f.Bool != nil:
			row.Bool = func(m *protocols.Message) (bool, bool) { k := m.Detail.(*kept); return k.bools[i], k.has[i] }
		case f.Text != nil:
			row.Text = func(m *protocols.Message) (string, bool) { k := m.Detail.(*kept); return k.texts[i], k.has[i] }
		default:
			row.JSON = func(dst []byte, _ *protocols.Message) []byte { return dst }
		}
		s.Field = append(s.Field, row)
	}
	for _, name := range names {
		place := -1
		for i := range p.Field {
			if p.Field[i].Name == name && i < maxFields {
				place = i
			}
		}
		s.place = append(s.place, place)
	}
	return s
}

// takes tells whether field i of this program takes what a row says.
func (s *stand) takes(place int, how byte) bool {
	if place < 0 || place >= len(s.Field) {
		return false
	}
	f := &s.Field[place]
	return how == fieldInt && f.Int != nil || (how == fieldFalse || how == fieldTrue) && f.Bool != nil || how == fieldText && f.Text != nil
}

// readShape is a shape that was read: a message without what differs from row to row.
type readShape struct {
	msg    protocols.Message
	body   bool
	detail bool
	kept   kept
	ints   []int // places of the numbers that follow; -1 where this program has no such field
	prev
}

// A decoder reads the rows of a block.
type decoder struct {
	names    head
	stands   map[string]*stand
	flows    []rules.Flow
	facts    []rules.Facts
	statics  []pointStatic
	contents []uint64
	shapes   []*readShape
	at       int64
	frame    uint64
	event    rules.Event
	msg      protocols.Message
	points   []protocols.Point
	body     [hashBits / 8]byte
}

// each calls f with each event of a block. The event is valid during the call. Events of protocols that this program does
// not know are counted and left out.
func (d *decoder) each(raw []byte, f func(*rules.Event)) (n, unknown int, err error) {
	c := &cursor{b: raw}
	for len(c.b) > 0 {
		known := d.next(c)
		if c.bad {
			return n, unknown, errRow
		}
		if !known {
			unknown++
			continue
		}
		n++
		f(&d.event)
	}
	return n, unknown, nil
}

// known returns the number that c reads next, and whether what it stands for follows.
func known(c *cursor, have int) (n int, fresh bool) {
	v := c.uint()
	if v > uint64(have) {
		c.bad = true
		return 0, false
	}
	return int(v), int(v) == have && !c.bad
}

// next reads one row into event.
func (d *decoder) next(c *cursor) (ok bool) {
	e := &d.event
	what := c.u8()
	*e = rules.Event{What: rules.What(what & kindMask)}
	unknown := int(e.What) >= len(rules.WhatNames()) // a kind of event of a later version
	d.at += c.int()
	d.frame += uint64(c.int())
	e.At, e.Frame = d.at, d.frame
	n, fresh := known(c, len(d.flows))
	if fresh {
		d.flows = append(d.flows, c.flow())
	}
	if c.bad {
		return false
	}
	e.Flow = d.flows[n]
	if n, fresh = known(c, len(d.facts)); fresh {
		d.facts = append(d.facts, c.facts(d.names.Facts))
	}
	if c.bad {
		return false
	}
	e.Facts = d.facts[n]
	if what&hasAct != 0 {
		e.Act = c.act(d.names.Act)
	}
	if what&hasMessage == 0 {
		return !unknown
	}
	if n, fresh = known(c, len(d.shapes)); fresh {
		d.shapes = append(d.shapes, d.shape(c))
	}
	if c.bad {
		return false
	}
	d.rest(c, d.shapes[n])
	e.Msg = &d.msg
	return !c.bad && d.msg.Proto != nil && !unknown
}

// shape reads what the encoder's describe has written.
func (d *decoder) shape(c *cursor) *readShape {
	s := &readShape{}
	m := &s.msg
	of := d.stands[c.string()]
	marks := c.uint()
	m.HasCode, m.HasStation, m.HasMaster = marks&1 != 0, marks&2 != 0, marks&4 != 0
	if marks&8 != 0 {
		m.From = protocols.Server
	}
	m.Dir = protocols.Dir(marks >> 4 & 1)
	s.body, s.detail = marks&32 != 0, marks&64 != 0
	m.Op, m.Turn = protocols.Op(min(c.u8(), byte(protocols.Diagnose))), protocols.Turn(min(c.u8(), byte(protocols.Unpaired)))
	m.Code, m.Station, m.Master = uint16(c.uint()), uint32(c.uint()), uint32(c.uint())
	m.Status, m.Faults = uint32(c.uint()), protocols.Faults(c.uint())
	m.Name = c.string()
	if of != nil {
		m.Proto = of.Protocol
	}
	at := -1
	for step := c.u8(); step != 0 && !c.bad; step = c.u8() {
		at += int(step)
		place := -1
		if of != nil && at < len(of.place) {
			place = of.place[at]
		}
		how := c.u8()
		text := ""
		if how == fieldText {
			text = c.string()
		}
		if of == nil || !of.takes(place, how) {
			place = -1
		}
		if how == fieldInt {
			s.ints = append(s.ints, place)
		}
		if place >= 0 {
			s.kept.has[place], s.kept.bools[place], s.kept.texts[place] = true, how == fieldTrue, text
		}
	}
	s.prev.ints = make([]int64, len(s.ints))
	return s
}

// rest reads what the encoder's appendRest has written, into msg.
func (d *decoder) rest(c *cursor, s *readShape) {
	m := &d.msg
	*m = s.msg
	for i, place := range s.ints {
		s.prev.ints[i] += c.int()
		if place >= 0 {
			s.kept.ints[place] = s.prev.ints[i]
		}
	}
	if s.detail {
		m.Detail = &s.kept
	}
	m.RTT = c.int()
	if s.body {
		n, fresh := known(c, len(d.contents))
		if fresh {
			var b [8]byte
			copy(b[:], c.take(hashBits/8))
			d.contents = append(d.contents, binary.LittleEndian.Uint64(b[:]))
		}
		if c.bad {
			return
		}
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], d.contents[n])
		copy(d.body[:], b[:])
		m.Body = d.body[:]
	}
	n := c.uint()
	if n > maxPoints || n > uint64(len(c.b)) {
		c.bad = true
		return
	}
	d.points = d.points[:0]
	after := uint32(0)
	for i := range int(n) {
		k, fresh := known(c, len(d.statics))
		if fresh {
			d.statics = append(d.statics, c.static())
		}
		if c.bad {
			return
		}
		t := &d.statics[k]
		p := protocols.Point{Kind: t.kind, Has: t.has, Control: t.control, Status: t.status, Count: t.count, Type: t.typ,
			N: t.n, OnMS: t.onMS, OffMS: t.offMS, Quality: t.quality, Off: noText}
		was := s.point(i)
		if i > 0 {
			was.addr = after
		}
		p.Addr = was.addr + uint32(int32(c.int()))
		after = p.Addr + p.N
		now := previous{addr: p.Addr}
		if p.Has&protocols.HasValue != 0 {
			p.Value = c.float(was.value)
			now.value = p.Value
		}
		if p.Has&(protocols.HasTime|protocols.HasAge) != 0 {
			scale := int64(1)
			if c.u8() == 1 {
				scale = 1e6
			}
			now.time = was.time + c.int()*scale
			p.Time = d.event.At + now.time
		}
		s.keep(i, now)
		d.points = append(d.points, p)
	}
	m.Points = d.points
}

// noText is where no body reaches: the texts of points are not kept.
const noText = 1<<16 - 1
