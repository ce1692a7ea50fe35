package engine

import (
	"net/netip"

	"github.com/roje-ot/roje/rules"
)

const (
	caseGap  = 30 * 60 * 1e9   // alerts that share a host within this time share an incident
	caseLong = 24 * 3600 * 1e9 // and an incident ends after this
	maxCases = 4096
)

// cases gives alerts that share an actor or a victim one incident, and those of a storm too.
type cases struct {
	memory[netip.Addr, caseCell]
	*budget
	meter meter
}

type caseCell struct {
	incident string
	opened   int64
	last     int64
}

func newCases(b Budget) *cases {
	return &cases{memory: newMemory[netip.Addr, caseCell](), budget: newBudget(), meter: newMeter(b.complete())}
}

// goesOn tells whether an alert at packet time at belongs to the incident.
func (e *caseCell) goesOn(at int64) bool {
	return at-e.last <= caseGap && e.opened-at <= caseGap && at-e.opened <= caseLong
}

// assign returns the incident of an alert between these hosts: the older of those that are open for them, the digest of
// the day, that of a storm, or a new one.
func (c *cases) assign(a *rules.Alert, at int64, hosts ...netip.Addr) string {
	found, joined := caseCell{incident: "i" + a.ID, opened: at}, false
	for _, h := range hosts {
		i, ok := c.index[h]
		if !ok {
			continue
		}
		if e := &c.cells[i]; e.goesOn(at) && (!joined || e.opened < found.opened) {
			found, joined = *e, true
		}
	}
	if !joined {
		if c.meter.gathers(a, at, hosts) {
			return c.meter.digest // and the hosts stay free for an incident of their own
		}
		begins := true
		if of := c.storm(a.Severity, at, hosts); of != nil {
			found, begins = of.name(a.ID, at)
		}
		if begins {
			c.meter.begin(a, hosts)
		}
	}
	for _, h := range hosts {
		if h.IsValid() {
			c.put(h, caseCell{incident: found.incident, opened: found.opened, last: at})
		}
	}
	return found.incident
}

func (c *cases) put(host netip.Addr, e caseCell) {
	to := c.get(host)
	if to == nil {
		to = c.take(host, maxCases)
	}
	*to = e
}

// touch says that the incident of these hosts goes on.
func (c *cases) touch(at int64, hosts ...netip.Addr) {
	for _, h := range hosts {
		if i, ok := c.index[h]; ok {
			c.cells[i].last = max(c.cells[i].last, at)
		}
	}
}
