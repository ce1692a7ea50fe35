package netlab

import (
	"context"
	"errors"
	"net"
	"runtime"
	"sync"
	"time"

	"github.com/roje-ot/roje/cmd/roje-lab/station"
)

// World is a set of hosts on real sockets. Close ends everything that runs on them.
type World struct {
	ctx    context.Context
	cancel context.CancelFunc
	hosts  map[string]*host
	undo   []func() error // what Close takes down, last made first

	mu   sync.Mutex
	live map[closer]bool
	done sync.WaitGroup
}

type closer interface{ Close() error }

// host is one member of the cast on a network stack.
type host struct {
	world *World
	addr  net.IP
	// inside runs f on a thread in the host's network namespace; nil is the caller's own.
	inside func(f func() error) error
	// place maps an address of the script to one of this world.
	place func(ip net.IP, port int) (net.IP, int)
}

func newWorld(ctx context.Context) *World {
	w := &World{hosts: map[string]*host{}, live: map[closer]bool{}}
	w.ctx, w.cancel = context.WithCancel(ctx)
	return w
}

// Host is a member of the cast, or nil.
func (w *World) Host(name string) station.Host {
	h := w.hosts[name]
	if h == nil {
		return nil
	}
	return h
}

// Close stops every goroutine on the hosts, closes their sockets and takes the network down.
func (w *World) Close() error {
	w.cancel()
	w.mu.Lock()
	for c := range w.live {
		c.Close()
	}
	w.mu.Unlock()
	w.done.Wait()
	var err error
	for i := len(w.undo) - 1; i >= 0; i-- {
		err = errors.Join(err, w.undo[i]())
	}
	w.undo = nil
	return err
}

// keep closes c with the world; it is closed at once if the world is.
func (w *World) keep(c closer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ctx.Err() != nil {
		c.Close()
		return
	}
	w.live[c] = true
}

func (w *World) drop(c closer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.live, c)
}

// Now is the time of day.
func (h *host) Now() time.Time { return time.Now() }

// Sleep waits; when the world is closed it ends the goroutine, as nothing is left for it to do.
func (h *host) Sleep(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-h.world.ctx.Done():
		runtime.Goexit()
	}
}

// Go starts f on a goroutine that Close waits for.
func (h *host) Go(f func()) {
	h.world.done.Add(1)
	go func() {
		defer h.world.done.Done()
		if h.world.ctx.Err() == nil {
			f()
		}
	}()
}

// Dial connects from the host's own address.
func (h *host) Dial(network, address string) (net.Conn, error) {
	to, err := net.ResolveTCPAddr("tcp", address) // only literals come here
	if err != nil {
		return nil, err
	}
	ip, port := h.place(to.IP, to.Port)
	d := net.Dialer{Timeout: 3 * time.Second}
	address = (&net.TCPAddr{IP: ip, Port: port}).String()
	if network == "udp" {
		d.LocalAddr = &net.UDPAddr{IP: h.addr}
	} else {
		d.LocalAddr = &net.TCPAddr{IP: h.addr}
	}
	var conn net.Conn
	err = h.inside(func() (err error) {
		conn, err = d.DialContext(h.world.ctx, network, address)
		return err
	})
	if err != nil {
		return nil, err
	}
	return h.track(conn), nil
}

// Listen takes connections at the host's own address.
func (h *host) Listen(network, address string) (net.Listener, error) {
	at, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, err
	}
	_, port := h.place(h.addr, at.Port)
	var l net.Listener
	err = h.inside(func() (err error) {
		if network == "udp" {
			l, err = listenUDP(&net.UDPAddr{IP: h.addr, Port: port})
			return err
		}
		l, err = net.ListenTCP("tcp", &net.TCPAddr{IP: h.addr, Port: port})
		return err
	})
	if err != nil {
		return nil, err
	}
	h.world.keep(l)
	return &listener{l, h}, nil
}

// listener tracks what it accepts.
type listener struct {
	net.Listener
	host *host
}

func (l *listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.host.track(conn), nil
}

// tracked is a connection that the world closes at its end.
type tracked struct {
	net.Conn
	world *World
}

func (h *host) track(conn net.Conn) net.Conn {
	h.world.keep(conn)
	return &tracked{conn, h.world}
}

func (t *tracked) Close() error {
	t.world.drop(t.Conn)
	return t.Conn.Close()
}

var _ station.Host = (*host)(nil)
