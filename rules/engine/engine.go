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
	// Seed is what keys are made with, so that nobody on the wire can choose values that collide. What one engine has saved
	// only one of the same seed can take. 0: one is chosen by chance.
	Seed   uint64
	Budget Budget // of incidents
	// Emit takes an alert, which is its own from then on. An alert is emitted at once when it is new, and once more,
	// with the same id, after its repeats have ended, if there were any.
	Emit func(*rules.Alert)
}

// An Engine judges events. One goroutine uses it.
type Engine struct {
	emit   func(*rules.Alert)
	sensor string
	seed   lang.Hash
	budget Budget
	env    lang.Env
	index  *index
	run    []*running
	fold   *fold
	fan    *fan
	cases  *cases
	causes causes
	swept  int64 // packet time of the last look for findings that have ended
	resume resume
	zones  zones

	waits  []*running // rules that fire when time has passed
	ticked int64      // packet time of the last look at them
}

// running is a rule with its state.
type running struct {
	*lang.Rule
	state   *state // nil if the rule remembers nothing
	watch   *watch // of a rule that waits, in place of state; else nil
	number  int
	covered bool // the index says all that When says
}

// New makes an engine for these rules.
func New(set []*lang.Rule, o Options) *Engine {
	g := &Engine{emit: o.Emit, sensor: o.Sensor, seed: lang.Hash(o.Seed), budget: o.Budget}
	if g.seed == 0 {
		g.seed = lang.Hash(NewSeed())
	}
	g.env.Seed = g.seed
	for i, r := range set {
		run := &running{Rule: r, number: i, covered: covered(&r.When)}
		if r.State.Waits() {
			g.waits = append(g.waits, run)
		}
		g.run = append(g.run, run)
		g.zones.add(r)
	}
	slices.SortStableFunc(g.waits, func(a, b *running) int { return len(a.State.By) - len(b.State.By) }) // causes before what they explain
	g.index = newIndex(g.run)
	g.begin()
	return g
}

// NewSeed chooses a seed by chance.
func NewSeed() uint64 { return maphash.Bytes(maphash.MakeSeed(), []byte("roje")) | 1 }

// begin forgets all that was judged.
func (g *Engine) begin() {
	g.fold, g.fan, g.cases = newFold(), newFan(), newCases(g.budget)
	g.causes = causes{}
	g.swept, g.ticked = 0, 0
	g.resume = resume{}
	for _, r := range g.run {
		switch {
		case r.State.Waits():
			r.watch = newWatch(r.State, g.seed)
		case r.State != nil:
			r.state = newState(r.State, g.seed)
		}
	}
}

// sweepEvery is how often findings that have ended are looked for, in packet time.
const sweepEvery = 10e9

// Judge runs the rules over e and emits what they find. It keeps nothing of e.
func (g *Engine) Judge(e *rules.Event) {
	if e.At-g.swept > sweepEvery || e.At < g.swept-sweepEvery {
		g.swept = e.At
		g.sweep(e.At)
	}
	if e.At >= g.ticked+tickEvery || e.At < g.ticked {
		g.Tick(e.At)
	}
	g.env.E = e
	g.zones.look(e)
	lacks := ^lang.Shown(e)
	for _, r := range g.index.lookup(e) {
		switch {
		case r.Need&lacks != 0:
		case !(r.covered && e.What == rules.Message) && !r.exact(e):
		case r.state != nil && r.State.Each && e.Msg != nil:
			for i := range e.Msg.Points {
				if g.env.Point = i; r.judge(&g.env) {
					g.fire(r)
				}
			}
			g.env.Point = 0
		case r.judge(&g.env):
			g.fire(r)
		}
	}
}

const (
	tickEvery = 1e9       // how often the rules that wait are looked at, in packet time
	unwatched = 900 * 1e9 // time in which nothing at all was seen is time in which nobody watched
)

// Tick says that it is now at, in packet time, and lets the rules fire that wait for what has not come. Judge calls it
// for the time of its events; where packets may stop altogether, whoever feeds the engine calls it besides. A long
// time without any event, and time that runs back, as between captures, prove no silence: waiting begins anew.
func (g *Engine) Tick(at int64) {
	if g.resume.waits {
		g.wake(at)
	}
	jump := at - g.ticked
	g.ticked = at
	for _, r := range g.waits {
		if jump < -tickEvery || jump > unwatched {
			r.watch.forget()
			continue
		}
		for e := r.watch.due(at, &g.env); e != nil; e = r.watch.due(at, &g.env) {
			g.env.E = e
			if r.After == nil || r.After(&g.env) {
				g.fire(r)
			}
		}
	}
}

// exact asks what the index cannot tell.
func (r *running) exact(e *rules.Event) bool {
	w, m := &r.When, e.Msg
	if m == nil {
		return true
	}
	return (w.Names == nil || slices.Contains(w.Names, m.Name)) &&
		(w.Faults == 0 || w.Faults&m.Faults != 0) &&
		(w.Codes == nil || m.HasCode && slices.Contains(w.Codes, m.Code)) &&
		(w.Protos == nil || slices.Contains(w.Protos, m.Proto.Name)) &&
		w.From.Takes(m.From == protocols.Client) &&
		(e.What != rules.Action || w.Ops == 0 || w.Ops&(1<<m.Op) != 0)
}

// judge tells whether r fires, and lets its state count.
func (r *running) judge(env *lang.Env) bool {
	if r.State != nil && r.State.Only != nil && !r.State.Only(env) {
		return false
	}
	if r.watch != nil && r.State.Expect != nil && r.State.Expect(env) {
		r.watch.came(env)
		return false
	}
	if r.Before != nil && !r.Before(env) {
		if r.state != nil && r.State.Prior != nil && r.State.Prior(env) {
			r.state.remember(env)
		}
		return false
	}
	if r.watch != nil {
		r.watch.hear(env)
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
