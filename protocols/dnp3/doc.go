// Package dnp3 decodes DNP3 (IEEE 1815-2012) to full depth: link frames, transport segments, application fragments,
// object headers, points, files and secure authentication.
//
//	05 64 LEN CTL DST DST SRC SRC CRC CRC | up to 16 bytes CRC CRC | up to 16 bytes CRC CRC | ...
//	      |   |                             |
//	      |   DIR PRM FCB FCV function      FIN FIR sequence (transport octet), then application bytes:
//	      5 + user data bytes                 FIR FIN CON UNS sequence | function | IIN IIN (from outstations) |
//	                                          group variation qualifier range [prefix] object ... | ...
//
// All numbers are least significant byte first. One message is one application fragment, or one frame that carries no
// user data; a multi-fragment response is a message per fragment. Who is master comes from the function code, and where
// that does not say (CONFIRM, link frames) from the DIR bit; never from who opened the connection.
//
// Limits: a fragment has at most 65,535 bytes and gives at most 65,536 points; a connection remembers 64 pairs of
// master and outstation, and 256 KiB of unfinished fragments. Beyond these the least recently used is forgotten. Data
// sets (groups 85 to 88) are framed and not interpreted. TLS (port 19999) is not read here.
package dnp3

import "github.com/roje-ot/roje/protocols"

// Protocol is DNP3's row of the catalog.
var Protocol = &protocols.Protocol{
	Name:         "dnp3",
	Title:        "DNP3",
	TCP:          []uint16{20000},
	UDP:          []uint16{20000},
	Codes:        codes(),
	Field:        fields,
	Docs:         sheets(),
	New:          func(h protocols.Hint) protocols.Decoder { return newDecoder(h) },
	Probe:        probe,
	AppendStatus: appendStatus,
}
