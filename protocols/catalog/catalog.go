// Package catalog is the one list of the protocols that Roje decodes. The sensor's port table, the rule language's
// words, docs/protocols.md, the golden captures, the fuzz targets and the allocation tests all come from it.
package catalog

import (
	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/protocols/dnp3"
	"github.com/roje-ot/roje/protocols/iec104"
	"github.com/roje-ot/roje/protocols/modbus"
)

// All holds every protocol, in the order in which Probe is asked on an unregistered port: the strictest check first.
var All = []*protocols.Protocol{dnp3.Protocol, iec104.Protocol, modbus.Protocol}

// Named returns the protocol with that name.
func Named(name string) (*protocols.Protocol, bool) {
	for _, p := range All {
		if p.Name == name {
			return p, true
		}
	}
	return nil, false
}
