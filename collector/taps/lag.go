package taps

import (
	"slices"
	"time"
)

// A lag is by how much later one sensor sees the same than another: the way between them, and what their clocks differ.
type lag struct {
	last   []time.Duration
	middle time.Duration
}

const (
	lagOf    = 31 // actions that came by both alike
	leastLag = 3  // of them, before it is known
)

// lag is that of sensor b after a.
func (c *Comparer) lag(a, b string) *lag {
	if c.lags == nil {
		c.lags = map[[2]string]*lag{}
	}
	l := c.lags[[2]string{a, b}]
	if l == nil {
		l = &lag{}
		c.lags[[2]string{a, b}] = l
	}
	return l
}

// note takes what it was for one action.
func (l *lag) note(d time.Duration) {
	if l.last = append(l.last, d); len(l.last) > lagOf {
		l.last = l.last[1:]
	}
	sorted := slices.Sorted(slices.Values(l.last))
	l.middle = sorted[len(sorted)/2]
}

// usual is the middle one of the last: some are of two actions alike, of which each sensor has lost one.
func (l *lag) usual() (d time.Duration, known bool) {
	if len(l.last) < leastLag {
		return 0, false
	}
	return l.middle, true
}
