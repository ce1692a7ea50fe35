package engine

import (
	"hash/maphash"
	"slices"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/lang"
)

// Options are an engine's settings. The zero value works; Emit must be set.
type Options struct {
	Sensor string // name of the sensor; part of the alerts' ids
	// Emit takes an alert, which is its own from then on. An alert is emitted at once when it is new, and once more,
	// with the same id, after its repeats have ended, if there were any.
	Emit func(*rules.Alert)
}

// An Engine judges events. One goroutine uses it.
type Engine struct {
	emit   func(*rules.Alert)
	sensor string
	env    lang.Env
	index  *index
	run    []*running
	fold   *fold
	fan    *fan
	cases  *cases
	swept  int64 // packet time of the last look for findings that have ended
}

// running is a rule with its state.
type running struct {
	*lang.Rule
	state   *state // nil if the rule remembers nothing
	number  int
	covered bool // the index says all that When says
}

// New makes an engine for these rules.
func New(set []*lang.Rule, o Options) *Engine {
	g := &Engine{emit: o.Emit, sensor: o.Sensor, fold: newFold(), fan: newFan(), cases: newCases()}
	seed := lang.Hash(maphash.Bytes(maphash.MakeSeed(), []byte("roje")))
	for i, r := range set {
		run := &running{Rule: r, number: i, covered: covered(&r.When)}
		if r.State != nil {
			run.state = newState(r.State, seed)
		}
		g.run = append(g.run, run)
	}
	g.index = newIndex(g.run)
	return g
}

// sweepEvery is how often findings that have ended are looked for, in packet time.
const sweepEvery = 10e9

// Judge runs the rules over e and emits what they find. It keeps nothing of e.
func (g *Engine) Judge(e *rules.Event) {
	if e.At-g.swept > sweepEvery || e.At < g.swept-sweepEvery {
		g.swept = e.At
		g.sweep(e.At)
	}
	g.env.E = e
	for _, r := range g.index.lookup(e) {
		if r.exact(e) && r.judge(&g.env) {
			g.fire(r)
		}
	}
}

// exact asks what the index cannot tell.
func (r *running) exact(e *rules.Event) bool {
	w, m := &r.When, e.Msg
	if r.covered && e.What == rules.Message || m == nil {
		return true
	}
	return (w.Names == nil || slices.Contains(w.Names, m.Name)) &&
		(w.Faults == 0 || w.Faults&m.Faults != 0) &&
		(w.Codes == nil || m.HasCode && slices.Contains(w.Codes, m.Code)) &&
		(w.Protos == nil || slices.Contains(w.Protos, m.Proto.Name)) &&
		w.From.Takes(m.From == protocols.Client)
}

// judge tells whether r fires, and lets its state count.
func (r *running) judge(env *lang.Env) bool {
	if r.Before != nil && !r.Before(env) {
		return false
	}
	if r.state == nil {
		return true
	}
	r.state.count(env)
	if r.After != nil {
		return r.After(env)
	}
	return r.State.Sequence == nil || env.Step == int64(len(r.State.Sequence))
}
