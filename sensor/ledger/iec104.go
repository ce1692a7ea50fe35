package ledger

import (
	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

// Causes of transmission, IEC 60870-5-101 7.2.3.
const (
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

func (l *Ledger) iec104(e *rules.Event) {
	m := e.Msg
	if !m.HasCode || len(m.Points) == 0 {
		return
	}
	cot := number(m, "cot")
	if m.Op != protocols.Operate {
		if cot == cotReturnRemote || cot == cotReturnLocal {
			l.returned(e)
		}
		return
	}
	addr := m.Points[0].Addr
	same := func(a *action) bool { return a.record.Code == m.Code && a.record.Point.Addr == addr }
	switch {
	case cot == cotActivation && m.From == protocols.Client && flag(m, "select"):
		a := l.begin(e, Select)
		a.record.Selected = at(e.At)
	case cot == cotActivation && m.From == protocols.Client:
		l.execute(e, same)
	case cot == cotDeactivation:
		if a := l.find(e, func(a *action) bool { return same(a) && a.record.Executed == nil }); a != nil {
			a.frame(e)
			l.close(a, Cancelled)
		}
	case cot == cotConfirmation || cot >= cotUnknownType && cot <= cotUnknownAddress:
		if a := l.find(e, func(a *action) bool { return same(a) && !a.answered }); a != nil {
			l.confirm(e, a)
		}
	case cot == cotTermination:
		if a := l.find(e, func(a *action) bool { return same(a) && a.record.Executed != nil }); a != nil {
			a.frame(e)
			a.record.Terminated = at(e.At)
			l.close(a, a.settled(Confirmed))
		}
	}
}

// execute continues the select of the same object, or is a direct command. The same command on a redundant connection,
// while the first still waits for its confirmation, is the same action.
func (l *Ledger) execute(e *rules.Event, same func(*action) bool) {
	a := l.find(e, func(a *action) bool { return same(a) && a.record.Executed == nil })
	if a != nil && !sameValue(a, e.Msg) {
		a.frame(e)
		a.record.Executed = at(e.At)
		l.close(a, Mismatch)
		return
	}
	if a == nil {
		if twin := l.find(e, func(a *action) bool { return same(a) && !a.answered && a.conn != e.Flow.Conn }); twin != nil {
			twin.frame(e)
			return
		}
		a = l.begin(e, Direct)
	} else {
		a.frame(e)
	}
	a.record.Executed, a.asked, a.answered = at(e.At), e.At, false
	l.wait(a, l.cfg.Timeout)
}

func sameValue(a *action, m *protocols.Message) bool {
	p := &m.Points[0]
	return a.record.Value == nil || p.Has&protocols.HasValue == 0 || *a.record.Value == p.Value
}

// confirm takes the confirmation of the select or the execute that was sent last.
func (l *Ledger) confirm(e *rules.Event, a *action) {
	a.frame(e)
	if a.record.Executed != nil {
		a.record.Confirmed = at(e.At)
	}
	if e.Msg.Status != 0 {
		a.record.Status = string(e.Msg.AppendStatus(nil))
		l.close(a, Refused)
		return
	}
	a.answered = true
	if a.record.Executed != nil {
		l.wait(a, l.cfg.Effect)
	} else {
		l.wait(a, l.cfg.Timeout)
	}
}

// returned notes return information as the effect of the station's latest confirmed command.
func (l *Ledger) returned(e *rules.Event) {
	a := l.find(e, func(a *action) bool { return a.record.Executed != nil && a.record.Effect == nil })
	if a != nil {
		a.frame(e)
		a.record.Effect = at(e.At)
	}
}
