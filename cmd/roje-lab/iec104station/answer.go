package iec104station

import (
	"maps"
	"slices"
	"time"
)

const selectLife = 10 * time.Second

// answers is what the station does with each type; commands and files are below the table.
var answers map[byte]func(d *duty, a *ASDU) error

func init() { // not a literal: the functions refer to the table
	answers = map[byte]func(d *duty, a *ASDU) error{
		100: (*duty).interrogate, 101: (*duty).counters, 102: (*duty).read, 103: (*duty).confirm, 105: (*duty).reset,
		104: (*duty).confirm, 107: (*duty).confirm, 110: (*duty).confirm, 111: (*duty).confirm, 112: (*duty).confirm, 113: (*duty).confirm,
		120: (*duty).fileReady, 121: (*duty).sectionReady, 122: (*duty).fileCall, 123: (*duty).fileLast, 124: (*duty).fileAck, 125: (*duty).fileSegment,
	}
	for kind := byte(45); kind <= 51; kind++ {
		answers[kind], answers[kind+13] = (*duty).command, (*duty).command
	}
}

// answer does what an ASDU in control direction asks for, or mirrors it with a negative cause.
func (d *duty) answer(a *ASDU) error {
	do, known := answers[a.Type]
	switch {
	case !known:
		return d.mirror(a, UnknownType, true)
	case a.CA != d.CA && a.CA != 0xffff:
		return d.mirror(a, UnknownCA, true)
	case a.Type < 120 && a.Type != 102 && a.Cause != Activation && a.Cause != Deactivation:
		return d.mirror(a, UnknownCause, true)
	}
	return do(d, a)
}

// mirror sends an ASDU back with another cause.
func (d *duty) mirror(a *ASDU, cause byte, negative bool) error {
	back := *a
	back.Cause, back.Neg = cause, negative
	return d.send(&back)
}

// confirm says yes.
func (d *duty) confirm(a *ASDU) error {
	if a.Cause == Deactivation {
		return d.mirror(a, DeactCon, false)
	}
	return d.mirror(a, ActCon, false)
}

// batch sends points of one type together, with a sequence where their addresses follow each other.
func (d *duty) batch(kind, cause byte, objects []Object) error {
	for len(objects) > 0 {
		n := 1
		for n < len(objects) && n < 30 && objects[n].IOA == objects[n-1].IOA+1 {
			n++
		}
		a := d.report(kind, cause, objects[:n]...)
		if a.SQ = n > 1; !a.SQ {
			for n < len(objects) && n < 20 {
				n++
			}
			a.Objects = objects[:n]
		}
		if err := d.send(a); err != nil {
			return err
		}
		objects = objects[n:]
	}
	return nil
}

// collect gives the points that want takes, by type.
func (d *duty) collect(want func(*Point) bool) map[byte][]Object {
	d.mu.Lock()
	defer d.mu.Unlock()
	found := map[byte][]Object{}
	for _, ioa := range slices.Sorted(maps.Keys(d.Points)) {
		if p := d.Points[ioa]; want(p) {
			found[p.Type] = append(found[p.Type], p.object(ioa))
		}
	}
	return found
}

// whole answers an interrogation: confirmation, data, termination.
func (d *duty) whole(a *ASDU, cause byte, want func(*Point) bool) error {
	return d.together(func() error {
		if err := d.confirm(a); err != nil {
			return err
		}
		found := d.collect(want)
		for _, kind := range slices.Sorted(maps.Keys(found)) {
			if err := d.batch(kind, cause, found[kind]); err != nil {
				return err
			}
		}
		return d.mirror(a, ActTerm, false)
	})
}

func (d *duty) interrogate(a *ASDU) error {
	if a.Cause == Deactivation {
		return d.confirm(a)
	}
	qoi := a.Objects[0].Data[0]
	if qoi < 20 || qoi > 36 {
		return d.mirror(a, ActCon, true)
	}
	return d.whole(a, qoi, func(p *Point) bool { return p.Type != 15 && (qoi == 20 || p.Group == qoi-20) })
}

func (d *duty) counters(a *ASDU) error {
	if a.Cause == Deactivation {
		return d.confirm(a)
	}
	if a.Objects[0].Data[0]&0xc0 != 0 { // freeze or reset: the counters are not asked for
		return d.confirm(a)
	}
	return d.whole(a, CounterAsked, func(p *Point) bool { return p.Type == 15 })
}

func (d *duty) read(a *ASDU) error {
	p := d.Points[a.Objects[0].IOA]
	if p == nil {
		return d.mirror(a, UnknownIOA, true)
	}
	d.mu.Lock()
	object := p.object(a.Objects[0].IOA)
	d.mu.Unlock()
	return d.send(d.report(p.Type, Requested, object))
}

// reset confirms, and goes down a second later; the next master is told.
func (d *duty) reset(a *ASDU) error {
	d.restarted(true)
	d.line.At(d.Clock.Now().Add(time.Second), func() error { return d.line.Close() })
	return d.confirm(a)
}

// command selects, executes or cancels one control.
func (d *duty) command(a *ASDU) error {
	o := a.Objects[0]
	c := d.Controls[o.IOA]
	if c == nil || c.Type != plain(a.Type) {
		return d.mirror(a, UnknownIOA, true)
	}
	if c.Deaf {
		return nil
	}
	now := d.Clock.Now()
	if a.Cause == Deactivation {
		delete(d.selected, o.IOA)
		return d.confirm(a)
	}
	v, selects := value(a.Type, o.Data)
	if selects {
		d.selected[o.IOA] = now.Add(selectLife)
		return d.confirm(a)
	}
	if until, ok := d.selected[o.IOA]; c.Select && (!ok || now.After(until)) {
		return d.mirror(a, ActCon, true)
	}
	delete(d.selected, o.IOA)
	d.line.At(now.Add(c.Travel), func() error {
		if !c.Stuck {
			d.mu.Lock()
			d.Points[c.Point].Value = v
			d.mu.Unlock()
			d.tell(c.Point, ReturnRemote)
		}
		if c.Endless {
			return nil
		}
		d.line.At(d.Clock.Now(), func() error { return d.mirror(a, ActTerm, false) })
		return nil
	})
	return d.confirm(a)
}
