package course

import (
	"math"
	"net/netip"
	"time"

	"github.com/roje-ot/roje/protocols"
)

// A Point names a measured point.
type Point struct {
	Key
	Kind protocols.Kind
	Addr uint32
}

// A Grant is who approved something, and when, Unix nanoseconds.
type Grant struct {
	Who  string
	When int64
}

// An approval is what a person approved of the values of a point: they are judged by that alone.
type approval struct {
	Learned // with the drift since
	drift   drift
	by      *Grant // nil: nothing is approved
}

// RefusedFor is for how long what a person has refused is not proposed again, unless it changes.
const RefusedFor = 90 * 24 * time.Hour

// A Refusal is a person's no to something that was learned, and what that was then.
type Refusal struct {
	Who  string    `json:"who"`
	Why  string    `json:"why,omitempty"`
	When time.Time `json:"when"`
	Low  float64   `json:"low,omitempty"` // its range
	High float64   `json:"high,omitempty"`
	What string    `json:"what,omitempty"` // what else can change
}

// Values is what is known of the values of a point.
type Values struct {
	Point
	Learned     Learned // N is 0 where nothing was
	Lows, Highs Extremes
	Approved    Learned // as it was approved; N is 0 where nothing is
	By          Grant   // of what is approved
	Refused     *Refusal
}

// Tells tells whether enough was learned to mean anything.
func (v *Values) Tells() bool { return v.Learned.N >= minValues }

// Waits tells whether what was learned is not approved: nothing is, or other values than what is would be odd.
func (v *Values) Waits() bool {
	return v.Tells() && (v.Approved.N == 0 || !v.Approved.covers(&v.Learned))
}

// Steady tells whether the values were seen in three hours and on two days.
func (v *Values) Steady() bool { return v.Lows.N >= Hours && v.Learned.First/day < v.Learned.End/day }

// Doubtful tells whether the range that values are held against rests on few hours. Those that only count up are held against none.
func (v *Values) Doubtful() bool { return v.Learned.swings() && Doubtful(&v.Lows, &v.Highs) }

// Fresh tells whether a refusal is not over. A nil Refusal is.
func (r *Refusal) Fresh(now time.Time) bool { return r != nil && now.Sub(r.When) < RefusedFor }

// Stands tells whether a refusal still holds for a range: values that go beyond what was refused are another matter.
func (r *Refusal) Stands(low, high float64, now time.Time) bool {
	if !r.Fresh(now) {
		return false
	}
	by := margin * (r.High - r.Low)
	return low >= r.Low-by && high <= r.High+by
}

// covers tells whether other, learned later, says nothing that l does not: what is as far apart is not odd either.
func (l *Learned) covers(other *Learned) bool {
	by := margin * (l.High - l.Low)
	return other.Low >= l.Low-by && other.High <= l.High+by && other.Step <= factor*l.Step && other.Steady <= l.mostStill() &&
		other.Pause <= steadyFactor*l.Pause && other.Kept == l.Kept && other.Inconstant == l.Inconstant && other.BitsLearned == l.BitsLearned &&
		(other.Bit < quietBit) == (l.Bit < quietBit) && other.grown() == l.grown() && other.swings() == l.swings() && other.long() == l.long() && (other.counts() || !l.counts())
}

// approval returns what is approved of the point at a place; nil where nothing is.
func (p *page) approval(n uint8) *approval {
	if p.approvals == nil || p.approvals[n].by == nil {
		return nil
	}
	return &p.approvals[n]
}

func (p *page) approve(n uint8, l Learned, by *Grant) {
	if p.approvals == nil {
		p.approvals = &[pageSize]approval{}
	}
	if p.approvals[n].drift.on {
		p.dirty[driftTable] = true
	}
	p.approvals[n] = approval{Learned: l, by: by}
}

// each calls f with every place of every page, in no order.
func (m *Memory) each(f func(at Point, p *page, n uint8)) {
	for _, t := range m.tracks {
		for id, p := range t.pages {
			for n := range uint8(pageSize) {
				f(Point{t.key, protocols.Kind(id >> 32), uint32(id)<<pageBits | uint32(n)}, p, n)
			}
		}
	}
}

// Each calls f with what is known of every point, in no order. f may keep it.
func (m *Memory) Each(f func(*Values)) {
	m.each(func(at Point, p *page, n uint8) {
		c, a := &p.courses[n], p.approval(n)
		if c.N == 0 && a == nil {
			return
		}
		v := &Values{Point: at, Learned: c.Learned, Lows: p.extents[n].Lows, Highs: p.extents[n].Highs, Refused: p.refusals[n]}
		if a != nil {
			v.Approved, v.By = a.Learned, *a.by
			if a.drift.on {
				v.Approved.Low, v.Approved.High = a.drift.low, a.drift.high
			}
		}
		f(v)
	})
}

// at returns the page of a point and its place; nil where it has none and there is no room.
func (m *Memory) at(p Point, make_ bool) (*page, uint8) {
	t := m.Track(p.Key, make_)
	if t == nil {
		return nil, 0
	}
	return t.page(p.Kind, p.Addr, make_), uint8(p.Addr % pageSize)
}

// Approve approves what was learned of a point.
func (m *Memory) Approve(at Point, by *Grant) {
	p, n := m.at(at, false)
	if p == nil || p.courses[n].N == 0 {
		return
	}
	p.approve(n, p.courses[n].Learned, by)
	p.dirty[approvalTable] = true
	if p.refusals[n] != nil {
		delete(p.refusals, n)
		p.dirty[refusalTable] = true
	}
}

// Refuse notes that what was learned of a point is not to be proposed.
func (m *Memory) Refuse(at Point, r *Refusal) {
	p, n := m.at(at, false)
	if p == nil {
		return
	}
	if p.refusals == nil {
		p.refusals = map[uint8]*Refusal{}
	}
	r.Low, r.High = p.courses[n].Low, p.courses[n].High
	p.refusals[n] = r
	p.dirty[refusalTable] = true
}

// Put takes what was learned of a point elsewhere, or before, in place of what is known; with by, what was approved. What
// is learned already is not touched by that.
func (m *Memory) Put(v *Values, by *Grant) {
	p, n := m.at(v.Point, true)
	if p == nil {
		return // counted in Overflow
	}
	if by != nil {
		p.approve(n, v.Learned, by)
		p.dirty[approvalTable] = true
	}
	if c := &p.courses[n]; by == nil || c.N == 0 {
		c.Learned, p.extents[n] = v.Learned, extent{v.Lows, v.Highs}
		p.dirty[courseTable], p.dirty[extentTable] = true, true
	}
	if v.Refused != nil {
		if p.refusals == nil {
			p.refusals = map[uint8]*Refusal{}
		}
		p.refusals[n], p.dirty[refusalTable] = v.Refused, true
	}
}

// Withdraw takes the approval from points, all or those of one server; what was learned of them waits.
func (m *Memory) Withdraw(server netip.Addr) {
	m.every(server, func(p *page) {
		if p.approvals != nil {
			p.approvals, p.dirty[approvalTable], p.dirty[driftTable] = nil, true, true
		}
	})
}

// Forget has the points of a server be learned anew.
func (m *Memory) Forget(server netip.Addr) {
	m.Withdraw(server)
	m.every(server, func(p *page) {
		p.courses, p.extents, p.rings, p.refusals = [pageSize]course{}, [pageSize]extent{}, [pageSize]ring{}, nil
		p.dirty[courseTable], p.dirty[extentTable], p.dirty[refusalTable] = true, true, true
	})
	for key, t := range m.tracks {
		if key.Server == server {
			t.open = 0
		}
	}
}

// every calls f with every page, all or those of one server.
func (m *Memory) every(server netip.Addr, f func(*page)) {
	for key, t := range m.tracks {
		if server.IsValid() && key.Server != server {
			continue
		}
		for _, p := range t.pages {
			f(p)
		}
	}
}

// Valid tells whether figures that were read can be what was learned of values.
func (l *Learned) Valid() bool {
	return l.Low <= l.High && l.Step >= 0 && !math.IsInf(l.Low, 0) && !math.IsInf(l.High, 0) && !math.IsInf(l.Step, 0)
}
