package ledger

import (
	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

// Causes of transmission, IEC 60870-5-101 7.2.3.
const (
	cotSpontaneous       = 3
	cotActivation        = 6
	cotConfirmation      = 7
	cotDeactivation      = 8
	cotDeactConfirmation = 9
	cotTermination       = 10
	cotReturnRemote      = 11
	cotReturnLocal       = 12
	cotUnknownType       = 44
	cotUnknownAddress    = 47
)

// twinWithin is how close in time the same command on two connections of one master is one action.
const twinWithin = int64(1e9)

// afterEnd is how long return information is waited for after the termination.
const afterEnd = int64(1e9)

// maxTakes bounds the points of which it is known how their station takes a command.
const maxTakes = 1 << 16

func (l *Ledger) iec104(e *rules.Event) {
	m := e.Msg
	if !m.HasCode {
		return
	}
	cot := l.cause(m)
	switch {
	case m.Op == protocols.Report && (cot == cotSpontaneous || cot == cotReturnRemote || cot == cotReturnLocal):
		l.reported(e)
	case m.Op == protocols.Report:
		for i := range m.Points {
			l.stated(e, &m.Points[i])
		}
	case m.Op != protocols.Operate:
	case cot == cotActivation:
		l.activate(e)
	case cot == cotDeactivation:
		if a := l.find(e, func(a *action) bool { return a.object(m) && a.record.Executed == nil }); a != nil {
			a.frame(e)
			a.cancels, a.answered = true, false
			l.wait(a, l.cfg.Timeout)
		}
	case cot == cotDeactConfirmation:
		l.deactivated(e)
	case cot == cotConfirmation || cot >= cotUnknownType && cot <= cotUnknownAddress:
		l.confirm(e)
	case cot == cotTermination:
		l.terminate(e)
	}
}

// cause is the cause of transmission of m, which is of the ledger's protocol; -1 where it has none.
func (l *Ledger) cause(m *protocols.Message) int64 {
	if l.cot == nil || l.cot.Int == nil {
		return -1
	}
	v, ok := l.cot.Int(m)
	if !ok {
		return -1
	}
	return v
}

// object says whether m is about the same command object as a.
func (a *action) object(m *protocols.Message) bool {
	return a.record.Code == m.Code && len(m.Points) > 0 && a.record.Point != nil && a.record.Point.Addr == m.Points[0].Addr
}

// activate begins an action, continues the select of the same object, or is the same command on a redundant connection.
func (l *Ledger) activate(e *rules.Event) {
	m := e.Msg
	selects := flag(m, "select")
	twin := l.find(e, func(a *action) bool {
		return a.object(m) && a.conn != e.Flow.Conn && a.selecting() == selects && e.At-a.asked < twinWithin && a.same(m)
	})
	if twin != nil {
		asked := twin.asked
		twin.request(e)
		twin.asked = asked
		return
	}
	a := l.find(e, func(a *action) bool { return a.object(m) && a.record.Executed == nil && !a.cancels })
	hidden := false
	if a != nil && (selects || a.deaf) && !a.same(m) {
		hidden = !selects
		l.close(a, a.unless(a.deaf, Cancelled)) // another select takes its place, which may itself be lost
		a = nil
	}
	switch {
	case a == nil:
		l.displace(e)
		a = l.begin(e, Direct)
		a.doubt = a.doubt || hidden
		if selects {
			a.record.Model = Select
		}
	default:
		a.request(e)
		switch {
		case selects:
		case !a.same(m):
			a.verdict = Mismatch
		case a.deaf: // another execute and another select may be among what was lost
			a.verdict = UnknownGap
		}
	}
	if selects {
		a.record.Selected = at(e.At)
	} else {
		a.record.Executed = at(e.At)
	}
	a.answered = false
	l.wait(a, l.cfg.Timeout)
}

// selecting says whether the request that was sent last selects.
func (a *action) selecting() bool { return a.record.Executed == nil }

// displace closes what is over on the object of e: nothing more can be told apart from the new command.
func (l *Ledger) displace(e *rules.Event) {
	for {
		a := l.find(e, func(a *action) bool { return a.object(e.Msg) && (a.done() || a.gap) })
		if a == nil {
			return
		}
		l.close(a, a.settled(UnknownGap))
	}
}

// waiting returns the oldest action that the confirmation e may belong to, and whether there are several.
func (l *Ledger) waiting(e *rules.Event, match func(*action) bool) (a *action, several bool) {
	l.find(e, func(b *action) bool {
		if b.object(e.Msg) && !b.answered && match(b) {
			several = a != nil
			a = b
		}
		return false
	})
	return a, several
}

// confirm takes the confirmation of the select or the execute that was sent last.
func (l *Ledger) confirm(e *rules.Event) {
	m := e.Msg
	a, several := l.waiting(e, func(a *action) bool { return a.selecting() == flag(m, "select") && (!a.cancels || m.Status != 0) })
	if m.Status == 0 && flag(m, "select") {
		l.learn(e, afterSelect)
	}
	if a == nil {
		return
	}
	if several && a.gap {
		for a != nil { // one of the answers is lost, and nothing says which
			l.close(a, UnknownGap)
			a, _ = l.waiting(e, func(a *action) bool { return a.selecting() == flag(m, "select") })
		}
		return
	}
	a.frame(e)
	if !a.selecting() {
		a.record.Confirmed = at(e.At)
	}
	if m.Status != 0 {
		a.record.Status = string(m.AppendStatus(nil))
		known := l.takes[commandKey(e)]
		switch {
		case a.verdict != "":
			l.close(a, a.verdict)
		case a.record.Model == Direct && known == afterSelect && m.Status == 1: // and has never taken it without
			l.close(a, a.unless(a.doubt || a.gap, NoSelect))
		case a.record.Model == Direct && known == 0 && m.Status == 1: // that it wants a select may be among what was lost
			l.close(a, a.unless(a.doubt || a.gap || e.Flow.Unseen || l.lossy(e.Flow.Server), Refused))
		default:
			l.close(a, a.unless(a.record.Selected != nil && !a.selecting() && a.gap, Refused))
		}
		return
	}
	if m.Faults&protocols.Mismatch != 0 && a.verdict == "" && !a.same(m) {
		l.close(a, a.unless(a.gap || a.overdue, Mismatch))
		return
	}
	if a.doubt && a.record.Selected == nil { // whether it was selected, and with what, is among what was lost
		l.close(a, UnknownGap)
		return
	}
	a.answered = true
	if a.selecting() {
		l.wait(a, l.cfg.Timeout)
		return
	}
	if a.record.Model == Direct && !a.gap && !e.Flow.Unseen && !l.lossy(e.Flow.Server) {
		l.learn(e, atOnce)
	}
	l.wait(a, l.patience(a))
}

// A way is how a station has taken a command of an object, as far as was seen; 0 if that is not known.
type way uint8

const (
	afterSelect way = 1 << iota // it has confirmed a select
	atOnce                      // it has confirmed an execution that no select came before
)

// learn notes how the station takes a command of the object of e.
func (l *Ledger) learn(e *rules.Event, w way) {
	k := commandKey(e)
	if known, ok := l.takes[k]; known&w == 0 && (ok || len(l.takes) < maxTakes) {
		l.takes[k] = known | w
		l.changed = true
	}
}

// commandKey names the first object of e.
func commandKey(e *rules.Event) pointKey {
	p := &e.Msg.Points[0]
	return pointKey{keyOf(e), p.Kind.String(), p.Addr}
}

// deactivated takes the confirmation of a deactivation.
func (l *Ledger) deactivated(e *rules.Event) {
	a := l.find(e, func(a *action) bool { return a.object(e.Msg) && a.selecting() })
	if a == nil {
		return
	}
	a.frame(e)
	if e.Msg.Status != 0 { // the select stands
		a.record.Status = string(e.Msg.AppendStatus(nil))
		a.cancels, a.answered = false, true
		return
	}
	l.close(a, Cancelled)
}

// terminate takes the end of an execution, which is itself proof that the station took it. Where the bit that selects is
// set it is the end of the selection (lib60870 tells it so), which proves nothing of the execution.
func (l *Ledger) terminate(e *rules.Event) {
	selects := flag(e.Msg, "select")
	a := l.find(e, func(a *action) bool {
		return a.object(e.Msg) && !a.selecting() && a.record.Terminated == nil && (a.answered || !selects)
	})
	if a == nil {
		return
	}
	a.frame(e)
	a.record.Terminated = at(e.At)
	switch {
	case e.Msg.Status != 0:
		a.record.Status = string(e.Msg.AppendStatus(nil))
		l.close(a, Refused)
	case a.verdict != "":
		l.close(a, a.verdict)
	case a.doubt && a.record.Selected == nil:
		l.close(a, UnknownGap)
	case a.record.Effect != nil:
		l.close(a, Confirmed)
	case l.maps.expects(a):
		a.answered = true
		l.wait(a, l.patience(a))
	default:
		a.answered = true
		l.wait(a, afterEnd)
	}
}
