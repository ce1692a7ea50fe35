package course

import (
	"math"
	"net/netip"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

const (
	pageBits = 6
	pageSize = 1 << pageBits
	maxPages = 1024 // 65,536 points
)

// A Memory is the courses of all points. The zero value is empty and ready.
type Memory struct {
	Overflow uint64 // points that found no room
	Fixed    bool   // while values are judged, their ranges are not widened

	tracks map[Key]*Track
	pages  int
	seen   []mark // fingerprints of stretches of values, by their low bits
}

// A Key names a station.
type Key struct {
	Server  netip.Addr
	Station uint32
}

// A Track is the points of one station.
type Track struct {
	of      *Memory
	key     Key
	pages   map[uint64]*page // by kind and upper bits of the address
	last    *page            // the page used last, since neighbours come together
	lastID  uint64
	changed int64 // when a value of any of its points changed last
	open    int   // points that were written and not yet read back
}

type page struct {
	courses [pageSize]course
	rings   [pageSize]ring
	salt    uint64 // tells its stretches from those of others
	dirty   bool
	drifted bool // since DirtyDrifts
}

// Track returns the points of a station; make says to begin with one of which nothing is known.
func (m *Memory) Track(k Key, make_ bool) *Track {
	t := m.tracks[k]
	if t == nil && make_ {
		if m.tracks == nil {
			m.tracks, m.seen = map[Key]*Track{}, make([]mark, marks)
		}
		t = &Track{of: m, key: k, pages: map[uint64]*page{}}
		m.tracks[k] = t
	}
	return t
}

// page returns the page of a point, made if need be and there is room; nil otherwise.
func (t *Track) page(kind protocols.Kind, addr uint32, learn bool) *page {
	id := uint64(kind)<<32 | uint64(addr>>pageBits)
	if t.last != nil && t.lastID == id {
		return t.last
	}
	p := t.pages[id]
	if p == nil {
		if !learn {
			return nil
		}
		if t.of.pages >= maxPages {
			t.of.Overflow++
			return nil
		}
		t.of.pages++
		p = &page{salt: t.of.salt()}
		t.pages[id] = p
	}
	t.last, t.lastID = p, id
	return p
}

// salt is another number for each page.
func (m *Memory) salt() uint64 { return uint64(m.pages) * base }

// Take goes through the points of a message of the station's and fills in what of f is about values. It learns from them
// if learn, and judges them otherwise.
func (t *Track) Take(m *protocols.Message, at int64, learn bool, f *rules.Facts) {
	for i := range m.Points {
		p := &m.Points[i]
		if p.Kind != protocols.AnalogIn && p.Kind != protocols.AnalogOut || p.Has&protocols.HasValue == 0 || math.IsNaN(p.Value) || math.IsInf(p.Value, 0) ||
			p.Has&protocols.HasQuality != 0 && p.Quality&(protocols.Invalid|protocols.NotTopical|protocols.CommLost) != 0 {
			continue
		}
		page := t.page(p.Kind, p.Addr, learn)
		if page == nil {
			continue
		}
		n := p.Addr % pageSize
		c := &page.courses[n]
		odd := c.readBack(t, p.Value, at, learn)
		if c.n > 0 {
			odd |= c.judge(t, p.Value, at)
		}
		if learn && c.usual(odd, at) {
			c.learn(p.Value, at)
			page.dirty = true
			if c.drift.on { // it is learned anew
				c.drift, page.drifted = drift{}, true
			}
		}
		if !learn && odd == 0 && !t.of.Fixed && c.widen(p.Value, at) {
			page.dirty, page.drifted = true, true
		}
		before := c.last
		if c.follow(p.Value, at) {
			t.changed = max(t.changed, at)
			if ago, again := t.of.again(&page.rings[n], page, n, p.Value, at); again && !learn && c.grown() {
				odd |= rules.ValueReplayed
				f.OddSeconds = float64(ago) / 1e9
			}
		}
		if odd != 0 && !learn {
			c.tell(f, odd, p, before)
		}
	}
}

// Written takes the values that a client writes to the station; what is read back must be the same.
func (t *Track) Written(m *protocols.Message, at int64) {
	for i := range m.Points {
		p := &m.Points[i]
		if p.Kind != protocols.AnalogOut || p.Has&protocols.HasValue == 0 {
			continue
		}
		if page := t.page(p.Kind, p.Addr, false); page != nil {
			c := &page.courses[p.Addr%pageSize]
			c.written, c.writtenAt = p.Value, at
			t.open++
		}
	}
}

// Refused says that the station refused a write: what was written is not expected back.
func (t *Track) Refused() {
	if t.open == 0 {
		return
	}
	t.open = 0
	for _, p := range t.pages {
		for i := range p.courses {
			p.courses[i].writtenAt = 0
		}
	}
}
