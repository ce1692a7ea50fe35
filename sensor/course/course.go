package course

import (
	"math"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

// A course is how the values of one point go.
type course struct {
	learned

	last      float64
	lastAt    int64 // packet time of the last value; 0: none since the start
	changedAt int64 // since when the value is what it is
	same      uint32
	bit       uint16 // how often the lowest bit has changed of late, of 65,535
	bits      uint16 // values that this figure stands on, up to bitMemory
	written   float64
	writtenAt int64 // 0: nothing waits to be read back
	oddSince  int64 // since when values are odd while it is being learned; 0: they are not
	bitSince  int64 // since when the lowest bit is no longer quiet; 0: it is

	drift drift
}

// learned is what is kept on disk.
type learned struct {
	n           uint32  // values
	changes     uint32  // how many of them differed from the one before
	falls       uint32  // how many of these were less than it
	low, high   float64 // of all values
	step        float64 // greatest change from one value to the next
	first, end  int64   // packet times of the first and the latest value
	steady      int64   // longest time without a change, ns
	pause       int64   // longest time between two values, ns
	bit         uint16  // greatest share of late changes of the lowest bit
	kept        bool    // it was read back as it was written
	inconstant  bool    // it was read back as another value than was written, and never was kept before
	bitsLearned bool    // bit stands on enough values
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

	bitMemory = 64 // values over which the changes of the lowest bit are counted
	quietBit  = 6554
	busyBit   = 22938
)

// grown tells whether enough was learned to judge by.
func (l *learned) grown() bool {
	return l.n >= minValues && l.changes >= minChanges && l.end-l.first >= minTime
}

// swings tells whether the values went up and down. Those of a register that only counts up have no range to leave.
func (l *learned) swings() bool { return l.falls > l.changes/10 && l.falls < l.changes-l.changes/10 }

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
	if c.n == 0 {
		c.low, c.high, c.first = v, v, at
	}
	c.n++
	c.low, c.high, c.end = min(c.low, v), max(c.high, v), max(c.end, at)
	if c.lastAt == 0 || at < c.lastAt {
		return
	}
	c.pause = max(c.pause, at-c.lastAt)
	if d := math.Abs(v - c.last); d != 0 {
		c.changes++
		if v < c.last {
			c.falls++
		}
		c.step = max(c.step, d)
		if still := at - c.changedAt; !c.grown() || still <= c.mostStill() || still >= patience {
			c.steady = max(c.steady, still)
		}
	}
	if c.bits == bitMemory && c.bitUsual(at) {
		c.learned.bit, c.bitsLearned = max(c.learned.bit, c.bit), true
	}
}

// mostStill is for how long the value may stand still.
func (l *learned) mostStill() int64 { return steadyFactor*l.steady + steadySlack }

// bitUsual tells whether what the lowest bit does may be learned: where it was quiet, only after a long time of unrest.
func (c *course) bitUsual(at int64) bool {
	if c.bit < quietBit || !c.bitsLearned || c.learned.bit >= quietBit {
		c.bitSince = 0
		return true
	}
	if c.bitSince == 0 || at < c.bitSince {
		c.bitSince = at
	}
	return at-c.bitSince >= patience
}

// judge says how a value departs from what was learned.
func (c *course) judge(t *Track, v float64, at int64) (odd rules.Odd) {
	if c.bits == bitMemory && c.bitsLearned && c.learned.bit < quietBit && c.bit > busyBit && c.end-c.first >= minTime {
		odd |= rules.LowBitBusy
	}
	if !c.grown() {
		return odd
	}
	m, f := grossMargin, grossFactor
	if c.end-c.first >= longTime {
		m, f = margin, factor
	}
	if by := m * (c.high - c.low); c.swings() && (v < c.low-by || v > c.high+by) {
		odd |= rules.ValueOutside
	}
	if c.lastAt == 0 || at < c.lastAt || at-c.lastAt > c.pause {
		return odd // nobody has seen how it came here
	}
	if math.Abs(v-c.last) > f*c.step {
		odd |= rules.ValueJumped
	}
	if v == c.last && c.same >= minSame && c.changes >= minMoving && c.steady < maxSteady && at-c.changedAt > c.mostStill() && t.changed > c.changedAt+c.steady {
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
	c.bit -= c.bit / bitMemory
	if changed {
		c.bit += math.MaxUint16 / bitMemory
	}
}

// readBack holds a value that is read against the one that was written last.
func (c *course) readBack(t *Track, v float64, at int64, learn bool) rules.Odd {
	if c.writtenAt == 0 || at < c.writtenAt {
		return 0
	}
	fresh := at-c.writtenAt <= readWithin
	c.writtenAt = 0
	t.open = max(t.open-1, 0)
	switch {
	case !fresh:
	case v == c.written:
		c.kept = c.kept || learn
	case learn && !c.kept:
		c.inconstant = true
	case !learn && !c.inconstant && c.n >= minValues:
		return rules.ValueNotKept
	}
	return 0
}

// tell fills in what a rule can say of a departure. Of several in one message the last is told.
func (c *course) tell(f *rules.Facts, odd rules.Odd, p *protocols.Point, before float64) {
	f.Odd |= odd
	f.OddAddr, f.OddValue = p.Addr, p.Value
	f.Low, f.High, f.Ranged = c.low, c.high, true
	switch {
	case odd&rules.ValueNotKept != 0:
		f.OddBefore = c.written
	case odd&rules.ValueFrozen != 0:
		f.OddSeconds = float64(c.lastAt-c.changedAt) / 1e9
	}
	if odd&rules.ValueJumped != 0 {
		f.OddBefore = before
	}
}
