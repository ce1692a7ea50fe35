package engine

import (
	"net/netip"

	"github.com/roje-ot/roje/rules"
)

// How many new incidents there may be. Beyond that, alerts still come, each of them, but they share one incident: the
// storm of their host or of the sensor. Incidents of high and critical severity have a budget of their own, so that
// small things never push one into a storm.
const (
	hostBudget   = 6  // of medium severity and less, in an hour, for one host
	sensorBudget = 30 // and for all
	gravePeriod  = 600 * 1e9
	graveBudget  = 10 // of high severity and more, in gravePeriod
	period       = 3600 * 1e9
	maxBuckets   = 4096
)

// A bucket holds a number of tokens that come back evenly over a period of packet time.
type bucket struct {
	left  float64
	at    int64
	storm caseCell // the incident of what found no token
	open  bool     // storm was used, and goes on
}

// take takes one of n tokens that come back over every.
func (b *bucket) take(at int64, n int, every float64) bool {
	if b.at == 0 || at < b.at-int64(every) {
		*b = bucket{left: float64(n), at: at}
	}
	if at > b.at {
		b.left = min(b.left+float64(at-b.at)*float64(n)/every, float64(n))
		b.at = at
	}
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}

// A budget says which new incidents are part of a storm.
type budget struct {
	hosts         map[netip.Addr]*bucket
	sensor, grave bucket
}

func newBudget() *budget { return &budget{hosts: map[netip.Addr]*bucket{}} }

// storm returns the bucket whose storm a new incident of this severity between these hosts belongs to; nil where it is
// an incident of its own.
func (b *budget) storm(severity rules.Severity, at int64, hosts []netip.Addr) *bucket {
	if severity >= rules.High {
		if b.grave.take(at, graveBudget, gravePeriod) {
			return nil
		}
		return &b.grave
	}
	for _, h := range hosts {
		if !h.IsValid() {
			continue
		}
		of := b.hosts[h]
		if of == nil {
			if len(b.hosts) >= maxBuckets {
				clear(b.hosts) // a flood of hosts, which the sensor's own bucket holds
			}
			of = &bucket{}
			b.hosts[h] = of
		}
		if !of.take(at, hostBudget, period) {
			return of
		}
	}
	if !b.sensor.take(at, sensorBudget, period) {
		return &b.sensor
	}
	return nil
}

// name returns the incident of the storm of b, and whether it begins: a new one made of id where none goes on.
func (b *bucket) name(id string, at int64) (of caseCell, begins bool) {
	if begins = !b.open || !b.storm.goesOn(at); begins {
		b.storm, b.open = caseCell{incident: "s" + id, opened: at}, true
	}
	b.storm.last = max(b.storm.last, at)
	return b.storm, begins
}
