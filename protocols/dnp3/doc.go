// Package dnp3 decodes DNP3.
package dnp3

import "github.com/roje-ot/roje/protocols"

// Protocol is DNP3's row of the catalog.
var Protocol = &protocols.Protocol{Name: "dnp3", Title: "DNP3", TCP: []uint16{20000}, UDP: []uint16{20000}}
