package ledger

import (
	"slices"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

// tell hands what became of a to the rules.
func (l *Ledger) tell(a *action) {
	if l.cfg.Tell == nil {
		return
	}
	r := &a.record
	act := &l.act
	*act = rules.Act{Record: r.ID, Ended: rules.Ending(slices.Index(rules.EndingNames(), string(r.Outcome))), Selects: r.Model == Select,
		Effect: l.effect(a), Frames: r.Frames}
	if r.LatencyMS != nil {
		act.Latency = int64(*r.LatencyMS * 1e6)
	}
	l.masters.count(a, act)
	m := &l.said
	m.Reset()
	m.Proto, m.HasCode, m.Code, m.Name, m.Op = a.key.proto, true, r.Code, r.Name, protocols.Operate
	if a.key.proto.Name == "modbus" {
		m.Op = protocols.Write
	}
	if m.HasStation = r.Station != nil; m.HasStation {
		m.Station = *r.Station
	}
	if m.HasMaster = r.Master != nil; m.HasMaster {
		m.Master = *r.Master
	}
	m.From, m.Turn = protocols.Client, protocols.Request
	for _, p := range a.points() {
		point := protocols.Point{Kind: kindOf(p.Kind), Addr: p.Addr, N: p.N}
		if p.Value != nil {
			point.Value, point.Has = *p.Value, protocols.HasValue
		}
		m.Points = append(m.Points, point)
	}
	l.event = rules.Event{What: rules.Action, At: l.now, Frame: r.Frames[len(r.Frames)-1], Flow: a.flow, Msg: m, Facts: a.facts, Act: act}
	l.cfg.Tell(&l.event)
}

// effect says whether what a moves has moved. It is missing where the station has shown that it follows this point, the
// command was for another state than the last one that had an effect, and the wait for it was over without a loss.
func (l *Ledger) effect(a *action) rules.Effect {
	switch {
	case a.record.Effect != nil:
		return rules.EffectSeen
	case a.record.Outcome != Confirmed || a.gap || a.datagram || l.lossAt >= a.began || !l.maps.expects(a):
		return rules.EffectUnknown
	case l.now < a.deadline || l.now-a.deadline > watching: // closed for another reason, or nothing at all was seen for long
		return rules.EffectUnknown
	}
	return rules.EffectMissing
}

// unasked tells the rules of a change that no command explains.
func (l *Ledger) unasked(e *rules.Event, p *protocols.Point) {
	if l.cfg.Tell == nil {
		return
	}
	l.act = rules.Act{Unasked: true, Frames: l.frames[:1]}
	l.frames[0] = e.Frame
	m := &l.said
	m.Reset()
	m.Proto, m.HasCode, m.Code, m.Name, m.Op = e.Msg.Proto, e.Msg.HasCode, e.Msg.Code, e.Msg.Name, e.Msg.Op
	m.HasStation, m.Station, m.HasMaster, m.Master, m.From = e.Msg.HasStation, e.Msg.Station, e.Msg.HasMaster, e.Msg.Master, e.Msg.From
	m.Points = append(m.Points, *p)
	l.event = rules.Event{What: rules.Action, At: l.now, Frame: e.Frame, Flow: e.Flow, Msg: m, Facts: e.Facts, Act: &l.act}
	l.cfg.Tell(&l.event)
}

// watching is how soon after the end of a wait something must be seen, of anybody, to say that it was waited.
const watching = int64(60e9)

// kindOf is the kind of a word.
func kindOf(word string) protocols.Kind {
	for k := protocols.OtherKind; k <= protocols.Counter; k++ {
		if k.String() == word {
			return k
		}
	}
	return protocols.OtherKind
}
