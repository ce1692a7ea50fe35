package ledger

import (
	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

// reported looks for the effects of executed commands in what a station reports: return information (104, causes 11
// and 12), events, and a change of the output itself.
func (l *Ledger) reported(e *rules.Event) {
	if l.count == 0 && l.maps.shows == 0 {
		return
	}
	var only *action
	running := 0
	l.find(e, func(a *action) bool {
		if a.running(e) {
			running++
			only = a
		}
		return false
	})
	if running == 0 && l.maps.shows == 0 {
		return
	}
	cot := l.cause(e.Msg)
	returns := cot == cotReturnRemote || cot == cotReturnLocal
	for i := range e.Msg.Points {
		p := &e.Msg.Points[i]
		if p.Has&protocols.HasStatus != 0 || cot < 0 && !dnp3Event(p.Type>>8) {
			l.stated(e, p)
			continue
		}
		what := indication{p.Kind, p.Addr}
		if running == 0 {
			l.moved(e, p, nil)
			continue
		}
		a := l.follows(e, what)
		if a == nil && running == 1 && only.record.Effect == nil {
			k := only.place(only.record.Point.Kind, only.record.Point.Addr)
			if _, known := l.maps.of(k); !known && (returns || p.Kind == protocols.BinaryOut || p.Kind == protocols.AnalogOut || counterpart(only.record.Point.Kind, p.Kind)) {
				l.maps.note(k, what)
				if returns {
					a = only
				}
			}
		}
		l.moved(e, p, a)
		if a != nil && a.record.Effect == nil {
			l.maps.followed(a, what)
			a.frame(e)
			a.record.Effect = at(e.At)
			if a.record.Terminated != nil || e.Msg.Proto.Name == "dnp3" && a.done() {
				l.close(a, a.settled(Confirmed))
				running--
			}
		}
	}
}

// running says whether a has been executed and its effect may be in e.
func (a *action) running(e *rules.Event) bool {
	return a.record.Executed != nil && a.record.Effect == nil && a.record.Point != nil && !a.selecting() && a.record.Executed.UnixNano() <= e.At
}

// follows returns the running action whose known indication, or whose own output, what is.
func (l *Ledger) follows(e *rules.Event, what indication) *action {
	return l.find(e, func(a *action) bool {
		if !a.running(e) {
			return false
		}
		p := a.record.Point
		if e.Msg.Proto.Name == "dnp3" && p.Kind == what.kind.String() && p.Addr == what.addr {
			return true // the output's own event, groups 11 and 42
		}
		known, ok := l.maps.of(a.place(p.Kind, p.Addr))
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
