package flow

import (
	"net/netip"

	"github.com/roje-ot/roje/protocols"
)

// Transport is what carries a connection.
type Transport uint8

// The transports, by IP protocol number.
const (
	TCP Transport = 6
	UDP Transport = 17
)

func (t Transport) String() string {
	if t == TCP {
		return "tcp"
	}
	return "udp"
}

// A Conn is a TCP connection, or a pair of UDP endpoints. Its two ends are numbered 0 and 1; if the server is known it
// is end 1. Exported fields are for reading, User for the Handler's own use.
type Conn struct {
	ID          uint64 // unique in its Table, counting up from 1
	Transport   Transport
	Ends        [2]netip.AddrPort
	Server      protocols.Dir       // the end whose port is registered, or that was called
	ServerKnown bool                // whether Server means anything
	Proto       *protocols.Protocol // what its bytes are decoded as; nil if that is unknown, or nothing of ours
	TLS         *TLS                // if it is encrypted: what its handshake shows
	MACs        [2]MAC              // last seen, by end
	Tags        [2]Tags             // last seen, by sending end
	TTLs        [2]uint8            // of the first packet with content, by sending end
	Senders     [2]MAC              // of the first packet with content, by sending end; zero if the link has none
	VNI         uint32              // VXLAN network identifier, 0 if none
	First       int64               // time of its first packet
	Last        int64               // time of its last packet
	Heard       [2]int64            // time of the last packet by sending end; 0 if there was none
	Count       Counters            //
	User        any                 // the Handler's; nil at first

	table   key
	swapped bool // end 0 is the greater one of the key
	state   state
	dec     protocols.Decoder
	half    [2]half
	kin     *kin // of a TCP connection that is decoded
	parted  bool // it counts among its kin no more
	probe   *probe
	tries   uint32 // segments or datagrams that came while the protocol was unknown
	edges   uint8  // bit per Edge that was told
	list    *list
	prev    *Conn
	next    *Conn
	hole    holes  // place among the connections that wait for missing bytes
	held    int    // bytes of memory that its buffers occupy
	touched uint64 // 1 + how many packets its Table had taken before its last one
}

// state is what happens to the bytes of a connection.
type state uint8

const (
	probing   state = iota // kept until a protocol says yes or all say no
	decoding               // given to dec
	other                  // counted
	encrypted              // counted, and its handshake read
)

// VLANs returns the VLAN ids with which end dir last sent.
func (c *Conn) VLANs(dir protocols.Dir) []uint16 { return c.Tags[dir].All() }

// Name is the word for what the connection carries: a protocol's name, "tls" or "other".
func (c *Conn) Name() string {
	switch {
	case c.Proto != nil:
		return c.Proto.Name
	case c.TLS != nil:
		return "tls"
	}
	return "other"
}

// Unseen says whether an end of a TCP connection has acknowledged bytes of the other that were not seen: a loss that no
// later segment has shown yet. An end of which nothing was ever seen counts so too.
func (c *Conn) Unseen() bool {
	return c.half[0].unseen() || c.half[1].unseen()
}

func (h *half) unseen() bool {
	n := int32(h.acked - h.next)
	return h.hasAck && (!h.known || n > 0 && !(h.fin && n == 1))
}
