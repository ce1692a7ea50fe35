package ledger

import (
	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

// DNP3 application functions, IEEE 1815 table 4-2.
const (
	dnp3Confirm         = 0
	dnp3Select          = 3
	dnp3Operate         = 4
	dnp3DirectOperate   = 5
	dnp3DirectOperateNR = 6
	dnp3Authenticate    = 32
	dnp3AuthenticateNR  = 33
	dnp3Response        = 129
	dnp3Unsolicited     = 130
)

// DNP3 control statuses with an outcome of their own, IEEE 1815 table 11-7.
const (
	dnp3StatusTimeout  = 1
	dnp3StatusNoSelect = 2
)

// dnp3Refusals are the indications by which a request as a whole is refused: NO_FUNC_CODE_SUPPORT, OBJECT_UNKNOWN,
// PARAMETER_ERROR and ALREADY_EXECUTING, in the low octet of a Message's Status.
const dnp3Refusals = 0x17

// dnp3Repeat is how long a request with the same sequence number and content is a repetition and not a new action.
const dnp3Repeat = int64(10e9)

func (l *Ledger) dnp3(e *rules.Event) {
	m := e.Msg
	if !m.HasCode {
		return
	}
	switch {
	case m.Code >= dnp3Select && m.Code <= dnp3DirectOperateNR:
		l.dnp3Control(e)
	case m.Code == dnp3Response:
		l.dnp3Answer(e)
		l.reported(e)
	case m.Code == dnp3Unsolicited:
		l.reported(e)
	case m.From == protocols.Client && m.Code != dnp3Confirm && m.Code != dnp3Authenticate && m.Code != dnp3AuthenticateNR:
		l.dnp3Later(e)
	}
}

// ofMaster says whether a was asked for on e's connection by the same master.
func (a *action) ofMaster(e *rules.Event) bool {
	return a.conn == e.Flow.Conn && (a.record.Master == nil || *a.record.Master == e.Msg.Master)
}

func (l *Ledger) dnp3Control(e *rules.Event) {
	m := e.Msg
	seq := number(m, "seq")
	repeated := func(a *action) bool {
		return a.ofMaster(e) && a.code == m.Code && a.seq == seq && !a.later && e.At-a.asked < dnp3Repeat && a.same(m)
	}
	if a := l.find(e, repeated); a != nil { // 4.4.4: the outstation repeats its response and does nothing
		asked := a.asked
		a.request(e)
		a.asked = asked
		return
	}
	if m.Code == dnp3Operate {
		l.operate(e, seq)
		return
	}
	l.dnp3Later(e)
	a := l.begin(e, Direct)
	a.seq = seq
	if m.Code == dnp3Select {
		a.record.Model, a.record.Selected = Select, at(e.At)
		return
	}
	a.record.Executed = at(e.At)
	if m.Code == dnp3DirectOperateNR || flag(m, "broadcast") {
		a.mute = true // no response belongs to it; an effect may
		l.wait(a, l.cfg.Effect)
	}
}

// operate continues the select before it, or stands alone.
func (l *Ledger) operate(e *rules.Event, seq int64) {
	a := l.find(e, func(a *action) bool {
		return a.ofMaster(e) && a.record.Model == Select && a.record.Executed == nil && !a.later
	})
	switch {
	case a == nil:
		l.dnp3Later(e)
		a = l.begin(e, Select)
	case a.same(e.Msg):
		a.request(e)
	case a.deaf: // the select that belongs to it may be lost
		l.close(a, UnknownGap)
		a = l.begin(e, Select)
		a.doubt = true
	default:
		a.request(e)
		a.verdict = Mismatch
	}
	a.record.Executed, a.seq, a.answered = at(e.At), seq, false
	if flag(e.Msg, "broadcast") {
		a.mute = true
	}
	l.wait(a, l.cfg.Timeout)
}

// dnp3Later notes a request of another kind: an outstation drops its select then (4.4.3), and a response to what was
// asked before can only be late.
func (l *Ledger) dnp3Later(e *rules.Event) {
	for {
		a := l.find(e, func(a *action) bool {
			return a.ofMaster(e) && a.record.Executed == nil && a.answered
		})
		if a == nil {
			break
		}
		outcome := Cancelled
		if e.At >= a.deadline {
			outcome = Timeout
		}
		l.close(a, a.unless(a.deaf, outcome))
	}
	l.find(e, func(a *action) bool {
		if a.ofMaster(e) {
			a.later = true
		}
		return false
	})
}

func (l *Ledger) dnp3Answer(e *rules.Event) {
	if !l.some(e) {
		return
	}
	m := e.Msg
	seq := number(m, "seq")
	a := l.find(e, func(a *action) bool { return a.ofMaster(e) && a.seq == seq && !a.answered && !a.mute })
	if a == nil {
		return
	}
	lossy := a.gap || a.later
	status, echoed := worstStatus(m)
	if !echoed && lossy {
		return // it may answer another request with the same number
	}
	a.frame(e)
	if a.record.Executed != nil {
		a.record.Confirmed = at(e.At)
	}
	if m.Status != 0 {
		a.record.Status = string(m.AppendStatus(nil))
	}
	switch {
	case a.verdict != "":
		l.close(a, a.verdict)
	case !echoed && m.Status&dnp3Refusals != 0:
		l.close(a, Refused)
	case !echoed, !a.echo(m):
		l.close(a, a.unless(lossy, Mismatch))
	case status == dnp3StatusNoSelect:
		l.close(a, a.unless(a.doubt || a.deaf, NoSelect))
	case status == dnp3StatusTimeout:
		l.close(a, Timeout)
	case status != 0:
		l.close(a, Refused)
	case a.record.Executed != nil:
		a.answered = true
		l.wait(a, l.patience(a))
	default:
		a.answered = true // the select holds; now the operate must follow
		l.wait(a, l.cfg.Timeout)
	}
}

// worstStatus is the greatest control status that a response echoes.
func worstStatus(m *protocols.Message) (status uint8, echoed bool) {
	for i := range m.Points {
		if p := &m.Points[i]; p.Has&protocols.HasStatus != 0 {
			status, echoed = max(status, p.Status&0x7f), true
		}
	}
	return status, echoed
}

// echo says whether the controls in m are of the objects that a asked for.
func (a *action) echo(m *protocols.Message) bool {
	want := a.points()
	i := 0
	for j := range m.Points {
		p := &m.Points[j]
		if p.Has&protocols.HasStatus == 0 {
			continue
		}
		if i < len(want) && (want[i].Addr != p.Addr || want[i].Kind != p.Kind.String()) {
			return false
		}
		i++
	}
	return i >= len(want)
}
