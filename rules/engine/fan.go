package engine

import "net/netip"

const (
	fanWindow  = 60e9 // packet time within which findings of one rule are one
	fanClients = 8    // clients at one server
	fanServers = 5    // servers of one client
	maxFans    = 4096
	fanNamed   = 32 // how many of the other side are told apart
)

// A fan notices that the same rule fires for many clients at one server, or for one client at many servers.
type fan struct{ memory[fanKey, fanCell] }

// fanKey names the side that stays the same.
type fanKey struct {
	rule int
	host netip.Addr
	in   bool // host is the server
}

type fanCell struct {
	hosts []fanHost
	last  int64
}

type fanHost struct {
	addr netip.Addr
	at   int64
}

func newFan() *fan { return &fan{newMemory[fanKey, fanCell]()} }

// note counts other at key and returns how many others there are now within the window.
func (f *fan) note(key fanKey, other netip.Addr, at int64) int {
	c := f.get(key)
	known := c != nil
	if !known {
		c = f.take(key, maxFans)
	}
	if !known || at-c.last > fanWindow {
		*c = fanCell{hosts: c.hosts[:0]}
	}
	c.last = at
	c.see(other, at)
	n := 0
	for _, h := range c.hosts {
		if at-h.at <= fanWindow {
			n++
		}
	}
	return n
}

// see notes a host; where there are too many, the one seen longest ago makes room.
func (c *fanCell) see(other netip.Addr, at int64) {
	oldest := 0
	for i := range c.hosts {
		h := &c.hosts[i]
		if h.addr == other {
			h.at = at
			return
		}
		if h.at < c.hosts[oldest].at {
			oldest = i
		}
	}
	if len(c.hosts) < fanNamed {
		c.hosts = append(c.hosts, fanHost{other, at})
	} else {
		c.hosts[oldest] = fanHost{other, at}
	}
}
