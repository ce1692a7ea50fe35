package course

import (
	"cmp"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"

	"github.com/roje-ot/roje/protocols"
)

// A process ages, and its values leave the learned range by a little. While values are judged, those that are not odd may
// widen the range, by driftShare of what was learned in a week and no more: who moves a value slowly gains no more than
// that either, and is said once he has used it up.
const (
	driftShare = 0.05
	week       = 7 * day
)

// drift is how far the range of a point was widened.
type drift struct {
	low, high float64 // as they were approved
	room      float64 // what this week leaves
	week      int32   // since 1970
	on        bool    // it was widened since it was approved
	bound     bool    // values came for which this week had no room
}

// widen takes a value that is not odd, and tells whether it changed anything.
func (a *approval) widen(v float64, at int64) bool {
	if v >= a.Low && v <= a.High || !a.grown() || !a.swings() {
		return false
	}
	d := &a.drift
	if !d.on {
		*d = drift{low: a.Low, high: a.High, on: true, week: -1}
	}
	if now := int32(at / week); now > d.week {
		d.week, d.room, d.bound = now, driftShare*(d.high-d.low), false
	}
	by := max(v-a.High, a.Low-v)
	taken := min(by, d.room)
	was := *d
	d.room -= taken
	d.bound = d.bound || taken < by
	if v > a.High {
		a.High += taken
	} else {
		a.Low -= taken
	}
	return *d != was
}

// A Drift is a point whose range was widened while it was judged.
type Drift struct {
	Server      netip.Addr
	Station     uint32
	Kind        protocols.Kind
	Addr        uint32
	Low, High   float64 // as it was approved
	Lower, More float64 // as it is now
	Bound       bool    // and values come that lie farther than may be adapted to
}

// Drifts returns the points whose range was widened, by station, kind and address.
func (m *Memory) Drifts() (all []Drift) {
	m.each(func(at Point, p *page, n uint8) {
		if a := p.approval(n); a != nil && a.drift.on {
			all = append(all, Drift{at.Server, at.Station, at.Kind, at.Addr, a.drift.low, a.drift.high, a.Low, a.High, a.drift.bound})
		}
	})
	slices.SortFunc(all, func(x, y Drift) int {
		return cmp.Or(x.Server.Compare(y.Server), cmp.Compare(x.Station, y.Station), cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.Addr, y.Addr))
	})
	return all
}

// storedDrift is drift in the layout of the file, with its place in the page.
type storedDrift struct {
	Place           uint8
	Low, High, Room float64
	Week            int32
	Bound           bool
}

var storedDriftLen = binary.Size(storedDrift{})

func (p *page) driftRow() (row []byte) {
	for n := range uint8(pageSize) {
		if a := p.approval(n); a != nil && a.drift.on {
			d := a.drift
			row, _ = binary.Append(row, binary.BigEndian, storedDrift{n, d.low, d.high, d.room, d.week, d.bound})
		}
	}
	return row
}

// loadDrift reads what driftRow wrote, after the approvals. What is of a point that is not approved means nothing.
func (p *page) loadDrift(row []byte) error {
	for ; len(row) >= storedDriftLen; row = row[storedDriftLen:] {
		var s storedDrift
		if _, err := binary.Decode(row, binary.BigEndian, &s); err != nil || s.Place >= pageSize {
			return errors.Join(err, errPlace)
		}
		if a := p.approval(s.Place); a != nil {
			a.drift = drift{s.Low, s.High, s.Room, s.Week, true, s.Bound}
		}
	}
	return rest(row)
}
