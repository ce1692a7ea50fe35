// Package modbus decodes Modbus.
package modbus

import "github.com/roje-ot/roje/protocols"

// Protocol is Modbus's row of the catalog.
var Protocol = &protocols.Protocol{Name: "modbus", Title: "Modbus", TCP: []uint16{502}, UDP: []uint16{502}}
