package flow

import (
	"net/netip"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/sensor/capture"
)

// A Handler hears what a Table finds, in the order in which the packets tell it, on the Table's goroutine. Nothing that
// is passed may be kept: a *Conn is used again after Closed, a *Message, a *PacketInfo and byte slices after the call
// returns. A Handler must not call the Table. Embed Ignore to implement only what matters.
type Handler interface {
	// Message is one decoded message of c.Proto. p is the packet that completed it.
	Message(c *Conn, m *protocols.Message, p *PacketInfo)
	// Unframed says that n bytes in a row of c.Proto belonged to no frame; first holds the first of them, at most 32.
	Unframed(c *Conn, dir protocols.Dir, n int, first []byte, p *PacketInfo)
	// Overlap says that p repeated bytes that were delivered before with other content (protocols.Overlap): have is
	// what was delivered, got what p says now, both from the first difference on. The first copy stands.
	Overlap(c *Conn, dir protocols.Dir, have, got []byte, p *PacketInfo)
	// AfterEnd says that p holds bytes of a stream that dir has ended or reset before (protocols.AfterEnd); got is valid during the call.
	AfterEnd(c *Conn, dir protocols.Dir, got []byte, p *PacketInfo)
	// Gap says that n bytes of dir were not captured. n is 0 if how many is unknown.
	Gap(c *Conn, dir protocols.Dir, n int, p *PacketInfo)
	// Edge is a step in the life of a TCP connection. dir is the end that took it.
	Edge(c *Conn, e Edge, dir protocols.Dir, p *PacketInfo)
	// Closed is the last call for c, whose counters are final now. Every connection that had any call gets it.
	Closed(c *Conn, why Reason)
	// ARP is an ARP packet.
	ARP(a *ARP, p *PacketInfo)
}

// Ignore is a Handler that does nothing.
type Ignore struct{}

var _ Handler = Ignore{}

// Message implements Handler.
func (Ignore) Message(*Conn, *protocols.Message, *PacketInfo) {}

// Unframed implements Handler.
func (Ignore) Unframed(*Conn, protocols.Dir, int, []byte, *PacketInfo) {}

// AfterEnd implements Handler.
func (Ignore) AfterEnd(*Conn, protocols.Dir, []byte, *PacketInfo) {}

// Overlap implements Handler.
func (Ignore) Overlap(*Conn, protocols.Dir, []byte, []byte, *PacketInfo) {}

// Gap implements Handler.
func (Ignore) Gap(*Conn, protocols.Dir, int, *PacketInfo) {}

// Edge implements Handler.
func (Ignore) Edge(*Conn, Edge, protocols.Dir, *PacketInfo) {}

// Closed implements Handler.
func (Ignore) Closed(*Conn, Reason) {}

// ARP implements Handler.
func (Ignore) ARP(*ARP, *PacketInfo) {}

// Edge is a step in the life of a TCP connection.
type Edge uint8

// The edges. A connection that was joined in its middle has none of the first three.
const (
	Called   Edge = iota // a SYN; its repetitions are not told
	Answered             // a SYN-ACK
	Refused              // an RST instead of a SYN-ACK
	Reset                // an RST later on
	Finished             // both ends have sent FIN
)

var edgeNames = [...]string{"called", "answered", "refused", "reset", "finished"}

func (e Edge) String() string { return edgeNames[e] }

// Reason is why a connection was closed in the Table. It says nothing about the wire, save for Ended and Reused.
type Reason uint8

// The reasons.
const (
	Ended   Reason = iota // FIN or RST was seen, and then nothing more
	Reused                // the same ports began a new connection
	Idle                  // nothing for a long time
	Evicted               // made room for another one
	Flushed               // the capture has ended
)

var reasonNames = [...]string{"ended", "reused", "idle", "evicted", "flushed"}

func (r Reason) String() string { return reasonNames[r] }

// MAC is an Ethernet address.
type MAC = rules.MAC

// Tags are the VLAN ids of a frame from the outside in, of which four are kept.
type Tags struct {
	IDs [4]uint16
	N   uint8
}

// All returns the ids; the slice lies in t.
func (t *Tags) All() []uint16 { return t.IDs[:t.N] }

func (t *Tags) add(id uint16) {
	if int(t.N) < len(t.IDs) {
		t.IDs[t.N] = id & 0xfff
		t.N++
	}
}

// Tunnel says what a packet was wrapped in. It is the innermost one.
type Tunnel uint8

// The tunnels.
const (
	NoTunnel Tunnel = iota
	MPLS
	PPPoE
	IPinIP
	GRE
	ERSPAN
	VXLAN
)

var tunnelNames = [...]string{"", "mpls", "pppoe", "ipip", "gre", "erspan", "vxlan"}

func (t Tunnel) String() string { return tunnelNames[t] }

// PacketInfo is what is known of a packet besides its payload.
type PacketInfo struct {
	At     int64  // Unix nanoseconds
	Frame  uint64 // 1-based number within the capture
	Iface  int
	Link   capture.LinkType
	Len    int              // captured bytes
	Wire   int              // bytes on the wire
	MACs   [2]MAC           // sender and receiver of the innermost Ethernet header; zero if there is none
	HasMAC bool             // whether the link has them
	Tags   Tags             // VLAN ids of the innermost Ethernet header
	Tunnel Tunnel           //
	Dir    protocols.Dir    // the end of the connection that sent it
	TTL    uint8            // of the innermost IP header
	Flags  TCPFlags         // TCP only
	Seq    uint32           // TCP only
	Ack    uint32           // TCP only
	Window uint16           // TCP only, unscaled
	Faults protocols.Faults // Overlap if its fragments contradict each other, Truncated if the capture cut it
}

// TCPFlags are the flags of a TCP header (RFC 9293 §3.1).
type TCPFlags uint8

// The flags.
const (
	FIN TCPFlags = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
)

// An ARP is an ARP packet for IPv4 over Ethernet (RFC 826). Where the Ethernet header disagrees with SenderMAC, see
// PacketInfo.MACs.
type ARP struct {
	Op                   uint16 // 1 request, 2 reply
	SenderMAC, TargetMAC MAC
	SenderIP, TargetIP   netip.Addr
}
