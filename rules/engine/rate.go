package engine

import (
	"math"

	"github.com/roje-ot/roje/rules/lang"
)

// rate is what the windows of one key hold: windows follow each other without overlap, in packet time.
type rate struct {
	number int64     // of the current window, in windows since 1970
	start  int64     // when it began
	known  lang.Rate // what the windows before hold
	count  int64     // events in it
	n      int64     // windows before it
	mean   float64
	square float64 // mean of the squares
	spread float64 // standard deviation, at least that of events that come by chance
	most   float64
	excess float64
	part   bool // of the current window only a part was watched
}

const (
	rateMemory = 100 // windows over which the mean forgets
	rateSlack  = 1   // spreads above the mean that are no excess
	ratePause  = 60  // windows without an event after which counting begins anew

	unwatchedWindow = -1 // in place of a window's number: nobody watched since the one before
)

// add counts an event and returns its window's count so far.
func (r *rate) add(at, window int64) int64 {
	if at >= r.start && at < r.start+window && r.number != 0 {
		r.count++
		return r.count
	}
	number := at / window
	switch {
	case r.number == unwatchedWindow:
		r.number, r.count, r.part = number, 0, true
	case r.number == 0 || number < r.number || number-r.number > ratePause:
		*r = rate{number: number}
	case number > r.number:
		r.close(float64(r.count))
		for range number - r.number - 1 {
			r.close(0)
		}
		r.number, r.count = number, 0
	}
	r.count++
	r.start = number * window
	r.known = lang.Rate{Windows: r.n, Usual: r.mean, Spread: r.spread, Most: r.most, Excess: r.excess}
	return r.count
}

// pause says that nobody watches from here to the next event: the window of now, and the rest of that of then, say
// nothing about how much comes.
func (r *rate) pause() {
	if r.number != 0 {
		r.number, r.start = unwatchedWindow, never
	}
}

// close takes a window that is over. What lies far above the usual does not become usual.
func (r *rate) close(count float64) {
	if r.part {
		r.part = false
		return
	}
	if r.n > 0 {
		r.excess = max(0, r.excess+(count-r.mean)/r.spread-rateSlack)
	}
	r.n++
	taken := count
	if r.n > 10 {
		taken = min(count, r.mean+3*r.spread)
	}
	weight := 1 / float64(min(r.n, rateMemory))
	r.mean += weight * (taken - r.mean)
	r.square += weight * (taken*taken - r.square)
	r.spread = math.Sqrt(max(r.square-r.mean*r.mean, r.mean, 1))
	r.most = max(r.most, taken)
}
