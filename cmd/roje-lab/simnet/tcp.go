package simnet

import (
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

const (
	mss         = 1460
	window      = 64240
	delayedAck  = 40 * time.Millisecond
	dialTimeout = 3 * time.Second
)

type tcpFlag uint8

const (
	flagFin tcpFlag = 1 << iota
	flagSyn
	flagReset
	flagPush
	flagAck
)

// tcpState is what a TCP end remembers (RFC 9293 names: next is SND.NXT, expect is RCV.NXT).
type tcpState struct {
	next, expect uint32
	open         bool // established
	finSent      bool
	unacked      int    // segments that wait for an acknowledgement
	ackTimer     uint64 // counts timers, so that an old one sends nothing
}

// connect does the handshake as the client.
func (c *conn) connect() error {
	n := c.host.net
	c.deadline = n.now.Add(dialTimeout)
	c.depart(20*time.Microsecond, func() { c.segment(flagSyn, nil) })
	for !c.tcp.open && c.failed == nil && n.now.Before(c.deadline) {
		c.wait()
	}
	c.deadline = time.Time{}
	switch {
	case c.tcp.open:
		return nil
	case c.failed == nil:
		c.failed = os.ErrDeadlineExceeded
	}
	c.closed = true
	delete(c.host.conns, c.sock)
	return c.failed
}

// segment sends one segment now: header, tap, arrival.
func (c *conn) segment(flags tcpFlag, data []byte) {
	hold := c.host.resolve(c.peer, c.sock.peer.Addr())
	t := &layers.TCP{
		SrcPort: layers.TCPPort(c.sock.local), DstPort: layers.TCPPort(c.sock.peer.Port()),
		Seq: c.tcp.next, Ack: c.tcp.expect, Window: window,
		FIN: flags&flagFin != 0, SYN: flags&flagSyn != 0, RST: flags&flagReset != 0, PSH: flags&flagPush != 0,
		ACK: flags&flagAck != 0,
	}
	if !t.ACK {
		t.Ack = 0
	}
	if t.SYN {
		t.Options = []layers.TCPOption{{OptionType: layers.TCPOptionKindMSS, OptionLength: 4, OptionData: []byte{mss >> 8, mss & 0xff}}}
	}
	headers, ip := c.host.ip(c.sock.peer.Addr(), layers.IPProtocolTCP)
	if err := t.SetNetworkLayerForChecksum(ip); err != nil {
		panic(err) // ip is IPv4 by construction
	}
	frame := func(data []byte) []byte {
		return serialize(append(headers[:len(headers):len(headers)], t, gopacket.Payload(data))...)
	}
	passed := c.span().pass(c.host, data)
	sent, arriving := frame(data), frame(passed)
	c.tcp.next += uint32(len(data))
	if t.SYN || t.FIN {
		c.tcp.next++
	}
	if t.ACK {
		c.tcp.unacked = 0
		c.tcp.ackTimer++
	}
	seq, from := t.Seq, c.local()
	c.carry(sent, arriving, hold, func() { c.peer.arrive(c.sock.peer.Port(), from, flags, seq, passed) })
}

// arrive takes a segment at host h.
func (h *Host) arrive(port uint16, from netip.AddrPort, flags tcpFlag, seq uint32, data []byte) {
	c := h.conns[socket{port, from, false}]
	if c == nil {
		h.arriveClosed(port, from, flags, seq, data)
		return
	}
	switch {
	case flags&flagReset != 0:
		c.failed = syscall.ECONNRESET
		if !c.tcp.open {
			c.failed = syscall.ECONNREFUSED
		}
		delete(h.conns, c.sock)
		c.wake()
	case flags&flagSyn != 0: // SYN and ACK: the client's second step
		c.tcp.expect, c.tcp.open = seq+1, true
		c.segment(flagAck, nil)
		c.wake()
	case !c.tcp.open: // ACK: the server's third step
		c.tcp.open = true
		if l := h.tcp[port]; l != nil {
			l.offer(c)
		}
		c.receive(flags, data)
	default:
		c.receive(flags, data)
	}
}

// arriveClosed answers a segment that belongs to no connection.
func (h *Host) arriveClosed(port uint16, from netip.AddrPort, flags tcpFlag, seq uint32, data []byte) {
	if flags&flagReset != 0 || flags&flagSyn == 0 && len(data) == 0 && flags&flagFin == 0 {
		return
	}
	c := h.open(port, from, false)
	c.tcp.expect = seq + uint32(len(data)) + 1
	if flags&flagSyn == 0 {
		c.tcp.expect--
	}
	if h.tcp[port] != nil && flags == flagSyn {
		c.depart(30*time.Microsecond, func() { c.segment(flagSyn|flagAck, nil) })
		return
	}
	delete(h.conns, c.sock)
	c.tcp.next = 0
	c.depart(30*time.Microsecond, func() { c.segment(flagReset|flagAck, nil) })
}

// receive takes data and FIN of an open connection, and acknowledges.
func (c *conn) receive(flags tcpFlag, data []byte) {
	if len(data) > 0 {
		c.tcp.expect += uint32(len(data))
		if c.closed {
			c.failed = syscall.ECONNRESET
			delete(c.host.conns, c.sock)
			c.depart(20*time.Microsecond, func() { c.segment(flagReset|flagAck, nil) })
			return
		}
		c.inbox = append(c.inbox, data)
		c.acknowledge()
		c.wake()
	}
	if flags&flagFin != 0 {
		c.tcp.expect++
		c.eof = true
		c.depart(20*time.Microsecond, func() { c.segment(flagAck, nil) })
		c.wake()
	}
	if c.eof && c.tcp.finSent {
		delete(c.host.conns, c.sock)
	}
}

// acknowledge answers every second segment at once and others after a while, unless data goes out before.
func (c *conn) acknowledge() {
	c.tcp.unacked++
	if c.tcp.unacked >= 2 {
		c.depart(20*time.Microsecond, c.ackNow)
		return
	}
	c.tcp.ackTimer++
	timer := c.tcp.ackTimer
	n := c.host.net
	n.at(n.now.Add(delayedAck), func() {
		if c.tcp.ackTimer == timer {
			c.ackNow()
		}
	})
}

func (c *conn) ackNow() {
	if c.tcp.unacked > 0 && c.failed == nil {
		c.segment(flagAck, nil)
	}
}

// finish sends FIN.
func (c *conn) finish() {
	if c.failed != nil || c.tcp.finSent {
		return
	}
	c.segment(flagFin|flagAck, nil)
	c.tcp.finSent = true
	if c.eof {
		delete(c.host.conns, c.sock)
	}
}

// Forge sends a SYN from h's MAC that claims to come from another address. Whatever answers goes to the router.
func (h *Host) Forge(from, to netip.AddrPort) {
	n := h.net
	victim := n.hosts[to.Addr()]
	h.ipID++
	ip := &layers.IPv4{Version: 4, Id: h.ipID, TTL: h.TTL, Protocol: layers.IPProtocolTCP, SrcIP: from.Addr().AsSlice(), DstIP: to.Addr().AsSlice()}
	t := &layers.TCP{SrcPort: layers.TCPPort(from.Port()), DstPort: layers.TCPPort(to.Port()), Seq: n.rng.Uint32(), SYN: true, Window: 1024}
	if err := t.SetNetworkLayerForChecksum(ip); err != nil {
		panic(err) // ip is IPv4 by construction
	}
	n.record(n.now.Add(hop), serialize(append(h.link(h.MAC, victim.MAC, layers.EthernetTypeIPv4), ip, t)...))
	n.at(n.now.Add(2*hop), func() { victim.arrive(to.Port(), from, flagSyn, t.Seq, nil) })
}

// Overwrite sends data from h's MAC as if an end of a connection of this network said them in place of what it sent last.
// The other end keeps what it has.
func (h *Host) Overwrite(end net.Conn, data []byte) {
	c := end.(*conn)
	n, to := h.net, c.sock.peer
	h.ipID++
	ip := &layers.IPv4{Version: 4, Id: h.ipID, TTL: h.TTL, Protocol: layers.IPProtocolTCP, SrcIP: c.host.Addr.AsSlice(), DstIP: to.Addr().AsSlice()}
	t := &layers.TCP{SrcPort: layers.TCPPort(c.sock.local), DstPort: layers.TCPPort(to.Port()), Seq: c.tcp.next - uint32(len(data)), Ack: c.tcp.expect,
		ACK: true, PSH: true, Window: window}
	if err := t.SetNetworkLayerForChecksum(ip); err != nil {
		panic(err) // ip is IPv4 by construction
	}
	n.record(n.now.Add(hop), serialize(append(h.link(h.MAC, c.peer.MAC, layers.EthernetTypeIPv4), ip, t, gopacket.Payload(data))...))
}
