package ledger

import (
	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

// A pointKey is one command point of one station, as one master sees it.
type pointKey struct {
	key
	kind string
	addr uint32
}

// An indication is a point that a station reports.
type indication struct {
	kind protocols.Kind
	addr uint32
}

// A mapping is what a station has reported while one command and no other was being carried out, and how often.
type mapping struct {
	seen [4]struct {
		indication
		count int
	}
}

// mappings are learned by co-occurrence: the position of a breaker follows the command of that breaker.
type mappings map[pointKey]*mapping

const (
	maxMappings = 1 << 14
	learned     = 2 // co-occurrences after which an indication is believed
)

// of returns the indication that follows the command at k, if one was learned.
func (ms mappings) of(k pointKey) (indication, bool) {
	m := ms[k]
	if m == nil {
		return indication{}, false
	}
	best := &m.seen[0]
	for i := range m.seen {
		if m.seen[i].count > best.count {
			best = &m.seen[i]
		}
	}
	return best.indication, best.count >= learned
}

// note counts that i was reported while k was being carried out. Where there is no room the rarest makes it.
func (ms mappings) note(k pointKey, i indication) {
	m := ms[k]
	if m == nil {
		if len(ms) >= maxMappings {
			return
		}
		m = &mapping{}
		ms[k] = m
	}
	rarest := &m.seen[0]
	for n := range m.seen {
		s := &m.seen[n]
		if s.count > 0 && s.indication == i {
			s.count++
			return
		}
		if s.count < rarest.count {
			rarest = s
		}
	}
	if rarest.count > 0 {
		rarest.count--
		return
	}
	rarest.indication, rarest.count = i, 1
}

// reported looks for the effects of executed commands in what a station reports: return information (104, causes 11
// and 12), events, and a change of the output itself.
func (l *Ledger) reported(e *rules.Event) {
	if l.count == 0 {
		return
	}
	var only *action
	running := 0
	l.find(e, func(a *action) bool {
		if a.record.Executed != nil && a.record.Effect == nil && a.record.Point != nil && !a.selecting() && a.record.Executed.UnixNano() <= e.At {
			running++
			only = a
		}
		return false
	})
	if running == 0 {
		return
	}
	cot := int64(-1)
	if e.Msg.Proto.Name == "iec104" {
		cot = number(e.Msg, "cot")
	}
	returns := cot == cotReturnRemote || cot == cotReturnLocal
	for i := range e.Msg.Points {
		p := &e.Msg.Points[i]
		if p.Has&protocols.HasStatus != 0 || cot < 0 && !dnp3Event(p.Type>>8) {
			continue
		}
		what := indication{p.Kind, p.Addr}
		a := l.follows(e, what)
		if a == nil && running == 1 {
			k := pointKey{only.key, only.record.Point.Kind, only.record.Point.Addr}
			if _, known := l.maps.of(k); !known && (returns || p.Kind == protocols.BinaryOut || p.Kind == protocols.AnalogOut || counterpart(only.record.Point.Kind, p.Kind)) {
				l.maps.note(k, what)
				if returns {
					a = only
				}
			}
		}
		if a != nil && a.record.Effect == nil {
			a.frame(e)
			a.record.Effect = at(e.At)
			if a.record.Terminated != nil || e.Msg.Proto.Name == "dnp3" && a.done() {
				l.close(a, a.settled(Confirmed))
			}
			return
		}
	}
}

// follows returns the running action whose learned indication, or whose own output, what is.
func (l *Ledger) follows(e *rules.Event, what indication) *action {
	return l.find(e, func(a *action) bool {
		if a.record.Executed == nil || a.record.Effect != nil || a.record.Point == nil {
			return false
		}
		p := a.record.Point
		if e.Msg.Proto.Name == "dnp3" && p.Kind == what.kind.String() && p.Addr == what.addr {
			return true // the output's own event, groups 11 and 42
		}
		known, ok := l.maps.of(pointKey{a.key, p.Kind, p.Addr})
		return ok && known == what
	})
}

// counterpart says whether a report of kind can be what a command of a point of kind command moves.
func counterpart(command string, kind protocols.Kind) bool {
	switch command {
	case protocols.BinaryOut.String():
		return kind == protocols.BinaryIn
	case protocols.AnalogOut.String():
		return kind == protocols.AnalogIn
	}
	return false
}

// dnp3Event says whether a group holds events, IEEE 1815 Annex A.
func dnp3Event(group uint16) bool {
	switch group {
	case 2, 4, 11, 22, 23, 32, 33, 42:
		return true
	}
	return false
}
