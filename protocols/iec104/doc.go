// Package iec104 decodes IEC 60870-5-104.
package iec104

import "github.com/roje-ot/roje/protocols"

// Protocol is IEC 60870-5-104's row of the catalog.
var Protocol = &protocols.Protocol{Name: "iec104", Title: "IEC 60870-5-104", TCP: []uint16{2404}, UDP: []uint16{2404}}
