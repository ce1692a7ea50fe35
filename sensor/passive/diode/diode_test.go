package diode

import (
	"errors"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/roje-ot/roje/sensor/capture"
	"github.com/roje-ot/roje/sensor/capture/bench/frames"
	"github.com/roje-ot/roje/sensor/capture/filter"
	"github.com/roje-ot/roje/sensor/capture/ring"
	"github.com/roje-ot/roje/sensor/passive"
	"github.com/roje-ot/roje/testdata/need"
)

// namespace makes one more network namespace and comes back from it.
func namespace(t *testing.T) netns.NsHandle {
	t.Helper()
	here, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	in, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close() })
	if err := netns.Set(here); err != nil {
		t.Fatal(err)
	}
	return in
}

// TestDiode lets a million frames through, and has the sensor's side try to send.
func TestDiode(t *testing.T) {
	port, peer := need.Veth(t)
	in := namespace(t)
	if err := Install(port, "roje0", in); err != nil {
		t.Fatal(err)
	}
	if name, ok := passive.BehindDiode("roje0"); !ok || name != port {
		t.Errorf("BehindDiode says %q, %v", name, ok)
	}
	if _, ok := passive.BehindDiode(peer); ok {
		t.Error("BehindDiode takes a virtual pair for a diode")
	}
	f, err := filter.Load(filter.Config{UDP: []uint16{frames.Port}})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sensor, err := ring.Open(ring.Config{Interface: "roje0", Filter: f, Retire: 10})
	if err != nil {
		t.Fatal(err)
	}
	defer sensor.Close()
	far, err := ring.Open(ring.Config{Interface: peer, Blocks: 2, Retire: 10})
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()

	const bursts, burst, tries = 10, 100_000, 20
	var sent, read, wrong uint64
	for range bursts {
		err := Within(in, func() error {
			source, err := frames.New(port, 128, 1)
			if err != nil {
				return err
			}
			defer source.Close()
			n, err := source.Send(burst)
			sent += n
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		next := uint64(0)
		var p capture.Packet
		for {
			if err := sensor.Next(&p); errors.Is(err, capture.ErrIdle) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			if n := frames.Number(p.Data); n != next || len(p.Data) != 128 {
				wrong++
			}
			next++
			read++
		}
	}
	if sent < bursts*burst || read != sent || wrong != 0 {
		t.Errorf("%d frames arrived at the port, %d came through, %d out of order or cut", sent, read, wrong)
	}

	send := need.Sender(t, "roje0")
	for range tries {
		send(make([]byte, 64))
	}
	if n, err := Tried(in); err != nil || n != tries {
		t.Errorf("the tripwire has counted %d frames, %v, want %d", n, err, tries)
	}
	var p capture.Packet
	if err := far.Next(&p); !errors.Is(err, capture.ErrIdle) {
		t.Errorf("the port's peer has received a frame: % x, %v", p.Data, err)
	}
	var out uint64
	if err := Within(in, func() error {
		link, err := netlink.LinkByName(port)
		if err != nil {
			return err
		}
		out = link.Attrs().Statistics.TxPackets
		return nil
	}); err != nil || out != 0 {
		t.Errorf("the port has sent %d frames, %v", out, err)
	}

	if err := Remove(port, "roje0", in); err != nil {
		t.Fatal(err)
	}
	if _, err := netlink.LinkByName(port); err != nil {
		t.Errorf("after Remove: %v", err)
	}
	if _, err := netlink.LinkByName("roje0"); err == nil {
		t.Error("after Remove the sensor's end is still there")
	}
}

// TestTags: tags, jumbo frames and fragments come through as they are.
func TestTags(t *testing.T) {
	port, peer := need.Veth(t)
	in := namespace(t)
	if err := Install(port, "roje0", in); err != nil {
		t.Fatal(err)
	}
	r, err := ring.Open(ring.Config{Interface: "roje0", Blocks: 4, Retire: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	send := need.Sender(t, peer)
	for _, c := range []struct {
		name string
		tag  []byte
		size int
		vlan uint16
	}{
		{"plain", nil, 100, 0}, {"802.1Q", []byte{0x81, 0, 0, 100}, 100, 100}, {"QinQ", []byte{0x88, 0xa8, 0, 7, 0x81, 0, 0, 9}, 100, 7}, {"jumbo", nil, 8900, 0},
	} {
		head := append([]byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1}, c.tag...)
		frame := append(append(head, 0x88, 0xb8), make([]byte, c.size)...)
		send(frame)
		var p capture.Packet
		if err := r.Next(&p); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		want := len(frame) - min(len(c.tag), 4)
		if p.VLAN != c.vlan || p.HasVLAN != (c.tag != nil) || len(p.Data) != want {
			t.Errorf("%s: VLAN %v %d, %d bytes, want %d", c.name, p.HasVLAN, p.VLAN, len(p.Data), want)
		}
	}
}

func TestInstallRefuses(t *testing.T) {
	need.Veth(t)
	in := namespace(t)
	if err := Install("nosuch0", "roje0", in); err == nil {
		t.Error("a port that does not exist was put behind a diode")
	}
	if _, err := netlink.LinkByName("roje0"); err == nil {
		t.Error("and left its interface behind")
	}
	if _, err := Tried(in); err == nil {
		t.Error("a namespace without a diode has a count")
	}
	if err := Within(netns.NsHandle(unix.Stdin), func() error { return nil }); err == nil {
		t.Error("standard input was entered as a namespace")
	}
}
