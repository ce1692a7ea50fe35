package netlab

import (
	"net"
	"os"
	"sync"
	"time"
)

// listenUDP gives each peer of a UDP port its own connection; a Read gives one datagram.
func listenUDP(addr *net.UDPAddr) (net.Listener, error) {
	socket, err := net.ListenUDP("udp", addr)
	if err != nil {
		return nil, err
	}
	l := &udpListener{socket: socket, fresh: make(chan net.Conn, 16), peers: map[string]*udpPeer{}}
	go l.sort()
	return l, nil
}

type udpListener struct {
	socket *net.UDPConn
	fresh  chan net.Conn

	mu    sync.Mutex
	peers map[string]*udpPeer
}

// sort hands datagrams to their peers until the socket is closed.
func (l *udpListener) sort() {
	defer close(l.fresh)
	buf := make([]byte, 65536)
	for {
		n, from, err := l.socket.ReadFromUDP(buf)
		if err != nil {
			return
		}
		l.mu.Lock()
		p := l.peers[from.String()]
		isNew := p == nil
		if isNew {
			p = &udpPeer{listener: l, peer: from, wake: make(chan struct{}, 1)}
			l.peers[from.String()] = p
		}
		l.mu.Unlock()
		p.put(append([]byte(nil), buf[:n]...))
		if isNew {
			select {
			case l.fresh <- p:
			default: // nobody accepts: as a full backlog, the peer is forgotten
				p.Close()
			}
		}
	}
}

func (l *udpListener) Accept() (net.Conn, error) {
	if conn, ok := <-l.fresh; ok {
		return conn, nil
	}
	return nil, net.ErrClosed
}

func (l *udpListener) Close() error   { return l.socket.Close() }
func (l *udpListener) Addr() net.Addr { return l.socket.LocalAddr() }

// udpPeer is one peer of a udpListener.
type udpPeer struct {
	listener *udpListener
	peer     *net.UDPAddr
	wake     chan struct{} // something changed

	mu       sync.Mutex
	inbox    [][]byte
	deadline time.Time
	closed   bool
}

func (p *udpPeer) put(b []byte) {
	p.mu.Lock()
	if len(p.inbox) < 64 { // more is dropped, as a socket's buffer does
		p.inbox = append(p.inbox, b)
	}
	p.mu.Unlock()
	p.poke()
}

func (p *udpPeer) poke() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *udpPeer) Read(b []byte) (int, error) {
	for {
		p.mu.Lock()
		deadline := p.deadline
		switch {
		case p.closed:
			p.mu.Unlock()
			return 0, net.ErrClosed
		case len(p.inbox) > 0:
			n := copy(b, p.inbox[0])
			p.inbox = p.inbox[1:]
			p.mu.Unlock()
			return n, nil
		case !deadline.IsZero() && !time.Now().Before(deadline):
			p.mu.Unlock()
			return 0, os.ErrDeadlineExceeded
		}
		p.mu.Unlock()
		var expired <-chan time.Time
		if !deadline.IsZero() {
			expired = time.After(time.Until(deadline))
		}
		select {
		case <-p.wake:
		case <-expired:
		}
	}
}

func (p *udpPeer) Write(b []byte) (int, error) { return p.listener.socket.WriteToUDP(b, p.peer) }

func (p *udpPeer) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.poke()
	p.listener.mu.Lock()
	defer p.listener.mu.Unlock()
	delete(p.listener.peers, p.peer.String())
	return nil
}

func (p *udpPeer) LocalAddr() net.Addr              { return p.listener.socket.LocalAddr() }
func (p *udpPeer) RemoteAddr() net.Addr             { return p.peer }
func (p *udpPeer) SetDeadline(t time.Time) error    { return p.SetReadDeadline(t) }
func (p *udpPeer) SetWriteDeadline(time.Time) error { return nil }
func (p *udpPeer) SetReadDeadline(t time.Time) error {
	p.mu.Lock()
	p.deadline = t
	p.mu.Unlock()
	p.poke()
	return nil
}
