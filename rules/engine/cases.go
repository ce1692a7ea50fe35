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
	index map[netip.Addr]int32
	table []caseCell
	lru   list
	*budget
	meter meter
}

type caseCell struct {
	host     netip.Addr
	incident string
	opened   int64
	last     int64
}

func newCases(b Budget) *cases {
	return &cases{index: map[netip.Addr]int32{}, lru: newList(), budget: newBudget(), meter: newMeter(b.complete())}
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
		if e := &c.table[i]; e.goesOn(at) && (!joined || e.opened < found.opened) {
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
			c.put(caseCell{host: h, incident: found.incident, opened: found.opened, last: at})
		}
	}
	return found.incident
}

func (c *cases) put(e caseCell) {
	i, ok := c.index[e.host]
	switch {
	case ok:
		c.lru.touch(i)
	case len(c.table) < maxCases:
		i = int32(len(c.table))
		c.table = append(c.table, caseCell{})
		c.lru.push(i)
	default:
		i = c.lru.oldest()
		delete(c.index, c.table[i].host)
		c.lru.touch(i)
	}
	c.table[i] = e
	c.index[e.host] = i
}

// touch says that the incident of these hosts goes on.
func (c *cases) touch(at int64, hosts ...netip.Addr) {
	for _, h := range hosts {
		if i, ok := c.index[h]; ok {
			c.table[i].last = max(c.table[i].last, at)
		}
	}
}
