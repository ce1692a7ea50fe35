package ledger

import (
	"math"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

// Functions with an effect of their own, Application Protocol 6.16 and 6.17.
const (
	maskWrite = 22
	readWrite = 23
)

// modbus follows a write to its answer, and to the first read that gives back what was written. The write is confirmed
// by the echo, refused by an exception.
func (l *Ledger) modbus(e *rules.Event) {
	m := e.Msg
	if !m.HasCode {
		return
	}
	switch {
	case m.Op == protocols.Write && m.From == protocols.Client:
		l.writes.note(e)
		l.modbusWrite(e)
	case m.Op == protocols.Write && m.Code == readWrite: // the write comes before the read (6.17)
		l.modbusAnswer(e)
		l.readBack(e)
		l.polled(e)
	case m.Op == protocols.Write:
		l.writes.note(e)
		l.modbusAnswer(e)
	case m.From == protocols.Server && m.Op == protocols.Read:
		l.readBack(e)
		l.polled(e)
	}
}

func (l *Ledger) modbusWrite(e *rules.Event) {
	m := e.Msg
	tid := number(m, "tid")
	again := func(a *action) bool {
		return a.conn == e.Flow.Conn && a.code == m.Code && !a.answered && tid >= 0 && a.seq == tid && a.same(m)
	}
	if a := l.find(e, again); a != nil { // the master asks again, under the same transaction
		at := a.asked
		a.request(e)
		a.asked = at
		return
	}
	if done := l.find(e, func(a *action) bool { return a.done() && overlaps(a, m) }); done != nil {
		l.close(done, done.settled(Confirmed)) // what is read from now on is the new write's
	}
	a := l.begin(e, Direct)
	a.seq = tid
	a.record.Executed = at(e.At)
	if m.Code == maskWrite {
		a.and, a.or = uint16(number(m, "and_mask")), uint16(number(m, "or_mask"))
	}
	a.mute = m.Station == 0 && m.Turn != protocols.Request // a broadcast: no station answers
}

func (l *Ledger) modbusAnswer(e *rules.Event) {
	m := e.Msg
	tid := number(m, "tid")
	asked := number(m, "asked_tid") // a gateway gives back another one, or the request is lost that had this one
	if asked >= 0 {
		tid = asked
	}
	open := 0
	match := func(a *action) bool {
		return a.conn == e.Flow.Conn && a.record.Code == m.Code && !a.answered && a.seq == tid
	}
	var a *action
	l.find(e, func(b *action) bool {
		if match(b) {
			a, open = b, open+1 // the last one found is the oldest: answers come in the order of the requests
		}
		return false
	})
	if a == nil || asked >= 0 && (a.gap || a.doubt || e.Flow.Unseen) {
		return
	}
	a.frame(e)
	a.record.Confirmed = at(e.At)
	ambiguous := open > 1 && a.gap
	a.mute = false
	switch {
	case m.Status != 0:
		a.record.Status = string(m.AppendStatus(nil))
		l.close(a, a.unless(ambiguous, Refused))
	case m.Faults&protocols.Mismatch != 0:
		l.close(a, a.unless(a.gap, Mismatch))
	case ambiguous:
		l.close(a, UnknownGap)
	default:
		a.answered = true
		l.wait(a, l.cfg.Effect)
	}
}

// overlaps says whether m concerns a point of a.
func overlaps(a *action, m *protocols.Message) bool {
	points := controls(m)
	for i := range points {
		p := &points[i]
		for _, w := range a.points() {
			if w.Kind == p.Kind.String() && p.Addr < w.Addr+w.N && w.Addr < p.Addr+p.N {
				return true
			}
		}
	}
	return false
}

// readBack notes as the effect of a confirmed write that a response gives back what was written.
func (l *Ledger) readBack(e *rules.Event) {
	for {
		a := l.find(e, func(a *action) bool {
			return a.answered && a.record.Effect == nil && a.record.Confirmed.UnixNano() <= e.At && a.holds(e.Msg)
		})
		if a == nil {
			return
		}
		a.frame(e)
		a.record.Effect = at(e.At)
		l.ownEffect(a)
		l.close(a, a.settled(Confirmed))
	}
}

// holds says whether m reports every point of a with the value that a wrote.
func (a *action) holds(m *protocols.Message) bool {
	for _, w := range a.points() {
		if !a.reported(w, m) {
			return false
		}
	}
	return len(a.points()) > 0
}

func (a *action) reported(w rules.Point, m *protocols.Message) bool {
	for i := range m.Points {
		p := &m.Points[i]
		if p.Addr != w.Addr || p.Has&protocols.HasValue == 0 || p.Kind.String() != w.Kind {
			continue
		}
		if a.code == maskWrite { // the bits that are not kept are those of or_mask
			v := uint16(math.Max(p.Value, 0))
			return v&^a.and == a.or&^a.and
		}
		return w.Value != nil && *w.Value == p.Value
	}
	return false
}
