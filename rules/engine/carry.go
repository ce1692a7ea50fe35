package engine

// Carry lets g go on where from stands, and returns how many rules do. What a rule of from remembers (counts, windows,
// what it waits for) goes to the rule of g with the same id and sum; its open findings go on as the same alerts, and all
// incidents stay. The findings of other rules end: what was not said of them is emitted. Call it on a new engine, before
// its first event; from must not be used afterwards.
func (g *Engine) Carry(from *Engine) (kept int) {
	old, next := map[string]*running{}, 0
	for _, r := range from.run {
		old[r.ID] = r
		next = max(next, r.number+1)
	}
	successor := map[*running]*running{}
	for _, r := range g.run {
		o := old[r.ID]
		if o == nil || o.Sum != r.Sum {
			r.number = next // keys of findings are made of it, and those of from are still in use
			next++
			continue
		}
		kept++
		successor[o] = r
		r.number, r.state, r.watch = o.number, o.state, o.watch
		if r.state != nil {
			r.state.State = r.State
		}
		if r.watch != nil {
			r.watch.State = r.State
		}
	}
	for _, f := range from.fold.all() {
		if r := successor[f.rule]; r != nil {
			f.rule = r
			continue
		}
		from.settle(f)
		from.fold.close(f.key)
	}
	g.fold, g.fan, g.cases, g.causes = from.fold, from.fan, from.cases, from.causes
	g.swept, g.ticked, g.resume = from.swept, from.ticked, from.resume
	g.seed, g.env.Seed, g.budget = from.seed, from.seed, from.budget
	return kept
}
