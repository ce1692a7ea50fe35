// Package iec104 decodes IEC 60870-5-104: the telecontrol protocol of IEC 60870-5-101 over TCP.
//
//	+------+-----+----------------+------+-----+-------+----+------+-----------------------------+
//	| 0x68 | LEN | control 4      | type | VSQ | cause | CA | IOA  | elements, quality, time ... |
//	+------+-----+----------------+------+-----+-------+----+------+-----------------------------+
//	  start  4..253  I, S or U      1      SQ,N  1 or 2  1,2  1,2,3   one information object or N
//
// An APDU is a message. S and U frames carry no type id and so no code. All numbers are least significant octet first.
//
// The lengths of cause, common address and information object address are agreed between the stations and not written
// on the wire; 104 fixes 2, 2 and 3, and gateways that carry 101 keep their own. They are learned from arithmetic, see
// sizer. Who is the controlling station is learned from what is said, see roles.go.
//
// Limits: ASDUs of IEC 62351-5 (types 81 to 95) that are cut into segments are shown segment by segment; the octets of
// a file are checked against its checksum, not kept; private types (128 to 255) are carried as they are.
package iec104

import "github.com/roje-ot/roje/protocols"

// Protocol is IEC 60870-5-104's row of the catalog.
var Protocol = &protocols.Protocol{
	Name:         "iec104",
	Title:        "IEC 60870-5-104",
	TCP:          []uint16{2404},
	Codes:        codes,
	Field:        fields,
	Docs:         sheets,
	New:          New,
	Probe:        Probe,
	AppendStatus: appendStatus,
}

// New makes the decoder of one connection. The hint's server is taken for the controlled station until the messages
// say otherwise. Where the connection's beginning was seen, its first I frame must have number 0 and follow a STARTDT.
func New(h protocols.Hint) protocols.Decoder {
	d := &decoder{k: defaultK, t1: defaultT1, kin: h.Kin, group: groupOf(h.Kin)}
	if h.Known {
		d.lean(h.Server.Other(), hintWeight)
	}
	if h.Start { // numbers begin at 0 and data transfer is stopped (60870-5-104 clauses 5.1 and 5.3)
		d.phase = stopped
		for i := range d.ends {
			d.ends[i].counts = true
		}
	}
	return d
}
