package course

import (
	"math"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

// A course is how the values of one point go.
type course struct {
	Learned

	last      float64
	lastAt    int64 // packet time of the last value; 0: none since the start
	changedAt int64 // since when the value is what it is
	same      uint32
	busy      uint16 // how often the lowest bit has changed of late, of 65,535
	bits      uint16 // values that this figure stands on, up to bitMemory
	written   float64
	writtenAt int64 // 0: nothing waits to be read back
	oddSince  int64 // since when values are odd while it is being learned; 0: they are not
	bitSince  int64 // since when the lowest bit is no longer quiet; 0: it is
}

// Learned is what was learned of the values of a point. The order of the fields is that of the file. What has no name in
// JSON stands there in what names the point.
type Learned struct {
	N           uint32  `json:"-"`                    // values
	Changes     uint32  `json:"changes,omitempty"`    // how many of them differed from the one before
	Falls       uint32  `json:"falls,omitempty"`      // how many of these were less than it
	Low         float64 `json:"-"`                    // of all values
	High        float64 `json:"-"`                    // of all values
	Step        float64 `json:"step,omitempty"`       // greatest change from one value to the next
	First       int64   `json:"-"`                    // packet time of the first value
	End         int64   `json:"-"`                    // and of the latest
	Steady      int64   `json:"steady_ns,omitempty"`  // longest time without a change
	Pause       int64   `json:"pause_ns,omitempty"`   // longest time between two values
	Bit         uint16  `json:"bit,omitempty"`        // greatest share of late changes of the lowest bit, of 65,535
	Kept        bool    `json:"kept,omitempty"`       // it was read back as it was written
	Inconstant  bool    `json:"inconstant,omitempty"` // it was read back as another value than was written, and never was kept before
	BitsLearned bool    `json:"bits,omitempty"`       // Bit stands on enough values
}

const (
	second = int64(1e9)
	minute = 60 * second
	hour   = 60 * minute
	day    = 24 * hour

	minValues  = 100 // learned values before a course means something
	minChanges = 20
	minTime    = 3 * hour
	longTime   = 14 * day // what was learned for so long has seen what there is; before, only gross departures are told

	margin       = 0.05 // of the learned range
	grossMargin  = 1.0
	factor       = 1.5 // of the greatest learned step
	grossFactor  = 3.0
	steadyFactor = 3
	steadySlack  = 15 * minute
	maxSteady    = hour // what stood still longer than this while it was learned may do so
	minSame      = 20   // values in a row that are the same
	minMoving    = 100  // learned changes before standing still means something
	readWithin   = minute
	patience     = 2 * hour // for which odd values are not learned: an attack that goes on for less teaches nothing

	minCounted = 50 // rises without a fall, over countTime, after which a fall means something
	countTime  = 20 * hour
	countSteps = 5 // of its mean learned step, that a fall must be more than

	bitMemory = 64 // values over which the changes of the lowest bit are counted
	quietBit  = 6554
	busyBit   = 22938
)

// grown tells whether enough was learned to judge by.
func (l *Learned) grown() bool {
	return l.N >= minValues && l.Changes >= minChanges && l.End-l.First >= minTime
}

// swings tells whether the values went up and down. Those of a register that only counts up have no range to leave.
func (l *Learned) swings() bool { return l.Falls > l.Changes/10 && l.Falls < l.Changes-l.Changes/10 }

// counts tells whether the value is a counter as far as anybody has seen.
func (l *Learned) counts() bool {
	return l.Changes >= minCounted && l.Falls == 0 && l.End-l.First >= countTime && l.Low >= 0
}

// usual tells whether a value may be learned: it is not odd beside what was learned before, or such values have come for
// so long that the process has changed.
func (c *course) usual(odd rules.Odd, at int64) bool {
	switch {
	case odd == 0:
		c.oddSince = 0
	case c.oddSince == 0 || at < c.oddSince:
		c.oddSince = at
		return false
	}
	return odd == 0 || at-c.oddSince >= patience
}

// learn takes a value into what is learned. The course itself does not move yet.
func (c *course) learn(v float64, at int64) {
	if c.N == 0 {
		c.Low, c.High, c.First = v, v, at
	}
	c.N++
	c.Low, c.High, c.End = min(c.Low, v), max(c.High, v), max(c.End, at)
	if c.lastAt == 0 || at < c.lastAt {
		return
	}
	c.Pause = max(c.Pause, at-c.lastAt)
	if d := math.Abs(v - c.last); d != 0 {
		c.Changes++
		if v < c.last {
			c.Falls++
		}
		c.Step = max(c.Step, d)
		if still := at - c.changedAt; !c.grown() || still <= c.mostStill() || still >= patience {
			c.Steady = max(c.Steady, still)
		}
	}
	if c.bits == bitMemory && c.bitUsual(at) {
		c.Bit, c.BitsLearned = max(c.Bit, c.busy), true
	}
}

// mostStill is for how long the value may stand still.
func (l *Learned) mostStill() int64 { return steadyFactor*l.Steady + steadySlack }

// bitUsual tells whether what the lowest bit does may be learned: where it was quiet, only after a long time of unrest.
func (c *course) bitUsual(at int64) bool {
	if c.busy < quietBit || !c.BitsLearned || c.Bit >= quietBit {
		c.bitSince = 0
		return true
	}
	if c.bitSince == 0 || at < c.bitSince {
		c.bitSince = at
	}
	return at-c.bitSince >= patience
}

// long tells whether so much was learned that small departures mean something.
func (l *Learned) long() bool { return l.End-l.First >= longTime }

// judge says how a value departs from l, which was learned.
func (c *course) judge(l *Learned, t *Track, v float64, at int64) (odd rules.Odd) {
	if c.bits == bitMemory && l.BitsLearned && l.Bit < quietBit && c.busy > busyBit && l.End-l.First >= minTime {
		odd |= rules.LowBitBusy
	}
	if !l.grown() {
		return odd
	}
	m, f := grossMargin, grossFactor
	if l.long() {
		m, f = margin, factor
	}
	if by := m * (l.High - l.Low); l.swings() && (v < l.Low-by || v > l.High+by) {
		odd |= rules.ValueOutside
	}
	if c.lastAt == 0 || at < c.lastAt || at-c.lastAt > l.Pause {
		return odd // nobody has seen how it came here
	}
	switch fall := c.last - v; {
	case l.counts() && fall > countSteps*(l.High-l.Low)/float64(l.Changes) && v >= c.last/2:
		odd |= rules.ValueBackwards
	case math.Abs(fall) > f*l.Step:
		odd |= rules.ValueJumped
	}
	if v == c.last && c.same >= minSame && l.Changes >= minMoving && l.Steady < maxSteady && at-c.changedAt > l.mostStill() && t.changed > c.changedAt+l.Steady {
		odd |= rules.ValueFrozen
	}
	return odd
}

// follow moves the course on, and tells whether the value has changed.
func (c *course) follow(v float64, at int64) (moved bool) {
	switch {
	case c.lastAt == 0 || at < c.lastAt:
		c.changedAt, c.same = at, 0
	case v != c.last:
		c.changedAt, c.same, moved = at, 0, true
	default:
		c.same = min(c.same, math.MaxUint32-1) + 1
	}
	if c.lastAt != 0 && v == math.Trunc(v) && math.Abs(v) < 1<<53 {
		c.lowBit(int64(v)&1 != int64(c.last)&1)
	}
	c.last, c.lastAt = v, at
	return moved
}

// lowBit counts how often the lowest bit of whole numbers changes.
func (c *course) lowBit(changed bool) {
	if c.bits < bitMemory {
		c.bits++
	}
	c.busy -= c.busy / bitMemory
	if changed {
		c.busy += math.MaxUint16 / bitMemory
	}
}

// readBack holds a value that is read against the one that was written last. l is what to judge by; nil says to learn.
func (c *course) readBack(l *Learned, t *Track, v float64, at int64) rules.Odd {
	if c.writtenAt == 0 || at < c.writtenAt {
		return 0
	}
	fresh := at-c.writtenAt <= readWithin
	c.writtenAt = 0
	t.open = max(t.open-1, 0)
	switch {
	case !fresh:
	case v == c.written:
		c.Kept = c.Kept || l == nil
	case l == nil && !c.Kept:
		c.Inconstant = true
	case l != nil && !l.Inconstant && l.N >= minValues:
		return rules.ValueNotKept
	}
	return 0
}

// tell fills in what a rule can say of a departure from l. Of several in one message the last is told.
func (c *course) tell(l *Learned, f *rules.Facts, odd rules.Odd, p *protocols.Point, before float64) {
	f.Odd |= odd
	f.OddAddr, f.OddValue = p.Addr, p.Value
	f.Low, f.High, f.Ranged = l.Low, l.High, true
	switch {
	case odd&rules.ValueNotKept != 0:
		f.OddBefore = c.written
	case odd&rules.ValueFrozen != 0:
		f.OddSeconds = float64(c.lastAt-c.changedAt) / 1e9
	}
	if odd&(rules.ValueJumped|rules.ValueBackwards) != 0 {
		f.OddBefore = before
	}
}
