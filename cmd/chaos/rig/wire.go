package rig

import (
	"io"
	"net"
	"sync"
	"testing"
)

// A Wire carries TCP connections from a listener to wherever dial leads, until either side or the wire ends them.
type Wire struct {
	listen net.Listener
	dial   func() (net.Conn, error)
	wg     sync.WaitGroup

	mu    sync.Mutex
	off   bool
	conns map[net.Conn]struct{}
	ended int
}

// NewWire makes a wire that is there. dial may be called by several goroutines.
func NewWire(t testing.TB, listen net.Listener, dial func() (net.Conn, error)) *Wire {
	w := &Wire{listen: listen, dial: dial, conns: map[net.Conn]struct{}{}}
	w.wg.Go(func() {
		for {
			c, err := listen.Accept()
			if err != nil {
				return
			}
			w.wg.Go(func() { w.carry(c) })
		}
	})
	t.Cleanup(func() {
		listen.Close()
		w.Down(true)
		w.wg.Wait()
	})
	return w
}

// Address is where the wire begins.
func (w *Wire) Address() string { return w.listen.Addr().String() }

// carry joins a connection to the other end.
func (w *Wire) carry(c net.Conn) {
	defer c.Close()
	if !w.hold(c) {
		return
	}
	defer w.drop(c)
	d, err := w.dial()
	if err != nil {
		return
	}
	defer d.Close()
	if !w.hold(d) {
		return
	}
	defer w.drop(d)
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{c, d}, {d, c}} {
		both.Go(func() {
			io.Copy(way[0], way[1])
			c.Close()
			d.Close()
		})
	}
	both.Wait()
}

// hold puts a connection among those that a cut ends, unless the wire is away.
func (w *Wire) hold(c net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.off {
		w.conns[c] = struct{}{}
	}
	return !w.off
}

func (w *Wire) drop(c net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.conns, c)
}

// Cut ends all connections, wherever they are in their bytes.
func (w *Wire) Cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.end()
}

func (w *Wire) end() {
	for c := range w.conns {
		c.Close()
	}
	w.ended += len(w.conns) / 2
}

// Cuts is how many connections were cut.
func (w *Wire) Cuts() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ended
}

// Down takes the wire away or brings it back.
func (w *Wire) Down(off bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.off = off; off {
		w.end()
	}
}
