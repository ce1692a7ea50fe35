// Package modbus decodes Modbus as it crosses Ethernet: every function of the application protocol (V1.1b3), UMAS,
// and the three framings that are carried over TCP and UDP.
//
//	MBAP    | TID 2 | PID 2 = 0 | LEN 2 | unit 1 | PDU |           LEN counts unit and PDU: 2 to 254
//	RTU     | unit 1 | PDU | CRC-16, low byte first |              the length follows from the function code
//	ASCII   ":" | unit, PDU, LRC as pairs of hex digits | CR LF
//	PDU     | function 1 | data 0 to 252 |                         function + 0x80 and one code: an exception
//
// Which framing a connection speaks is found out from its bytes: a framing is believed on a frame whose length,
// function code and check agree, or on a chain of two. Who is the client is read from the PDUs where the ports do not
// say it. Serial lines appear as the gateway in front of them, with the unit as the station.
package modbus

import "github.com/roje-ot/roje/protocols"

// Protocol is Modbus's row of the catalog.
var Protocol = &protocols.Protocol{
	Name:         "modbus",
	Title:        "Modbus",
	TCP:          []uint16{502},
	UDP:          []uint16{502},
	Codes:        codes(),
	Field:        fields,
	Docs:         sheets(),
	New:          newDecoder,
	Probe:        probe,
	AppendStatus: appendStatus,
}
