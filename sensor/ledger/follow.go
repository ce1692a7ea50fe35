package ledger

import (
	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

// number reads the field name of m's own object, or -1: the transaction, the sequence, the cause.
func number(m *protocols.Message, name string) int64 {
	if f := field(m, name); f != nil && f.Int != nil {
		if v, ok := f.Int(m); ok {
			return v
		}
	}
	return -1
}

func flag(m *protocols.Message, name string) bool {
	if f := field(m, name); f != nil && f.Bool != nil {
		v, ok := f.Bool(m)
		return v && ok
	}
	return false
}

func field(m *protocols.Message, name string) *protocols.Field {
	for i := range m.Proto.Field {
		if m.Proto.Field[i].Name == name {
			return &m.Proto.Field[i]
		}
	}
	return nil
}

// modbus follows a write to its answer. The write is confirmed by the echo, refused by an exception.
func (l *Ledger) modbus(e *rules.Event) {
	m := e.Msg
	if m.Op != protocols.Write || m.Faults&(protocols.Short|protocols.Unframed) != 0 {
		return
	}
	if m.From == protocols.Client {
		a := l.begin(e, Direct)
		a.seq = number(m, "tid")
		a.record.Executed = at(e.At)
		if m.Station == 0 {
			l.close(a, UnknownGap) // broadcast: no station answers
		}
		return
	}
	tid := number(m, "tid")
	a := l.find(e, func(a *action) bool { return a.record.Code == m.Code && a.seq == tid })
	if a == nil {
		return
	}
	a.frame(e)
	a.record.Confirmed = at(e.At)
	switch {
	case m.Status != 0:
		a.record.Status = string(m.AppendStatus(nil))
		l.close(a, Refused)
	case m.Faults&protocols.Mismatch != 0:
		l.close(a, Mismatch)
	default:
		l.close(a, Confirmed)
	}
}

// DNP3 application functions that are control actions, IEEE 1815 4.2.2.
const (
	dnp3Select          = 3
	dnp3Operate         = 4
	dnp3DirectOperate   = 5
	dnp3DirectOperateNR = 6
	dnp3Response        = 129
)

// DNP3 control statuses with an outcome of their own, IEEE 1815 table 11-4.
const (
	dnp3StatusTimeout  = 1
	dnp3StatusNoSelect = 2
)

func (l *Ledger) dnp3(e *rules.Event) {
	m := e.Msg
	if !m.HasCode {
		return
	}
	seq := number(m, "seq")
	switch m.Code {
	case dnp3Select:
		a := l.begin(e, Select)
		a.seq, a.record.Selected = seq, at(e.At)
	case dnp3Operate:
		l.operate(e, seq)
	case dnp3DirectOperate, dnp3DirectOperateNR:
		a := l.begin(e, Direct)
		a.seq, a.record.Executed = seq, at(e.At)
		if m.Code == dnp3DirectOperateNR {
			a.seq = -1 // no response belongs to it
			l.close(a, UnknownGap)
		}
	case dnp3Response:
		l.dnp3Answer(e, seq)
	}
}

// operate continues the select of the same objects, or stands alone.
func (l *Ledger) operate(e *rules.Event, seq int64) {
	a := l.find(e, func(a *action) bool { return a.record.Model == Select && a.record.Executed == nil })
	if a == nil {
		a = l.begin(e, Select)
	} else if !samePoints(a, e.Msg) {
		a.frame(e)
		a.record.Executed = at(e.At)
		l.close(a, Mismatch)
		return
	} else {
		a.frame(e)
	}
	a.record.Executed, a.seq, a.asked, a.answered = at(e.At), seq, e.At, false
	l.wait(a, l.cfg.Timeout)
}

func (l *Ledger) dnp3Answer(e *rules.Event, seq int64) {
	a := l.find(e, func(a *action) bool { return a.seq == seq && !a.answered })
	if a == nil {
		return
	}
	a.frame(e)
	if a.record.Executed != nil {
		a.record.Confirmed = at(e.At)
	}
	status, echoed := worstStatus(e.Msg)
	switch {
	case e.Msg.Status != 0:
		a.record.Status = string(e.Msg.AppendStatus(nil))
		l.close(a, Refused)
	case !echoed:
		l.close(a, Mismatch)
	case status == dnp3StatusNoSelect:
		l.close(a, NoSelect)
	case status == dnp3StatusTimeout:
		l.close(a, Timeout)
	case status != 0:
		l.close(a, Refused)
	case a.record.Executed != nil:
		l.close(a, Confirmed)
	default:
		a.answered = true // the select holds; now the operate must follow
		l.wait(a, l.cfg.Timeout)
	}
}

// worstStatus is the greatest control status that a response echoes.
func worstStatus(m *protocols.Message) (status uint8, echoed bool) {
	for i := range m.Points {
		if p := &m.Points[i]; p.Has&protocols.HasStatus != 0 {
			status, echoed = max(status, p.Status), true
		}
	}
	return status, echoed
}

// samePoints says whether m names the same points with the same values as a was selected with.
func samePoints(a *action, m *protocols.Message) bool {
	points := rules.PointsOf(m)
	want := a.record.Points
	if want == nil && a.record.Point != nil {
		want = []rules.Point{*a.record.Point}
	}
	if len(points) != len(want) {
		return false
	}
	for i, p := range points {
		w := want[i]
		if p.Kind != w.Kind || p.Addr != w.Addr || (p.Value == nil) != (w.Value == nil) || p.Value != nil && *p.Value != *w.Value {
			return false
		}
	}
	return true
}
