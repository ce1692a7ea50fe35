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
	low, high float64 // as they were learned
	room      float64 // what this week leaves
	week      int32   // since 1970
	on        bool    // it was widened since it was learned
	bound     bool    // values came for which this week had no room
}

// widen takes a value that is not odd, and tells whether it changed anything.
func (c *course) widen(v float64, at int64) bool {
	if v >= c.low && v <= c.high || !c.grown() || !c.swings() {
		return false
	}
	d := &c.drift
	if !d.on {
		*d = drift{low: c.low, high: c.high, on: true, week: -1}
	}
	if now := int32(at / week); now > d.week {
		d.week, d.room, d.bound = now, driftShare*(d.high-d.low), false
	}
	by := max(v-c.high, c.low-v)
	taken := min(by, d.room)
	was := *d
	d.room -= taken
	d.bound = d.bound || taken < by
	if v > c.high {
		c.high += taken
	} else {
		c.low -= taken
	}
	return *d != was
}

// A Drift is a point whose range was widened while it was judged.
type Drift struct {
	Server      netip.Addr
	Station     uint32
	Kind        protocols.Kind
	Addr        uint32
	Low, High   float64 // as it was learned
	Lower, More float64 // as it is now
	Bound       bool    // and values come that lie farther than may be adapted to
}

// Drifts returns the points whose range was widened, by station, kind and address.
func (m *Memory) Drifts() (all []Drift) {
	for key, t := range m.tracks {
		for id, p := range t.pages {
			for i := range p.courses {
				if c := &p.courses[i]; c.drift.on {
					all = append(all, Drift{key.Server, key.Station, protocols.Kind(id >> 32), uint32(id)<<pageBits | uint32(i), c.drift.low, c.drift.high, c.low, c.high, c.drift.bound})
				}
			}
		}
	}
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

// DirtyDrifts is Dirty for what was widened, in rows of their own.
func (m *Memory) DirtyDrifts(f func(key, value []byte)) {
	for _, t := range m.tracks {
		for id, p := range t.pages {
			if p.drifted {
				p.drifted = false
				f(rowKey(t.key, id), p.driftRow())
			}
		}
	}
}

func (p *page) driftRow() (row []byte) {
	for i := range p.courses {
		if d := p.courses[i].drift; d.on {
			row, _ = binary.Append(row, binary.BigEndian, storedDrift{uint8(i), d.low, d.high, d.room, d.week, d.bound})
		}
	}
	return row
}

// LoadDrift takes a row that DirtyDrifts gave, after all rows of Dirty were loaded.
func (m *Memory) LoadDrift(key, value []byte) error {
	if len(key) != keyLen || len(value)%storedDriftLen != 0 {
		return errors.New("row of another length")
	}
	t := m.tracks[Key{netip.AddrFrom16([16]byte(key[:16])).Unmap(), binary.BigEndian.Uint32(key[16:])}]
	if t == nil || t.pages[binary.BigEndian.Uint64(key[20:])] == nil {
		return nil // of a page that found no room
	}
	p := t.pages[binary.BigEndian.Uint64(key[20:])]
	for ; len(value) > 0; value = value[storedDriftLen:] {
		var s storedDrift
		if _, err := binary.Decode(value, binary.BigEndian, &s); err != nil || s.Place >= pageSize {
			return errors.Join(err, errors.New("place beyond the page"))
		}
		p.courses[s.Place].drift = drift{s.Low, s.High, s.Room, s.Week, true, s.Bound}
	}
	return nil
}
