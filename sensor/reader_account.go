package sensor

import (
	"errors"
	"time"

	"github.com/roje-ot/roje/sensor/capture/filter"
	"github.com/roje-ot/roje/sensor/capture/ring"
	"github.com/roje-ot/roje/sensor/flow"
)

// An account says what became of every frame that came in at a source. For an interface with an eBPF filter
//
//	Seen = Filtered + RingFull + Waiting + Own + the sum of Flow.Buckets
//
// exactly when it was taken while the ring was quiet, and give or take the frames of that instant otherwise. It is not
// changed once published.
type account struct {
	At       time.Time
	Seen     uint64 // by the filter, or, where there is none, read
	Filtered uint64 // counted per pair of assets, and not kept
	RingFull uint64 // kept, and lost because the reader was late
	Waiting  uint64 // in the ring
	Own      uint64 // of the sensor's own delivery
	Merged   uint64 // frames that the host had put together from several: timing and counts are degraded
	Flow     flow.Coverage
	Stamps   ring.Stamps

	kept uint64 // by the filter
}

// accountEvery is how old an account gets while frames come in without a pause.
const accountEvery = time.Second

// account is the latest one.
func (r *reader) account() account {
	if a := r.published.Load(); a != nil {
		return *a
	}
	return account{}
}

// take makes a new account. It is called by the reader's goroutine.
func (r *reader) take(now time.Time) {
	last := r.account()
	a := account{At: now, Seen: r.packets.Load(), Own: r.delivery.count, Flow: r.table.Coverage(), RingFull: last.RingFull}
	if r.port != nil {
		a.Stamps = r.port.ring.Stamps()
		var counts filter.Counts
		err := errors.ErrUnsupported
		if r.port.filter != nil {
			counts, err = r.port.filter.Counts()
		}
		a.Waiting = r.port.ring.Waiting() // after the counts: what has come in since does not look lost
		if err == nil {
			a.settle(&counts, r.port.ring, &last)
		}
	}
	r.published.Store(&a)
}

// inFlight is longer than a frame takes from the filter to the ring.
const inFlight = 100 * time.Millisecond

// settle reckons what the ring lost. Its socket is closed and cannot be asked; what was kept and neither read nor waits
// is lost. While frames come in, those that lie between the filter and the ring would look lost, so that the sum counts
// only once the ring has said that it lost some, which it does with a later block, or when nothing that is kept has come
// in for a while.
func (a *account) settle(counts *filter.Counts, r *ring.Ring, last *account) {
	a.Seen, a.Filtered, a.Merged, a.kept = counts.Seen, counts.Other, counts.GSO, counts.Kept
	quiet := a.kept == last.kept && a.At.Sub(last.At) >= inFlight
	if there := r.Read() + a.Waiting; (quiet || r.Losing()) && a.kept > there {
		a.RingFull = max(a.RingFull, a.kept-there)
	}
}
