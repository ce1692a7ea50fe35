package engine

import (
	"errors"
	"net/netip"
	"slices"

	"github.com/roje-ot/roje/rules/lang"
)

// What an engine remembers is saved in parts, so that whoever owns it need not stop it for all of them at once: one part
// for each rule, and a last one for findings and incidents. A finding is saved after the rule that made it: at worst the
// rule finds it again, and it is a repeat.

// Parts returns how many parts there are.
func (g *Engine) Parts() int { return len(g.run) + 1 }

// Seed is what keys are made with.
func (g *Engine) Seed() uint64 { return uint64(g.seed) }

// AppendPart appends part n. It changes nothing.
func (g *Engine) AppendPart(dst []byte, n int, events Coder) []byte {
	c := &codec{b: dst, events: events}
	if n < len(g.run) {
		c.rule(g.run[n])
	} else {
		c.rest(g, nil)
	}
	return c.b
}

var (
	errPart = errors.New("what the rules remember makes no sense")
	errSums = errors.New("what the rules remember is of a rule that is there twice")
)

// A Memory is what was saved of an engine, on its way into another.
type Memory struct {
	g       *Engine
	kept    map[int]*running // by the number that the rule had
	changed int
	next    int
}

// Restore begins to restore a new engine, before its first event. Call Part for each part, in their order, then Done. If
// one fails, the engine is of no use.
func (g *Engine) Restore() *Memory { return &Memory{g: g, kept: map[int]*running{}} }

// Part takes one part. Like Carry, it leaves a rule that is not the same as it was to begin anew.
func (m *Memory) Part(b []byte, events Coder) error {
	c := &codec{b: b, read: true, events: events}
	switch last, err := c.restore(m); {
	case err != nil:
		return err
	case last:
		c.rest(m.g, m)
	}
	if c.bad || len(c.b) > 0 {
		return errPart
	}
	return nil
}

// Restored says what became of what was saved.
type Restored struct {
	Rules    int   // go on with what they remember
	Changed  int   // are not the same any more, or gone; what they remembered is dropped
	Keys     int   // that are remembered
	Findings int   // that are open
	At       int64 // packet time at which it was saved
}

// Done puts the engine in order. same says that it will hear the sources that the saved one heard: what came regularly is
// then expected again. It is otherwise when it is heard. The first event or Tick says how long nobody watched: that time
// is no silence, and after more than a week, or where time runs back, nothing of what was saved counts.
func (m *Memory) Done(same bool) Restored {
	g := m.g
	r := Restored{Rules: len(m.kept), Changed: m.changed, Findings: len(g.fold.index), At: g.resume.saved}
	for _, k := range m.kept {
		switch {
		case k.state != nil:
			r.Keys += len(k.state.cells)
		case k.watch != nil:
			r.Keys += len(k.watch.cells)
		}
	}
	for _, k := range g.run {
		if m.kept[k.number] != k {
			k.number = m.next // keys of findings are made of it, and those of before are still in use
			m.next++
		}
	}
	g.resume.waits, g.resume.same = true, same
	return r
}

// resume says that an engine goes on where a saved one stood.
type resume struct {
	waits bool  // for the first event
	same  bool  // sources as then
	saved int64 // packet time
}

// tooOld is after how long what a rule remembers is no guide any more.
const tooOld = 7 * 24 * 3600 * 1e9

// wake says that watching goes on at a packet time, after a time in which nobody did.
func (g *Engine) wake(at int64) {
	r := g.resume
	g.resume = resume{}
	if away := at - r.saved; away < -tickEvery || away > tooOld {
		g.Flush()
		g.begin()
		g.ticked = at
		return
	}
	g.ticked = at
	for _, run := range g.run {
		switch {
		case run.watch != nil && r.same:
			run.watch.resume(at)
		case run.watch != nil:
			run.watch.forget()
		case run.state != nil && run.State.Rate:
			for i := range run.state.cells {
				run.state.cells[i].rate.pause()
			}
		}
	}
}

// passing tells whether what r remembers, or what tells its findings apart, is of one run of the sensor alone: the numbers
// of connections are given out anew.
func passing(r *lang.Rule) bool {
	conn := func(w *lang.Word) bool { return w != nil && w.Name == "connection" }
	if slices.ContainsFunc(r.Per, conn) {
		return true
	}
	s := r.State
	return s != nil && (slices.ContainsFunc(s.By, conn) || slices.ContainsFunc(s.Alive, conn) || conn(s.Distinct) || conn(s.Last))
}

// Kinds of parts.
const (
	ruleRemembers = iota
	ruleIsPassing // only its number is of use
	restOfAll
)

// rule writes the part of one rule.
func (c *codec) rule(r *running) {
	kind := ruleRemembers
	if passing(r.Rule) {
		kind = ruleIsPassing
	}
	number(c, &kind)
	id, n := r.ID, r.number
	c.text(&id)
	c.b = append(c.b, r.Sum[:]...)
	if number(c, &n); kind == ruleRemembers {
		c.memory(r)
	}
}

// memory goes through what a rule remembers.
func (c *codec) memory(r *running) {
	switch {
	case r.watch != nil:
		c.watch(r.watch)
	case r.state != nil:
		c.state(r.state)
	}
}

// restore reads the part of one rule, or that it is the last.
func (c *codec) restore(m *Memory) (last bool, err error) {
	var kind, n int
	if number(c, &kind); kind == restOfAll {
		return true, nil
	}
	var id string
	c.text(&id)
	var sum lang.Sum
	copy(sum[:], c.take(len(sum)))
	number(c, &n)
	if c.bad || n < 0 {
		return false, errPart
	}
	m.next = max(m.next, n+1)
	i := slices.IndexFunc(m.g.run, func(r *running) bool { return r.ID == id && r.Sum == sum })
	switch {
	case i < 0:
		m.changed++
		c.b = nil
		return false, nil
	case kind == ruleIsPassing:
		return false, nil
	case m.kept[n] != nil:
		return false, errSums
	}
	r := m.g.run[i]
	r.number = n
	m.kept[n] = r
	c.memory(r)
	return false, nil
}

// rest goes through findings and incidents. m is nil where it is written.
func (c *codec) rest(g *Engine, m *Memory) {
	saved, kind := g.ticked, restOfAll
	if g.resume.waits {
		saved = g.resume.saved // saved again before anything came
	}
	if !c.read {
		number(c, &kind)
	}
	if number(c, &saved); c.read {
		g.resume.saved = saved
	}
	number(c, &g.swept)
	c.fold(g.fold, m)
	if c.read {
		g.drop()
	}
	c.fan(g.fan)
	c.cases(g.cases)
	table(c, (*map[netip.Addr][]cause)(&g.causes), maxCauses, func(a *netip.Addr, of *[]cause) {
		c.addr(a)
		slice(c, of, maxFindings, func(x *cause) {
			c.hash(&x.key)
			number(c, &x.words)
			c.addr(&x.client)
		})
	})
}

// drop ends the findings of rules that are not there any more; what was not said of them is emitted.
func (g *Engine) drop() {
	for _, f := range g.fold.all() {
		if f.rule == nil {
			g.settle(f)
			g.fold.close(f.key)
		}
	}
}
