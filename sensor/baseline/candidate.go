package baseline

import (
	"errors"
	"maps"
	"time"
	"unsafe"

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

// What a copy of the baseline may stand beside: the baseline, the copy and the items that it is made of take at most
// memory between them. Without a copy the tables alone are bounded, by their caps.
const (
	memory     = 100 << 20
	mostCopied = memory / 4
)

// ErrLarge says that there is no room for a copy of the baseline.
var ErrLarge = errors.New("too much was learned to judge it a second time: approve or reject what waits, or look for who floods the network")

// Copies tells whether there is room for a candidate.
func (b *Baseline) Copies() bool { return b.size() <= mostCopied }

// size is how many bytes the tables take, about: what TestFull has measured, rounded up.
func (b *Baseline) size() int {
	n := len(b.hosts)*500 + len(b.spans)*600 + b.runs*100 + len(b.targets)*380 + b.courses.Size()
	for _, t := range b.targets {
		if t.wider != nil {
			n += int(unsafe.Sizeof(*t.wider))
		}
	}
	for _, l := range b.links {
		n += 1000 + len(l.stations)*220 + len(l.ops)*270
		if l.delays != nil {
			n += int(unsafe.Sizeof(*l.delays))
		}
	}
	return n
}

// Candidate takes, on the goroutine that owns b, what is known. The function it returns may run on another goroutine: it
// makes a Baseline in memory that enforces what was approved and what waits in these classes at now, as if that had
// been approved, or returns nil where nothing would be enforced, and ErrLarge where there is no room for it. What b learns afterwards does not come into it.
func (b *Baseline) Candidate(classes []Class, now time.Time) func() (*Baseline, error) {
	if !b.Copies() {
		return func() (*Baseline, error) { return nil, ErrLarge }
	}
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
	maps.DeleteFunc(b.targets, func(_ targetKey, t *target) bool { t.wider = nil; return !t.approved() })
	for key, s := range b.spans {
		s.pending, s.runs, s.fresh = nil, nil, mark{}
		if len(s.approved) == 0 {
			delete(b.spans, key)
		}
	}
	b.gone, b.texts = nil, nil
	b.forget()
}
