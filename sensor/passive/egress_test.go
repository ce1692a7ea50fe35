package passive

import (
	"errors"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/roje-ot/roje/sensor/capture"
	"github.com/roje-ot/roje/sensor/capture/ring"
	"github.com/roje-ot/roje/testdata/need"
)

// sends are ways to send a frame out of an interface, from a process with all rights.
var sends = []struct {
	name      string
	bypass    bool // around the queueing layer
	passesTCX bool
}{
	{name: "packet socket"},
	{name: "packet socket around the queueing layer", bypass: true, passesTCX: true},
}

// transmit sends n frames out of iface by a packet socket, and returns the first error.
func transmit(t *testing.T, iface string, bypass bool, n int) error {
	t.Helper()
	link, err := netlink.LinkByName(iface)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if bypass {
		if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1); err != nil {
			t.Fatal(err)
		}
	}
	frame := append([]byte{2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8, 0x88, 0xb5}, make([]byte, 50)...)
	for range n {
		if e := unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: link.Attrs().Index}); e != nil && err == nil {
			err = e
		}
	}
	return err
}

// arrived counts the frames that reach the peer while send runs, and those that the port says it has sent.
func arrived(t *testing.T, span, peer string, send func()) (atPeer int, sent uint64) {
	t.Helper()
	r, err := ring.Open(ring.Config{Interface: peer, Blocks: 2, Retire: 10})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	w, err := NewWitness(span)
	if err != nil {
		t.Fatal(err)
	}
	send()
	var p capture.Packet
	for {
		if err := r.Next(&p); errors.Is(err, capture.ErrIdle) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		atPeer++
	}
	if sent, err = w.Sent(); err != nil {
		t.Fatal(err)
	}
	return atPeer, sent
}

const frames = 5

// TestWithoutLayers is the control: what the layers stop does arrive without them, and the witness sees it.
func TestWithoutLayers(t *testing.T) {
	span, peer := need.Veth(t)
	for _, s := range sends {
		got, sent := arrived(t, span, peer, func() { transmit(t, span, s.bypass, frames) })
		if got != frames || sent != frames {
			t.Errorf("%s: %d frames arrived and %d were sent, want %d", s.name, got, sent, frames)
		}
	}
}

func TestEgress(t *testing.T) {
	for _, clsact := range []bool{false, true} {
		span, peer := need.Veth(t)
		e, err := DropEgress(span, clsact)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range sends {
			got, _ := arrived(t, span, peer, func() { transmit(t, span, s.bypass, frames) })
			if want := map[bool]int{true: frames}[s.passesTCX]; got != want {
				t.Errorf("%s, %s: %d frames arrived, want %d", e.How, s.name, got, want)
			}
		}
		if tried, bytes, err := e.Tried(); err != nil || tried != frames || bytes == 0 {
			t.Errorf("%s: counted %d frames, %d bytes, %v", e.How, tried, bytes, err)
		}
		if err := e.Watch(); err != nil {
			t.Errorf("%s: %v", e.How, err)
		}
		if how, err := EgressShut(span); err != nil || how != e.How {
			t.Errorf("%s: from outside it is %q, %v", e.How, how, err)
		}
		if e.tcx != nil {
			if err := e.tcx.(interface{ Detach() error }).Detach(); err != nil {
				t.Fatal(err)
			}
			if e.Watch() == nil || e.linkHolds() == nil {
				t.Error("nobody notices that the program was detached")
			}
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := EgressShut(span); err == nil {
			t.Errorf("%s: after Close it is still shut, from outside", e.How)
		}
		if got, _ := arrived(t, span, peer, func() { transmit(t, span, false, frames) }); got != frames {
			t.Errorf("after Close %d frames arrived, want %d", got, frames)
		}
	}
}

func TestNFT(t *testing.T) {
	span, peer := need.Veth(t)
	n, err := DropNFT(span)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sends {
		if got, sent := arrived(t, span, peer, func() { transmit(t, span, s.bypass, frames) }); got != 0 || sent != 0 {
			t.Errorf("%s: %d frames arrived, %d sent, want none", s.name, got, sent)
		}
	}
	if err := n.Watch(); err != nil {
		t.Error(err)
	}
	if got := n.Tried(); got != uint64(len(sends)*frames) || n.Silent != nil {
		t.Errorf("the chain says that %d frames were tried, want %d; %v", got, len(sends)*frames, n.Silent)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if n.Watch() == nil {
		t.Error("Watch finds the chain after it was removed")
	}
}
