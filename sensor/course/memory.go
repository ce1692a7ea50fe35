package course

import (
	"math"
	"net/netip"
	"unsafe"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

const (
	pageBits = 6
	pageSize = 1 << pageBits
	maxPages = 782 // 50,048 points
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
	courses   [pageSize]course
	rings     [pageSize]ring
	extents   [pageSize]extent
	approvals *[pageSize]approval // nil: none
	refusals  map[uint8]*Refusal  // by place
	salt      uint64              // tells its stretches from those of others
	dirty     [tables]bool        // since Dirty
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
		if p = t.make(id); p == nil {
			return nil
		}
	}
	t.last, t.lastID = p, id
	return p
}

// make returns the page of an id, a new one if need be; nil where there is no room.
func (t *Track) make(id uint64) *page {
	p := t.pages[id]
	if p == nil {
		if t.of.pages >= maxPages {
			t.of.Overflow++
			return nil
		}
		p = &page{salt: t.of.salt()}
		t.of.pages++
		t.pages[id] = p
	}
	return p
}

// Size is how many bytes the tables take, about.
func (m *Memory) Size() (n int) {
	n = len(m.seen) * int(unsafe.Sizeof(mark{}))
	m.every(netip.Addr{}, func(p *page) {
		if n += int(unsafe.Sizeof(*p)); p.approvals != nil {
			n += int(unsafe.Sizeof(*p.approvals))
		}
	})
	return n
}

// salt is another number for each page.
func (m *Memory) salt() uint64 { return uint64(m.pages) * base }

// Take goes through the points of a message of the station's and fills in what of f is about values. It learns from them
// if learn, and holds them against what was approved otherwise.
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
		var odd rules.Odd
		var by *Learned // what it is judged by; nil: by nothing
		if learn {
			page.learn(uint8(n), t, p.Value, at)
		} else if a := page.approval(uint8(n)); a != nil {
			by = &a.Learned
			odd = c.readBack(by, t, p.Value, at) | c.judge(by, t, p.Value, at)
			if odd == 0 && !t.of.Fixed && a.widen(p.Value, at) {
				page.dirty[approvalTable], page.dirty[driftTable] = true, true
			}
		}
		before := c.last
		if c.follow(p.Value, at) {
			t.changed = max(t.changed, at)
			if ago, again := t.of.again(&page.rings[n], page, n, p.Value, at); again && by != nil && by.grown() {
				odd |= rules.ValueReplayed
				f.OddSeconds = float64(ago) / 1e9
			}
		}
		if odd != 0 && by != nil {
			c.tell(by, f, odd, p, before)
		}
	}
}

// learn takes a value of the point at a place, unless it is odd beside what was learned of it.
func (p *page) learn(n uint8, t *Track, v float64, at int64) {
	c := &p.courses[n]
	odd := c.readBack(nil, t, v, at)
	if c.N > 0 {
		odd |= c.judge(&c.Learned, t, v, at)
	}
	if !c.usual(odd, at) {
		return
	}
	c.learn(v, at)
	p.dirty[courseTable] = true
	if p.extents[n].note(v, at) {
		p.dirty[extentTable] = true
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
