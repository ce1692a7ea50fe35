package baseline

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"time"
)

// An approved item that was not seen for AgeLimit, and for three times its longest pause, is stale: it used to be there. A
// person takes it out, or leaves it; by itself nothing leaves the baseline.
const (
	AgeLimit = 90 * 24 * time.Hour
	pauses   = 3
)

// touch notes that an approved item was seen while it is enforced, to the hour.
func (m *mark) touch(at int64) {
	if at-m.seen < anHour || m.state != Approved {
		return
	}
	if before := max(m.seen, m.last); before < at {
		m.gap = max(m.gap, at-before)
	}
	m.seen, m.dirty = at, true
}

// touch notes that what c names was seen.
func (c *context) touch(o *op, station *mark, at int64) {
	for _, h := range [...]*host{c.client, c.server} {
		if h != nil {
			h.touch(at)
		}
	}
	if c.link != nil {
		c.link.touch(at)
	}
	if o != nil {
		o.touch(at)
	}
	if station != nil {
		station.touch(at)
	}
}

// lastSeen is when an item was there last, as far as is known: what a person approved later was there then.
func (m *mark) lastSeen() int64 { return max(m.seen, m.last, m.when) }

func (m *mark) stale(now int64) bool {
	return m.state == Approved && now-m.lastSeen() > max(int64(AgeLimit), pauses*m.gap)
}

// marks calls f with the mark of every approved item that can be stale.
func (b *Baseline) marks(f func(*mark)) {
	for _, h := range b.hosts {
		f(&h.mark)
	}
	for _, l := range b.links {
		f(&l.mark)
		for _, s := range l.stations {
			f(s)
		}
		for _, o := range l.ops {
			f(&o.mark)
		}
	}
	for _, s := range b.spans {
		f(&s.mark)
	}
	for _, t := range b.targets {
		f(&t.mark)
	}
}

// CountStale returns how many approved items are stale at now, Unix nanoseconds.
func (b *Baseline) CountStale(now int64) (n int) {
	b.marks(func(m *mark) {
		if m.stale(now) {
			n++
		}
	})
	return n
}

// Stale returns the items that are stale at now, sorted by key.
func (b *Baseline) Stale(now int64) (items []*Item) {
	b.each(func(it *Item, m *mark) {
		if m.stale(now) {
			items = append(items, it)
		}
	})
	return sorted(items)
}

// Retire takes stale items out of the baseline, all of them or the one of a key, and makes a version of what is left. What
// comes back later is new.
func (b *Baseline) Retire(key, who, why string, at time.Time) (int, error) {
	out := map[string]bool{}
	for _, it := range b.Stale(at.UnixNano()) {
		if k := it.Key(); key == "" || k == key {
			out[k] = true
		}
	}
	if key != "" && len(out) == 0 {
		return 0, fmt.Errorf("no item %q is stale; `roje-sensor baseline stale` lists those that are", key)
	}
	if len(out) == 0 {
		return 0, nil
	}
	retired := map[*mark]bool{}
	b.each(func(it *Item, m *mark) {
		if out[it.Key()] {
			retired[m] = true
		}
	})
	b.drop(retired)
	b.gone = slices.AppendSeq(b.gone, maps.Keys(out))
	b.recount()
	if why == "" {
		why = fmt.Sprintf("%d items were not seen any more", len(out))
	}
	b.version(who, why, at)
	return len(out), nil
}

// drop forgets the items of these marks. A link that is forgotten takes along what hangs on it.
func (b *Baseline) drop(retired map[*mark]bool) {
	for _, h := range b.hosts {
		if retired[&h.mark] {
			first, last := h.first, h.last
			h.mark, h.macs, h.client, h.server = mark{first: first, last: last}, nil, false, false
		}
	}
	for key, l := range b.links {
		maps.DeleteFunc(l.stations, func(_ uint32, m *mark) bool { return retired[m] })
		maps.DeleteFunc(l.ops, func(_ opKey, o *op) bool { return retired[&o.mark] })
		if !retired[&l.mark] {
			continue
		}
		for _, it := range l.items() {
			b.gone = append(b.gone, it.Key())
		}
		delete(b.links, key)
	}
	maps.DeleteFunc(b.targets, func(key targetKey, t *target) bool {
		if retired[&t.mark] && t.wider != nil {
			b.gone = append(b.gone, t.widerItem(key).Key())
		}
		return retired[&t.mark]
	})
	for key, s := range b.spans {
		if retired[&s.mark] {
			if s.approved, s.mark = nil, (mark{}); len(s.pending) == 0 {
				delete(b.spans, key)
			}
		}
	}
}

// staleText lists stale items for people.
func staleText(items []*Item) Answer {
	return func(out io.Writer) error {
		for _, it := range items {
			last := it.Last
			if it.Seen != nil && it.Seen.After(last) {
				last = *it.Seen
			}
			if _, err := fmt.Fprintf(out, "used to be there until %s: %s\n", last.Format("2006-01-02 15:04"), it.Text()); err != nil {
				return err
			}
		}
		return nil
	}
}
