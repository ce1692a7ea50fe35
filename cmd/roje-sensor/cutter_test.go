package main

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
)

// A cutter forwards connections, and cuts them once so many bytes have gone towards the collector.
type cutter struct {
	net.Listener
	mu    sync.Mutex
	left  int // bytes until the cut; negative for none
	cut   chan struct{}
	conns []net.Conn
}

func newCutter(t *testing.T, to string) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{Listener: l, left: -1, cut: make(chan struct{})}
	t.Cleanup(func() { l.Close(); c.closeAll() })
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				near.Close()
				continue
			}
			c.mu.Lock()
			c.conns = append(c.conns, near, far)
			c.mu.Unlock()
			go func() { io.Copy(near, far); near.Close() }()
			go func() { io.Copy(far, io.TeeReader(near, c)); far.Close() }()
		}
	}()
	return c
}

// Write counts what goes towards the collector.
func (c *cutter) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left < 0 {
		return len(b), nil
	}
	if c.left -= len(b); c.left > 0 {
		return len(b), nil
	}
	c.left = 0
	select {
	case <-c.cut:
	default:
		close(c.cut)
	}
	return 0, errors.New("cut")
}

func (c *cutter) closeAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		conn.Close()
	}
	c.conns = nil
}

func (c *cutter) allow(bytes int) {
	c.mu.Lock()
	c.left = bytes
	c.mu.Unlock()
}
