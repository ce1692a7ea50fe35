// Package capture is where packets come from: capture files (pcap, pcapng, gzip of either) and a network interface.
// It says when and on which link a packet was seen, and lends its bytes; what they mean is the business of package
// flow.
package capture

import "errors"

// LinkType is the number of a link layer in tcpdump's registry (LINKTYPE_*, tcpdump.org/linktypes.html).
type LinkType uint16

// The link layers that package flow reads. Others are delivered all the same, and counted there as not read.
const (
	Null      LinkType = 0   // BSD loopback: the family in the byte order of the capturing host
	Ethernet  LinkType = 1   //
	PPP       LinkType = 9   //
	FDDI      LinkType = 10  //
	RawBSD    LinkType = 12  // raw IP; 14 on OpenBSD
	RawOpen   LinkType = 14  //
	PPPSerial LinkType = 50  // PPP in HDLC framing
	PPPEther  LinkType = 51  // PPPoE session header first
	RawIP     LinkType = 101 // IPv4 or IPv6, told apart by the version
	CHDLC     LinkType = 104 // Cisco HDLC
	Loop      LinkType = 108 // OpenBSD loopback: the family in network byte order
	SLL       LinkType = 113 // Linux cooked capture
	IPv4      LinkType = 228 //
	IPv6      LinkType = 229 //
	NFLOG     LinkType = 239 // Linux netfilter log: type-length-value items, one of which is the packet
	SLL2      LinkType = 276 // Linux cooked capture, version 2
)

// A Packet is one frame as it was captured. The zero value is ready for Source.Next.
type Packet struct {
	At      int64    // Unix nanoseconds
	Frame   uint64   // 1-based number within its source
	Link    LinkType //
	Iface   int      // index of the interface within its source; 0 where there is only one
	Data    []byte   // lent: valid until the next call of Next, and not to be written to
	OrigLen int      // length on the wire; more than len(Data) if the capture cut the frame
	VLAN    uint16   // if HasVLAN: the outer VLAN id that the capturing kernel took out of Data
	HasVLAN bool
}

// A Source gives packets one after the other. It is used by one goroutine.
type Source interface {
	// Next replaces all of p with the next packet. It returns io.EOF after the last one, ErrIdle if a live source has
	// nothing at the moment, and a *Damage where a file is broken: all packets before the damage were delivered.
	Next(p *Packet) error
	Close() error
}

// ErrIdle says that no packet has arrived for a while; the next call of Next waits again. It gives the caller of a
// live source the time to look at clocks and contexts.
var ErrIdle = errors.New("no packet at the moment")
