package baseline

import (
	"fmt"
	"time"
)

// A Decision says what an approval did.
type Decision struct {
	Approved map[string]int // items by kind
	Held     []*Item        // what only a person may approve, item by item, sorted by key
}

// Approve approves everything that is pending. Held items stay as they are.
func (b *Baseline) Approve(who string, at time.Time) Decision {
	d := Decision{Approved: map[string]int{}}
	for _, it := range b.Waiting() {
		if it.State == Held {
			d.Held = append(d.Held, it)
			continue
		}
		d.Approved[it.Kind]++
	}
	when := at.UnixNano()
	b.each(func(_ *Item, m *mark) {
		if m.state == Pending {
			m.approve(who, when)
		}
	})
	b.mergeSpans()
	b.recount()
	return d
}

// ApproveItem approves one item by its key, held or not. That is a person's decision.
func (b *Baseline) ApproveItem(key, who string, at time.Time) error {
	found := false
	b.each(func(it *Item, m *mark) {
		if it.Key() == key {
			m.approve(who, at.UnixNano())
			found = true
		}
	})
	if !found {
		return fmt.Errorf("no item %q; `roje-sensor baseline diff` lists those that wait", key)
	}
	b.mergeSpans()
	b.recount()
	return nil
}

// mergeSpans moves ranges whose approval has come to the approved ones.
func (b *Baseline) mergeSpans() {
	for key, s := range b.spans {
		if len(s.pending) == 0 || !s.fresh.approved() {
			continue
		}
		old := *s
		old.approved, old.fresh.state = nil, Pending
		old.each(key, func(it *Item, _ *mark) { b.gone = append(b.gone, it.Key()) })
		for _, r := range s.pending {
			s.approved.add(r.lo, r.hi)
		}
		count, first, last := s.count, s.first, s.last
		if s.state == "" {
			first, last = s.fresh.first, s.fresh.last
		}
		s.mark = mark{state: Approved, count: count + s.fresh.count, first: min(first, s.fresh.first), last: max(last, s.fresh.last),
			who: s.fresh.who, when: s.fresh.when, dirty: true}
		s.pending, s.fresh = nil, mark{}
	}
}

// recount derives from the approved links what Facts say of hosts.
func (b *Baseline) recount() {
	b.knows = false
	for _, h := range b.hosts {
		h.masters, h.writers, h.commands, h.isClient, h.isServer = 0, 0, false, false, false
	}
	for _, l := range b.links {
		l.writes = false
		for key, o := range l.ops {
			l.writes = l.writes || o.approved() && changes(key.side, o.op)
		}
		if !l.approved() {
			continue
		}
		b.knows = true
		l.client.isClient, l.server.isServer = true, true
		l.server.masters++
		if l.writes {
			l.server.writers++
			l.client.commands = true
		}
	}
	b.forget()
}
