package passive

import (
	"context"
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf/link"
	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/roje-ot/roje/testdata/need"
)

// crash lets go of what a process holds, as its end would, and of nothing else.
func (e *Egress) crash(t *testing.T) {
	t.Helper()
	if err := errors.Join(e.tcx.Close(), e.objs.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestPinned: the program stays when the one who attached it has crashed, is taken over at the next start, and counts on
// from there; that its pin was removed is noticed.
func TestPinned(t *testing.T) {
	span, peer := need.Veth(t)
	need.BPFFS(t)
	first, err := DropEgress(span, false)
	if err != nil || first.Unpinned != nil {
		t.Fatal(err, first.Unpinned)
	}
	info, err := first.tcx.Info()
	if err != nil {
		t.Fatal(err)
	}
	first.crash(t)
	if got, _ := arrived(t, span, peer, func() { transmit(t, span, false, frames) }); got != 0 {
		t.Errorf("after a crash %d frames arrived", got)
	}
	second, err := DropEgress(span, false)
	if err != nil {
		t.Fatal(err)
	}
	if now, err := second.tcx.Info(); err != nil || now.ID != info.ID {
		t.Errorf("the pinned link was not taken over: %v", err)
	}
	transmit(t, span, false, frames)
	if tried, _, err := second.Tried(); err != nil || tried != frames {
		t.Errorf("%d frames counted, %v", tried, err)
	}
	if err := second.Watch(); err != nil {
		t.Error(err)
	}
	if err := os.Remove(second.pin); err != nil {
		t.Fatal(err)
	}
	if err := second.Watch(); err == nil || !strings.Contains(err.Error(), "pin") {
		t.Errorf("the pin was removed, and Watch says %v", err)
	}
	second.crash(t)
	if got, _ := arrived(t, span, peer, func() { transmit(t, span, false, frames) }); got != frames {
		t.Errorf("with neither pin nor process %d frames arrived, want %d", got, frames)
	}
}

// TestPinOfAnother: a pin whose interface has vanished gives way to one for the interface that has its name now.
func TestPinOfAnother(t *testing.T) {
	span, peer := need.Veth(t)
	need.BPFFS(t)
	old, err := DropEgress(span, false)
	if err != nil {
		t.Fatal(err)
	}
	dev, err := netlink.LinkByName(span)
	if err == nil {
		err = netlink.LinkDel(dev)
	}
	if err != nil {
		t.Fatal(err)
	}
	if old.Watch() == nil {
		t.Error("the interface has vanished, and Watch finds its program")
	}
	old.crash(t)
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: span}, PeerName: peer}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{span, peer} {
		dev, err := netlink.LinkByName(name)
		if err == nil {
			err = netlink.LinkSetUp(dev)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	e, err := DropEgress(span, false)
	if err != nil || e.Unpinned != nil {
		t.Fatal(err, e.Unpinned)
	}
	if got, _ := arrived(t, span, peer, func() { transmit(t, span, false, frames) }); got != 0 {
		t.Errorf("%d frames arrived", got)
	}
	if err := errors.Join(e.Watch(), e.Close()); err != nil {
		t.Error(err)
	}
	if got, _ := arrived(t, span, peer, func() { transmit(t, span, false, frames) }); got != frames {
		t.Errorf("after Close %d frames arrived, want %d", got, frames)
	}
}

// TestNotPinned: without bpffs the program stands, and says that it ends with the process.
func TestNotPinned(t *testing.T) {
	span, _ := need.Veth(t)
	before := pins
	pins = t.TempDir() + "/roje"
	t.Cleanup(func() { pins = before })
	e, err := DropEgress(span, false)
	if err != nil {
		t.Fatal(err)
	}
	if e.Unpinned == nil || !strings.Contains(e.Unpinned.Error(), "is not mounted") {
		t.Errorf("not pinned because of %v", e.Unpinned)
	}
	if err := errors.Join(e.Watch(), e.Close()); err != nil {
		t.Error(err)
	}
}

// aside runs f on another thread, in the calling thread's namespaces.
func aside(t *testing.T, f func() error) <-chan error {
	t.Helper()
	var homes []*os.File
	for _, path := range []string{"/proc/thread-self/ns/net", "/proc/thread-self/ns/mnt"} {
		home, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		homes = append(homes, home)
	}
	ended := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlock: the thread ends with the goroutine
		err := unix.Unshare(unix.CLONE_FS)
		for _, home := range homes {
			err = errors.Join(err, unix.Setns(int(home.Fd()), 0), home.Close())
		}
		if err == nil {
			err = f()
		}
		ended <- err
	}()
	return ended
}

// TestKeep: whoever keeps watch says what was tried and which layer is missing, and the layers stay when it ends.
func TestKeep(t *testing.T) {
	span, peer := need.Veth(t)
	need.BPFFS(t)
	before := marks
	marks = t.TempDir()
	t.Cleanup(func() { marks = before })
	if _, err := Kept(span); !errors.Is(err, ErrNobody) {
		t.Errorf("before anybody keeps watch: %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ticks, ready := make(chan time.Time), make(chan struct{})
	ended := aside(t, func() error { return Keep(ctx, span, ticks, func() error { close(ready); return nil }) })
	select {
	case <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	report := func() Report {
		t.Helper()
		for range 2 { // with the second, what the first has found is written
			select {
			case ticks <- time.Time{}:
			case err := <-ended:
				t.Fatalf("the watch ended: %v", err)
			}
		}
		r, err := Kept(span)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := report(); r != (Report{}) {
		t.Errorf("at first: %+v", r)
	}
	if err := IsShut(span); err != nil {
		t.Error(err)
	}
	want := uint64(0)
	for _, s := range sends {
		if got, _ := arrived(t, span, peer, func() { transmit(t, span, s.bypass, frames) }); got != 0 {
			t.Errorf("%s: %d frames arrived", s.name, got)
		}
		want += frames
		if r := report(); r.Tried != want || r.Open != "" {
			t.Errorf("%s: %+v, want %d tried", s.name, r, want)
		}
	}
	if err := <-aside(t, func() error { return Keep(ctx, span, ticks, nil) }); err == nil {
		t.Error("two keep watch over one interface")
	}

	conn, err := nftables.New()
	if err != nil {
		t.Fatal(err)
	}
	conn.DelTable(&nftables.Table{Family: nftables.TableFamilyNetdev, Name: "roje-" + span})
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	if r := report(); !strings.Contains(r.Open, "nftables") {
		t.Errorf("the chain was removed: %+v", r)
	}
	path, err := pinOf(span)
	if err != nil {
		t.Fatal(err)
	}
	pinned, err := link.LoadPinnedLink(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := pinned.(interface{ Detach() error }).Detach(); err != nil {
		t.Fatal(err)
	}
	pinned.Close()
	if r := report(); !strings.Contains(r.Open, "egress program") {
		t.Errorf("the TCX program was detached: %+v", r)
	}
	if got, _ := arrived(t, span, peer, func() { transmit(t, span, false, frames) }); got != 0 {
		t.Errorf("without the chain and the TCX program %d frames arrived", got)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := Kept(span); !errors.Is(err, ErrNobody) {
		t.Errorf("after the watch has ended: %v", err)
	}
	if err := IsShut(span); err != nil {
		t.Errorf("after the watch has ended: %v", err)
	}
	if err := Open(span); err != nil {
		t.Error(err)
	}
	if got, _ := arrived(t, span, peer, func() { transmit(t, span, false, frames) }); got != frames || IsShut(span) == nil {
		t.Errorf("opened again, %d frames arrived, want %d", got, frames)
	}
}
