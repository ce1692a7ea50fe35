package rig

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"github.com/roje-ot/roje/testdata/need"
)

// A Namespace is a network namespace that lives as long as the test.
type Namespace struct {
	t      testing.TB
	handle netns.NsHandle
	orders chan func()
}

// NewNamespace makes one, with its loopback up and without IPv6. It skips without root.
func NewNamespace(t testing.TB) *Namespace {
	t.Helper()
	need.Superuser(t)
	n := &Namespace{t: t, orders: make(chan func())}
	made := make(chan error)
	var done sync.WaitGroup
	done.Go(func() {
		runtime.LockOSThread() // and never unlock: the thread ends with the goroutine
		var err error
		if n.handle, err = netns.New(); err == nil {
			err = os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0)
		}
		if err == nil {
			var lo netlink.Link
			if lo, err = netlink.LinkByName("lo"); err == nil {
				err = netlink.LinkSetUp(lo)
			}
		}
		made <- err
		for do := range n.orders {
			do()
		}
	})
	t.Cleanup(func() {
		close(n.orders)
		done.Wait()
		n.handle.Close()
	})
	if err := <-made; err != nil {
		t.Fatalf("make a network namespace: %v", err)
	}
	return n
}

// Handle is the namespace's descriptor, for who moves interfaces to it.
func (n *Namespace) Handle() netlink.NsFd { return netlink.NsFd(n.handle) }

// Do runs f on the namespace's own thread, which lives until the test's end, and waits. Its error ends the test.
func (n *Namespace) Do(f func() error) {
	n.t.Helper()
	if err := n.Try(f); err != nil {
		n.t.Fatal(err)
	}
}

// Try is Do for an f that may fail.
func (n *Namespace) Try(f func() error) error {
	ended := make(chan error, 1)
	n.orders <- func() { ended <- f() }
	return <-ended
}

// Go runs f in the namespace on a thread of its own.
func (n *Namespace) Go(f func() error) <-chan error {
	ended := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlock: the thread ends with the goroutine
		err := netns.Set(n.handle)
		if err == nil {
			err = f()
		}
		ended <- err
	}()
	return ended
}

// Dial connects from the namespace.
func (n *Namespace) Dial(ctx context.Context, network, address string) (conn net.Conn, err error) {
	if err := <-n.Go(func() error {
		conn, err = (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, network, address)
		return err
	}); err != nil {
		return nil, err
	}
	return conn, nil
}

// Listen listens on TCP in the namespace.
func (n *Namespace) Listen(address string) (l net.Listener) {
	n.t.Helper()
	n.Do(func() (err error) {
		l, err = net.Listen("tcp", address)
		return err
	})
	return l
}

// Join makes a pair of virtual interfaces between two namespaces; both are down.
func Join(near *Namespace, name string, far *Namespace, farName string) {
	near.t.Helper()
	near.Do(func() error {
		pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: farName, PeerNamespace: far.Handle()}
		if err := netlink.LinkAdd(pair); err != nil {
			return fmt.Errorf("make interface %s: %w", name, err)
		}
		return nil
	})
}

// Up gives the interface of the calling thread's namespace an address, such as 10.0.0.1/24, and sets it up.
func Up(name, address string) (netlink.Link, error) {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return nil, err
	}
	at, err := netlink.ParseAddr(address)
	if err != nil {
		return nil, err
	}
	if err := netlink.AddrAdd(link, at); err != nil {
		return nil, err
	}
	return link, netlink.LinkSetUp(link)
}
