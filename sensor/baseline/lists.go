package baseline

import (
	"net/netip"
	"strings"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/sensor/course"
)

// Lists knows which points were engineered: package plant.
type Lists interface {
	// Within calls each with the listed points of a kind that a station has among the addresses from to to, and what they
	// are called.
	Within(server netip.Addr, station uint32, kind protocols.Kind, from, to uint32, each func(from, to uint32, name string))
}

// Use has b take points that are in lists for engineered: they wait in a class of their own, which is approved with what
// changes nothing. nil stands for no lists.
func (b *Baseline) Use(lists Lists) { b.lists = lists }

// listed returns which of a station's points are in the lists.
func (b *Baseline) listed(server netip.Addr, key spanKey, points ranges) (in ranges) {
	if b.lists == nil {
		return nil
	}
	for _, p := range points {
		b.lists.Within(server, key.station, key.kind, p.lo, p.hi, func(from, to uint32, _ string) { in.add(max(from, p.lo), min(to, p.hi)) })
	}
	return in
}

// vouched tells whether the lists are enough to approve an item: they hold the point, and its range, if it has one, rests on
// values of several hours. A list says that a point is there, not what may be written to it.
func (b *Baseline) vouched(it *Item) bool {
	hours := strings.Count(it.Lows, ",") + 1
	return (it.Lows == "" || hours >= course.Hours) && b.engineered(it) != ""
}

// engineered is what the lists call a point; of a set of points, which of them are listed.
func (b *Baseline) engineered(it *Item) (name string) {
	kind := it.pointKind()
	if b.lists == nil || kind < 0 || it.Server == nil || it.Station == nil {
		return ""
	}
	if it.Addr != nil {
		b.lists.Within(*it.Server, *it.Station, kinds[kind], *it.Addr, *it.Addr, func(_, _ uint32, called string) { name = called })
		return name
	}
	all, _ := parseRanges(it.Ranges) // what String wrote
	return b.listed(*it.Server, spanKey{station: *it.Station, kind: kinds[kind]}, all).String()
}
