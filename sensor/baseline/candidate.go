package baseline

import (
	"maps"
	"time"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/sensor/course"
)

// Learning tells whether anything is being learned: all, or hosts that are learned anew.
func (b *Baseline) Learning() bool {
	if b.phase == rules.Learn {
		return true
	}
	if b.phase == rules.Enforce {
		for _, h := range b.hosts {
			if h.again {
				return true
			}
		}
	}
	return false
}

// Candidate takes, on the goroutine that owns b, what is known. The function it returns may run on another goroutine: it
// makes a Baseline in memory that enforces what was approved and what waits in these classes at now, as if that had
// been approved, or returns nil where nothing would be enforced. What b learns afterwards does not come into it.
func (b *Baseline) Candidate(classes []Class, now time.Time) func() (*Baseline, error) {
	var items []*Item
	b.each(func(it *Item, _ *mark) { items = append(items, it) })
	for _, h := range b.hosts {
		if h.state == "" && (h.answers || h.asks) {
			it := h.item()
			it.State = Pending
			items = append(items, it)
		}
	}
	lists := b.lists
	rows := rows{}
	b.courses.Rows(rows.put)
	return func() (*Baseline, error) {
		c := empty(Options{Phase: rules.Enforce})
		for _, it := range items {
			it.Again, c.lists = false, lists
			if err := c.load(it); err != nil {
				return nil, err
			}
		}
		for _, table := range course.Tables() {
			for key, value := range rows[table] {
				if err := c.courses.Load(table, []byte(key), value); err != nil {
					return nil, err
				}
			}
		}
		c.decide(Choice{Who: "candidate", At: now, Classes: classes})
		c.slim()
		if !c.knows {
			return nil, nil
		}
		return c, nil
	}
}

// slim forgets what is not approved, hosts aside, since nothing is learned any more.
func (b *Baseline) slim() {
	maps.DeleteFunc(b.links, func(_ linkKey, l *link) bool { return !l.approved() && !l.hasApproved() })
	maps.DeleteFunc(b.targets, func(_ targetKey, t *target) bool { return !t.approved() })
	for key, s := range b.spans {
		s.pending, s.runs, s.fresh = nil, nil, mark{}
		if len(s.approved) == 0 {
			delete(b.spans, key)
		}
	}
	b.gone, b.texts = nil, nil
	b.forget()
}
