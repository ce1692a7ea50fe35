package ring

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/roje-ot/roje/sensor/capture"
	"github.com/roje-ot/roje/sensor/capture/filter"
	"github.com/roje-ot/roje/testdata/need"
)

// frame makes an Ethernet frame with an IPv4 and TCP header and a number as its payload. VLAN tags come outer first.
func frame(src, dst uint16, number uint32, tags ...uint32) []byte {
	b := []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1}
	for _, tag := range tags {
		b = binary.BigEndian.AppendUint32(b, tag)
	}
	b = append(b, 0x08, 0x00)
	ip := []byte{0x45, 0, 0, 44, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2}
	b = append(b, ip...)
	b = binary.BigEndian.AppendUint16(b, src)
	b = binary.BigEndian.AppendUint16(b, dst)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x18, 0, 0, 0, 0, 0, 0)
	return binary.BigEndian.AppendUint32(b, number)
}

// open makes a ring on the interface and closes it with the test.
func open(t *testing.T, cfg Config) *Ring {
	t.Helper()
	r, err := Open(cfg)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	r.poison = true
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return r
}

// drain reads until the ring has been idle once, and hands each packet to take.
func drain(t *testing.T, r *Ring, take func(*capture.Packet)) {
	t.Helper()
	var p capture.Packet
	for {
		err := r.Next(&p)
		if errors.Is(err, capture.ErrIdle) {
			return
		}
		if err != nil {
			t.Fatalf("Next: %v", err)
		}
		take(&p)
	}
}

// pair is a veth pair, and a function that sends into its far end from one CPU: what that CPU sends arrives in order.
func pair(t *testing.T) (span string, send func(frame []byte)) {
	t.Helper()
	need.OneCPU(t)
	span, peer := need.Veth(t)
	return span, need.Sender(t, peer)
}

// last is the frame that ends a step; every filter keeps it.
var last = ether(0x88b8, append([]byte("the last frame of a step"), make([]byte, 40)...))

// settle sends the last frame and reads until it arrives: whatever was sent before it has been judged by then, however
// busy the machine is. It hands all packets but that one to take.
func settle(t *testing.T, r *Ring, send func(frame []byte), take func(*capture.Packet)) {
	t.Helper()
	send(last)
	until(t, r, last, take)
}

// until reads until the frame arrives, and hands all packets before it to take.
func until(t *testing.T, r *Ring, end []byte, take func(*capture.Packet)) {
	t.Helper()
	var p capture.Packet
	for deadline := time.Now().Add(time.Minute); ; {
		switch err := r.Next(&p); {
		case errors.Is(err, capture.ErrIdle):
			if time.Now().After(deadline) {
				t.Fatal("the last frame of a step did not arrive within a minute")
			}
		case err != nil:
			t.Fatalf("Next: %v", err)
		case bytes.Equal(p.Data, end):
			return
		default:
			take(&p)
		}
	}
}

// TestEveryFrame: frames arrive whole, in order, once, and with their tags.
func TestEveryFrame(t *testing.T) {
	span, send := pair(t)
	r := open(t, Config{Interface: span, Blocks: 4, BlockSize: 1 << 16, Retire: 10})
	const n = 500
	next := uint32(0)
	for round := range 4 {
		for i := range n {
			send(frame(40000, 502, uint32(round*n+i)))
		}
		settle(t, r, send, func(p *capture.Packet) {
			if want := frame(40000, 502, next); !bytes.Equal(p.Data, want) || p.OrigLen != len(want) || p.At == 0 {
				t.Fatalf("frame %d: % x at %d, length %d", next, p.Data, p.At, p.OrigLen)
			}
			next++
		})
	}
	if next != 4*n {
		t.Errorf("read %d frames, want %d", next, 4*n)
	}
}

func TestVLAN(t *testing.T) {
	span, send := pair(t)
	r := open(t, Config{Interface: span, Blocks: 2, Retire: 10})
	for _, c := range []struct {
		name  string
		tags  []uint32
		vlan  uint16
		inner bool // a second tag stays in the data
	}{
		{"tag", []uint32{0x81000064}, 100, false},
		{"priority tag", []uint32{0x81008000}, 0, false},
		{"QinQ", []uint32{0x88a80007, 0x81000064}, 7, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			sent := frame(40000, 502, 1, c.tags...)
			send(sent)
			seen := false
			settle(t, r, send, func(p *capture.Packet) {
				seen = true
				without := append(append([]byte{}, sent[:12]...), sent[16:]...)
				if !p.HasVLAN || p.VLAN != c.vlan || !bytes.Equal(p.Data, without) || (p.Data[12] == 0x81) != c.inner {
					t.Errorf("VLAN %v %d, % x", p.HasVLAN, p.VLAN, p.Data)
				}
			})
			if !seen {
				t.Error("the frame did not arrive")
			}
		})
	}
}

// TestNoDescriptorThatSends walks the process's descriptors: none is a socket once the ring is open.
func TestNoDescriptorThatSends(t *testing.T) {
	span, peer := need.Veth(t)
	r := open(t, Config{Interface: span, Blocks: 2, Retire: 10})
	if sockets := packetSockets(t); len(sockets) != 0 {
		t.Errorf("descriptors that are packet sockets: %v", sockets)
	}
	send := need.Sender(t, peer) // the test's own socket, opened only now
	send(frame(40000, 502, 7))
	n := 0
	settle(t, r, send, func(*capture.Packet) { n++ })
	if n == 0 {
		t.Error("nothing was captured after the descriptor was closed")
	}
}

func packetSockets(t *testing.T) []string {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, fd := range fds {
		var number int
		if _, err := fmt.Sscan(fd.Name(), &number); err != nil {
			continue
		}
		if domain, err := unix.GetsockoptInt(number, unix.SOL_SOCKET, unix.SO_DOMAIN); err == nil && domain == unix.AF_PACKET {
			target, _ := os.Readlink(filepath.Join("/proc/self/fd", fd.Name()))
			found = append(found, target)
		}
	}
	return found
}

// TestFilter: what the filter keeps and what it counts, on a live ring, with the sums that must hold exactly.
func TestFilter(t *testing.T) { eachWay(t, filter.Config{TCP: []uint16{502}}, testFilter) }

func testFilter(t *testing.T, span string, send func([]byte), f *filter.Filter, _ bool) {
	r := open(t, Config{Interface: span, Filter: f, Blocks: 4, Retire: 10})
	for i := range 100 {
		send(frame(40000, 502, uint32(i)))       // kept by port
		send(frame(40001, 8080, 1000+uint32(i))) // the first 8 are kept
	}
	kept, other := 0, 0
	settle(t, r, send, func(p *capture.Packet) {
		if binary.BigEndian.Uint16(p.Data[36:]) == 502 {
			kept++
		} else {
			other++
		}
	})
	counts, err := f.Counts()
	if err != nil {
		t.Fatal(err)
	}
	if kept != 100 || other != 8 {
		t.Errorf("kept %d frames of the port and %d of another, want 100 and 8", kept, other)
	}
	if counts.Seen != counts.Kept+counts.Other || counts.Kept != r.Read() || counts.OTPort != 100 || counts.Other != uint64(100-other) {
		t.Errorf("%+v, read %d", counts, r.Read())
	}
	why := counts.OTPort + counts.OTEther + counts.First + counts.Fragment + counts.Tunnel + counts.Unparsed + counts.Verdict
	if why != counts.Kept {
		t.Errorf("the reasons sum to %d, kept is %d", why, counts.Kept)
	}
	pairs, err := f.Pairs()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pairs {
		if p.Service == 8080 && p.Frames == 100 && p.A.String() == "10.0.0.1" && p.B.String() == "10.0.0.2" {
			return
		}
	}
	t.Errorf("no tally of 100 frames for service 8080 in %+v", pairs)
}

func TestNoSuchInterface(t *testing.T) {
	if _, err := Open(Config{Interface: "nosuch0"}); !errors.Is(err, unix.ENODEV) {
		t.Errorf("Open of no interface: %v", err)
	}
}
