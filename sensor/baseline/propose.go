package baseline

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/sensor/course"
)

// A Class says who may approve a waiting item, and how.
type Class string

// The classes, in the order in which they are shown.
const (
	Listed   Class = "engineered" // in the point lists of the site: approved together
	Reads    Class = "reads"      // seen often, and changes nothing: approved together
	Commands Class = "commands"   // seen often, and changes the process, a clock, a file or a configuration
	Mixed    Class = "mixed"      // of a host that both commands and is commanded, as an intruder on a station would be
	Rarely   Class = "rare"       // seen in few hours or on one day only: please judge
	ByItem   Class = "held"       // only item by item
)

// Classes returns all classes, in the order in which they are shown.
func Classes() []Class { return []Class{Listed, Reads, Commands, Mixed, Rarely, ByItem} }

// About says what a class is, for people.
func (c Class) About() string {
	return map[Class]string{
		Listed: "in the point lists of the site", Reads: "seen often, changes nothing", Commands: "seen often, changes something", Mixed: "of a host that is both client and server",
		Rarely: fmt.Sprintf("seen in less than %d hours or on less than %d days; please judge", steadyHours, steadyDays), ByItem: "only item by item",
	}[c]
}

// A Group is waiting items that are alike: of one class, kind, protocol and operation.
type Group struct {
	Class Class   `json:"class"`
	What  string  `json:"what"`
	Items []*Item `json:"items"`
}

// Propose groups all that waits and was not rejected, sorted by class, then by what it is.
func (b *Baseline) Propose(now time.Time) []*Group {
	groups := map[string]*Group{}
	b.waiting(now, func(it *Item, c Class) {
		key := string(c) + " " + it.about()
		if groups[key] == nil {
			groups[key] = &Group{Class: c, What: it.about()}
		}
		groups[key].Items = append(groups[key].Items, it)
	})
	var all []*Group
	for _, g := range groups {
		g.Items = sorted(g.Items)
		all = append(all, g)
	}
	slices.SortFunc(all, func(x, y *Group) int {
		return cmp.Or(slices.Index(Classes(), x.Class)-slices.Index(Classes(), y.Class), cmp.Compare(x.What, y.What))
	})
	return all
}

// about is what the items of a group have in common.
func (it *Item) about() string {
	switch it.Kind {
	case "op":
		return strings.TrimSpace(fmt.Sprintf("%s %s from the %s", it.Proto, it.Name, it.From))
	case "points", "target", "values":
		return it.Kind + " " + it.Points
	}
	return strings.TrimSpace(it.Kind + " " + it.Proto)
}

// doubtful is why a range is rare.
const doubtful = "its range rests on values that few hours have seen, far beyond the others"

// waiting calls f with every item that is not approved, in no order, save for those that a person has rejected and that
// have not changed since. Points are several items where some of them are rare, or in a list.
func (b *Baseline) waiting(now time.Time, f func(*Item, Class)) {
	put := func(it *Item, c Class) {
		if !it.refused(now) {
			it.Engineered = b.engineered(it)
			f(it, c)
		}
	}
	each := func(it *Item, m *mark) {
		if m.state != Approved {
			put(it, b.class(it, m))
		}
	}
	for _, h := range b.hosts {
		if h.state != "" && !h.approved() {
			each(h.item(), &h.mark)
		}
	}
	for _, l := range b.links {
		l.each(each)
	}
	for key, t := range b.targets {
		it, m, lows, highs := t.item(key), &t.mark, &t.lows, &t.highs
		if w := t.wider; w != nil {
			it, m, lows, highs = t.widerItem(key), &w.mark, &w.lows, &w.highs
		}
		switch {
		case m.approved():
		case course.Doubtful(lows, highs):
			it.Why = doubtful
			put(it, Rarely)
		default:
			each(it, m)
		}
	}
	for key, s := range b.spans {
		if len(s.pending) > 0 {
			b.waitingSpans(key, s, now, put)
		}
	}
	b.courses.Each(func(v *course.Values) {
		if v.Waits() {
			put(b.waitingValues(v))
		}
	})
}

// waitingSpans calls f with the points that wait, an item for each class.
func (b *Baseline) waitingSpans(key spanKey, s *spans, now time.Time, f func(*Item, Class)) {
	often, rare := s.steady()
	listed := b.listed(s.server.addr, key, s.pending)
	var refused ranges
	if s.fresh.no.Fresh(now) {
		refused, _ = parseRanges(s.fresh.no.What) // what String wrote
	}
	for class, r := range map[Class]ranges{Listed: listed, Reads: often.without(listed), Rarely: rare.without(listed)} {
		if r = r.without(refused); len(r) == 0 {
			continue
		}
		part := spans{pending: r, fresh: s.fresh, server: s.server}
		part.each(key, func(it *Item, _ *mark) { f(it, class) })
	}
}

func (b *Baseline) class(it *Item, m *mark) Class {
	switch {
	case m.state == Held:
		return ByItem
	case b.vouched(it):
		return Listed
	case !m.steady():
		return Rarely
	case it.Client != nil && b.serves(*it.Client):
		return Mixed
	case it.Kind == "target", it.From == sides[protocols.Client] && consequential[it.Op]:
		return Commands
	}
	return Reads
}

func (b *Baseline) serves(addr netip.Addr) bool {
	h := b.hosts[addr]
	return h != nil && (h.answers || h.server)
}

// consequential are the operations of a client that a person accepts by themselves.
var consequential = map[string]bool{
	protocols.Write.String(): true, protocols.Operate.String(): true, protocols.Configure.String(): true, protocols.File.String(): true,
	protocols.Time.String(): true, protocols.Restart.String(): true,
}
