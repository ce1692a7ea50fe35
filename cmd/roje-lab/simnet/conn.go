package simnet

import (
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// conn is one end of a TCP connection or of a UDP exchange, and a net.Conn to its station.
type conn struct {
	host *Host
	sock socket
	peer *Host // nil where nobody has the address

	inbox    [][]byte // in order; over UDP each is a datagram
	eof      bool     // the peer has sent FIN
	failed   error    // reset or refused
	closed   bool     // Close was called
	deadline time.Time
	waiting  *process
	waits    uint64 // counts the waits, so that an old timer wakes nobody

	tcp      tcpState
	departed time.Time // when the last packet left
	tapped   time.Time // when the tap saw it
}

func (h *Host) open(port uint16, to netip.AddrPort, udp bool) *conn {
	c := &conn{host: h, sock: socket{port, to, udp}, peer: h.net.hosts[to.Addr()]}
	h.conns[c.sock] = c
	c.tcp.next = h.net.rng.Uint32()
	return c
}

// wait parks the running process until wake, or until the read deadline.
func (c *conn) wait() {
	n := c.host.net
	c.waiting = n.running
	c.waits++
	if mine := c.waits; !c.deadline.IsZero() {
		n.at(c.deadline, func() {
			if c.waits == mine {
				c.wake()
			}
		})
	}
	n.park()
}

// wake lets the waiting process look again.
func (c *conn) wake() {
	if p := c.waiting; p != nil {
		c.waiting = nil
		c.waits++
		n := c.host.net
		n.at(n.now, func() { n.resume(p) })
	}
}

// Read gives bytes in order, or one datagram.
func (c *conn) Read(p []byte) (int, error) {
	for {
		switch {
		case c.closed:
			return 0, net.ErrClosed
		case len(c.inbox) > 0:
			return c.take(p), nil
		case c.failed != nil:
			return 0, c.failed
		case c.eof:
			return 0, io.EOF
		case !c.deadline.IsZero() && !c.host.net.now.Before(c.deadline):
			return 0, os.ErrDeadlineExceeded
		}
		c.wait()
	}
}

func (c *conn) take(p []byte) int {
	n := copy(p, c.inbox[0])
	if n == len(c.inbox[0]) || c.sock.udp {
		c.inbox = c.inbox[1:]
	} else {
		c.inbox[0] = c.inbox[0][n:]
	}
	return n
}

// Write sends p and does not wait for it to leave.
func (c *conn) Write(p []byte) (int, error) {
	switch {
	case c.closed:
		return 0, net.ErrClosed
	case c.failed != nil:
		return 0, c.failed
	case c.sock.udp:
		c.sendDatagram(p)
		return len(p), nil
	}
	for rest := p; len(rest) > 0; {
		n := min(len(rest), mss)
		data := append([]byte(nil), rest[:n]...)
		c.depart(c.host.think(), func() { c.push(data) })
		rest = rest[n:]
	}
	return len(p), nil
}

// push sends data unless the connection has failed since it was written.
func (c *conn) push(data []byte) {
	if c.failed == nil {
		c.segment(flagPush|flagAck, data)
	}
}

// think is the host's processing time with some jitter, in whole microseconds.
func (h *Host) think() time.Duration {
	jitter := h.net.rng.Int64N(h.Think.Microseconds()/4 + 20)
	return h.Think + time.Duration(jitter)*time.Microsecond
}

// depart makes do happen after d, and after everything that left before.
func (c *conn) depart(d time.Duration, do func()) {
	n := c.host.net
	at := n.now.Add(d)
	if least := c.departed.Add(tapDrift); at.Before(least) {
		at = least
	}
	c.departed = at
	n.at(at, do)
}

// span is what the connection goes through, nil for nothing.
func (c *conn) span() *Span { return c.host.net.span(c.host, c.peer) }

// carry shows a frame, as it was sent and as it arrives, to the taps and delivers what it carries to the other end.
func (c *conn) carry(sent, arriving []byte, hold time.Duration, arrive func()) {
	n := c.host.net
	at := n.now.Add(hold + c.host.delay())
	if least := c.tapped.Add(tapDrift); at.Before(least) {
		at = least
	}
	c.tapped = at
	c.span().record(n, c.host, at, sent, arriving)
	if c.peer != nil {
		n.at(at.Add(c.peer.delay()), arrive)
	}
}

// Close sends FIN after what was written. What still arrives is answered with RST.
func (c *conn) Close() error {
	if c.closed {
		return net.ErrClosed
	}
	c.closed = true
	c.wake()
	if c.sock.udp {
		delete(c.host.conns, c.sock)
	} else if c.failed == nil {
		c.depart(c.host.think(), c.finish)
	}
	return nil
}

// Abort sends RST, as a station that loses power in the middle or a tool that is cut off does.
func (c *conn) Abort() {
	if c.closed || c.failed != nil {
		return
	}
	c.closed, c.failed = true, syscall.ECONNABORTED
	c.wake()
	c.depart(0, func() { c.segment(flagReset|flagAck, nil) })
}

func (c *conn) local() netip.AddrPort { return netip.AddrPortFrom(c.host.Addr, c.sock.local) }

// LocalAddr is this end.
func (c *conn) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(c.local()) }

// RemoteAddr is the other end.
func (c *conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.sock.peer) }

// SetDeadline is SetReadDeadline: a write never waits.
func (c *conn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// SetReadDeadline ends a Read at t of virtual time, also one that waits already.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.deadline = t
	c.wake()
	return nil
}

// SetWriteDeadline does nothing: a write never waits.
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

var _ net.Conn = (*conn)(nil)
