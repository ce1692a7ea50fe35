package baseline

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/roje-ot/roje/sensor/course"
)

// A Decision says what an approval did.
type Decision struct {
	Approved map[string]int // items by kind
	Held     []*Item        // what only a person may approve, item by item, sorted by key
	Left     int            // items that wait on, since they were not chosen
}

// A Choice is a person's decision over what waits.
type Choice struct {
	Who, Why string
	At       time.Time
	Classes  []Class    // what is approved of what waits; ByItem is never
	Host     netip.Addr // only items of this host; all where it is not valid
}

// Approve approves everything that is pending, however seldom it was seen. Held items stay as they are.
func (b *Baseline) Approve(who string, at time.Time) Decision {
	return b.Decide(Choice{Who: who, Why: "all that was learned", At: at, Classes: []Class{Reads, Commands, Mixed, Rarely}})
}

// Decide approves the classes that were chosen, and makes a version of the result.
func (b *Baseline) Decide(c Choice) Decision {
	d := b.decide(c)
	b.version(c.Who, c.Why, c.At)
	return d
}

// decide is Decide without a version.
func (b *Baseline) decide(c Choice) Decision {
	d := Decision{Approved: map[string]int{}}
	chosen := map[string]bool{}
	parts := map[string]string{} // ranges of points, by key
	b.waiting(c.At, func(it *Item, class Class) {
		switch {
		case c.Host.IsValid() && !it.names(c.Host):
		case class == ByItem:
			d.Held = append(d.Held, it)
		case slices.Contains(c.Classes, class):
			d.Approved[it.Kind]++
			chosen[it.Key()] = true
			if it.Kind == "points" {
				parts[it.Key()] += "," + it.Ranges
			}
		default:
			d.Left++
		}
	})
	d.Held = sorted(d.Held)
	b.grant(chosen, parts, c)
	return d
}

// grant approves the items of these keys.
func (b *Baseline) grant(chosen map[string]bool, parts map[string]string, c Choice) {
	when := c.At.UnixNano()
	b.each(func(it *Item, m *mark) {
		if it.Kind != "points" && m.state != Approved && chosen[it.Key()] {
			m.approve(c.Who, when)
		}
	})
	for key, s := range b.spans {
		s.each(key, func(it *Item, m *mark) {
			if m != &s.fresh || !chosen[it.Key()] {
				return
			}
			r, _ := parseRanges(strings.Trim(parts[it.Key()], ",")) // what String wrote
			b.mergeSpans(key, s, r, c.Who, when)
		})
	}
	by := &course.Grant{Who: c.Who, When: when}
	b.courses.Each(func(v *course.Values) {
		if v.Waits() {
			if chosen[pendingValues(v).Key()] {
				b.courses.Approve(v.Point, by)
			}
		}
	})
	b.settle()
	for _, h := range b.hosts {
		if h.again && (!c.Host.IsValid() || h.addr == c.Host) {
			h.again, h.dirty = false, true
		}
	}
	b.recount()
}

// names tells whether an item is of this host.
func (it *Item) names(addr netip.Addr) bool {
	is := func(a *netip.Addr) bool { return a != nil && *a == addr }
	return is(it.Host) || is(it.Client) || is(it.Server)
}

// ApproveItem approves one item by its key, held or not. That is a person's decision.
func (b *Baseline) ApproveItem(key, who, why string, at time.Time) error {
	chosen, parts := map[string]bool{}, map[string]string{}
	for _, it := range b.Waiting() {
		if it.Key() == key {
			chosen[key], parts[key] = true, it.Ranges
		}
	}
	if len(chosen) == 0 {
		return fmt.Errorf("no item %q waits; `roje-sensor baseline diff` lists those that do", key)
	}
	b.grant(chosen, parts, Choice{Who: who, At: at})
	b.version(who, cmp.Or(why, "item "+key), at)
	return nil
}

// mergeSpans moves pending points to the approved ones.
func (b *Baseline) mergeSpans(key spanKey, s *spans, r ranges, who string, when int64) {
	old := *s
	old.approved = nil
	old.each(key, func(it *Item, _ *mark) { b.gone = append(b.gone, it.Key()) })
	for _, p := range r {
		s.approved.add(p.lo, p.hi)
	}
	count, first, last := s.count, s.first, s.last
	if s.state == "" {
		first, last = s.fresh.first, s.fresh.last
	}
	s.mark = mark{state: Approved, count: count + s.fresh.count, first: min(first, s.fresh.first), last: max(last, s.fresh.last),
		who: who, when: when, dirty: true, support: s.fresh.support}
	left := s.pending.without(s.approved)
	s.pending = left
	if len(left) == 0 {
		b.runs -= len(s.runs)
		s.fresh, s.runs = mark{}, nil
		return
	}
	s.fresh.dirty = true
	for run := range s.runs {
		if s.approved.has(run.lo, run.hi) {
			delete(s.runs, run)
			b.runs--
		}
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
