package sensor

import (
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
		a.Stamps, a.Waiting = r.port.ring.Stamps(), r.port.ring.Waiting()
		if r.port.filter != nil {
			a.settle(r.port.filter, r.port.ring)
		}
	}
	r.published.Store(&a)
}

// settle reckons what the ring lost. Its socket is closed and cannot be asked; what was kept and neither read nor waits
// is lost. While frames come in, those that lie between the filter and the ring would look lost, so that the sum counts
// only once the ring has said that it lost some.
func (a *account) settle(f *filter.Filter, r *ring.Ring) {
	counts, err := f.Counts()
	if err != nil {
		return
	}
	a.Seen, a.Filtered, a.Merged = counts.Seen, counts.Other, counts.GSO
	if there := r.Read() + a.Waiting; r.Losing() && counts.Kept > there {
		a.RingFull = max(a.RingFull, counts.Kept-there)
	}
}
