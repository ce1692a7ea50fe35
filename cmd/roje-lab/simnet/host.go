package simnet

import (
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// LAN is one broadcast domain under the tap.
type LAN struct {
	VLAN   uint16           // 802.1Q tag on its frames at the tap; 0 is untagged
	Router net.HardwareAddr // the MAC behind which Remote hosts are seen
}

// Spec says what a host looks like on the wire.
type Spec struct {
	Name   string
	Addr   netip.Addr
	MAC    net.HardwareAddr
	LAN    *LAN
	Remote bool          // beyond the LAN's router
	TTL    uint8         // as seen at the tap
	Think  time.Duration // from the end of a write to the segment leaving
}

// Host is one machine. Its methods Dial, Sleep, Now, Go and Listen are its stations' whole world; they are called from
// processes of its network (Listen and Go also before Run).
type Host struct {
	Spec
	net       *Net
	ipID      uint16
	nextPort  uint16
	neighbour map[netip.Addr]time.Time // when ARP last confirmed it
	tcp       map[uint16]*listener
	udp       map[uint16]*listener
	conns     map[socket]*conn
}

// socket names one end of a connection at a host.
type socket struct {
	local uint16
	peer  netip.AddrPort
	udp   bool
}

// Host adds a machine. Without a MAC it has a locally administered one, made of its IPv4 address.
func (n *Net) Host(s Spec) *Host {
	if s.TTL == 0 {
		s.TTL = 64
	}
	if s.MAC == nil {
		s.MAC = append(net.HardwareAddr{2, 0}, s.Addr.AsSlice()...)
	}
	if s.LAN.Router == nil {
		s.LAN.Router = net.HardwareAddr{2, 0, 0, 0, 0, 1}
	}
	h := &Host{
		Spec: s, net: n,
		ipID: uint16(n.rng.Uint32()), nextPort: uint16(49152 + n.rng.IntN(8000)),
		neighbour: map[netip.Addr]time.Time{},
		tcp:       map[uint16]*listener{}, udp: map[uint16]*listener{}, conns: map[socket]*conn{},
	}
	n.hosts[s.Addr] = h
	return h
}

// Now is the virtual time.
func (h *Host) Now() time.Time { return h.net.now }

// Sleep lets d of virtual time pass.
func (h *Host) Sleep(d time.Duration) { h.net.sleep(d) }

// Go starts a process on the host.
func (h *Host) Go(f func()) { h.net.spawn(f) }

// Dial connects to "address:port" over "tcp" or "udp". A closed port refuses; a host that does not exist times out.
func (h *Host) Dial(network, address string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	h.nextPort++
	if h.nextPort < 49152 {
		h.nextPort = 49152
	}
	if network == "udp" {
		return h.open(h.nextPort, to, true), nil
	}
	c := h.open(h.nextPort, to, false)
	if err := c.connect(); err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: net.TCPAddrFromAddrPort(to), Err: err}
	}
	return c, nil
}

// Listen takes connections on ":port" (the host part is ignored) over "tcp" or "udp". Over UDP each new peer is one
// connection, and a Read gives one datagram.
func (h *Host) Listen(network, address string) (net.Listener, error) {
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Err: err}
	}
	var port uint16
	if _, err := fmt.Sscan(text, &port); err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Err: err}
	}
	table := h.tcp
	if network == "udp" {
		table = h.udp
	}
	if table[port] != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Err: syscall.EADDRINUSE}
	}
	l := &listener{host: h, port: port, table: table}
	table[port] = l
	return l, nil
}

// listener queues connections until they are accepted.
type listener struct {
	host    *Host
	port    uint16
	table   map[uint16]*listener
	backlog []*conn
	waiting *process
	closed  bool
}

func (l *listener) Accept() (net.Conn, error) {
	for len(l.backlog) == 0 {
		if l.closed {
			return nil, net.ErrClosed
		}
		l.waiting = l.host.net.running
		l.host.net.park()
	}
	c := l.backlog[0]
	l.backlog = l.backlog[1:]
	return c, nil
}

func (l *listener) offer(c *conn) {
	l.backlog = append(l.backlog, c)
	l.wake()
}

func (l *listener) wake() {
	if p := l.waiting; p != nil {
		l.waiting = nil
		n := l.host.net
		n.at(n.now, func() { n.resume(p) })
	}
}

func (l *listener) Close() error {
	l.closed = true
	delete(l.table, l.port)
	l.wake()
	return nil
}

func (l *listener) Addr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(l.host.Addr, l.port))
}
