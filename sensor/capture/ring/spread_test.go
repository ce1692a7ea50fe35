package ring

import (
	"bytes"
	"encoding/binary"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/roje-ot/roje/sensor/capture"
	"github.com/roje-ot/roje/sensor/capture/filter"
	"github.com/roje-ot/roje/testdata/need"
)

// from changes the sender of a frame.
func from(n byte, frame []byte) []byte {
	frame = bytes.Clone(frame)
	frame[10], frame[11] = n>>4, n
	return frame
}

// back swaps the IPv4 addresses of an untagged frame.
func back(frame []byte) []byte {
	there := bytes.Clone(frame)
	copy(there[26:], frame[30:34])
	copy(there[30:], frame[26:30])
	return there
}

// groups are frames that must come to the same ring, for each n; and n of a kind must not all come to one.
var groups = []struct {
	name   string
	frames func(n byte) [][]byte
}{
	{"GOOSE by its publisher", func(n byte) [][]byte {
		goose := from(n, ether(0x88b8, append([]byte{0, 1}, make([]byte, 44)...)))
		return [][]byte{goose, from(n, ether(0x88b8, append([]byte{0, 1, 9}, make([]byte, 80)...))), goose}
	}},
	{"GOOSE in a VLAN", func(n byte) [][]byte {
		goose := from(n, ether(0x88b8, append([]byte{0, 1}, make([]byte, 44)...), 0x81008000|uint32(7)))
		return [][]byte{goose, goose}
	}},
	{"sampled values by their stream", func(n byte) [][]byte {
		stream := ether(0x88ba, append([]byte{0x40, n}, make([]byte, 80)...))
		return [][]byte{stream, stream}
	}},
	{"PROFINET by its sender", func(n byte) [][]byte {
		return [][]byte{from(n, ether(0x8892, append([]byte{0x80, 0}, make([]byte, 44)...))), from(n, ether(0x8892, append([]byte{0xfe, 1}, make([]byte, 44)...)))}
	}},
	{"two hosts, both ways and in fragments", func(n byte) [][]byte {
		poll := ether(0x0800, ipv4(n, tcp, 1, 0, ports(40000, 502, 0)))
		return [][]byte{poll, back(poll), ether(0x0800, ipv4(n, udp, 7, more, ports(40000, 502, 16))), ether(0x0800, ipv4(n, udp, 7, 36, make([]byte, 40)))}
	}},
	{"IPv6", func(n byte) [][]byte {
		return [][]byte{ether(0x86dd, ipv6(n, tcp, ports(40000, 502, 0))), ether(0x86dd, ipv6(n, tcp, ports(40001, 502, 4)))}
	}},
	{"two hosts behind two tags", func(n byte) [][]byte {
		tagged := ether(0x0800, ipv4(n, tcp, 1, 0, ports(40000, 502, 0)), 0x88a80007, 0x81000064)
		other := bytes.Clone(tagged)
		copy(other[34:], tagged[38:42])
		copy(other[38:], tagged[34:38])
		return [][]byte{tagged, from(9, other)}
	}},
	{"cut short", func(byte) [][]byte { return [][]byte{ether(0x0800, ipv4(1, tcp, 1, 0, nil)[:12])} }},
}

// TestSpread: with a spread, frames that belong together come to one ring, and those of many publishers, streams and
// hosts to both.
func TestSpread(t *testing.T) {
	span, send := pair(t)
	s, err := filter.LoadSpread()
	if err != nil {
		t.Fatalf("%+v", err)
	}
	defer s.Close()
	group := uint16(os.Getpid()) + 1
	var rings [2]*Ring
	for i := range rings {
		rings[i] = open(t, Config{Interface: span, Blocks: 8, Retire: 1, Idle: 20, Fanout: group, Spread: s})
	}
	// One frame ends a step on the ring that it comes to; each ring has one.
	var ends [2][]byte
	number := uint32(0)
	for ends[0] == nil || ends[1] == nil {
		if number++; number > 200 {
			t.Fatal("200 publishers have all come to one ring")
		}
		frame := from(byte(number), ether(0x88b8, binary.BigEndian.AppendUint32(make([]byte, 46), number)))
		send(frame)
		if on := whose(t, &rings, frame); ends[on] == nil {
			ends[on] = frame
		}
	}
	for _, g := range groups {
		used := map[int]bool{}
		for n := range byte(64) {
			on := map[string]int{}
			frames := g.frames(n)
			for _, frame := range frames {
				send(frame)
			}
			arrived := 0
			for i, r := range rings {
				send(ends[i])
				until(t, r, ends[i], func(p *capture.Packet) {
					arrived++
					used[i] = true
					on[g.name] |= 1 << i
				})
			}
			if arrived != len(frames) || on[g.name] == 3 {
				t.Errorf("%s, %d: %d of %d frames arrived, on the rings %b", g.name, n, arrived, len(frames), on[g.name])
			}
		}
		if want := len(rings); g.name != "cut short" && len(used) != want {
			t.Errorf("%s: all 64 came to one ring", g.name)
		}
	}
}

// whose says which ring a frame has come to.
func whose(t *testing.T, rings *[2]*Ring, frame []byte) int {
	t.Helper()
	var p capture.Packet
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		for i, r := range rings {
			if r.Next(&p) == nil && bytes.Equal(p.Data, frame) {
				return i
			}
		}
	}
	t.Fatal("a frame has come to no ring")
	return 0
}

// TestLocked: nobody can take the filter off a ring's socket, or have the group share frames in another way, not even while
// its descriptor is open.
func TestLocked(t *testing.T) {
	span, _ := need.Veth(t)
	f, err := filter.Load(filter.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s, err := filter.LoadSpread()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	classic, err := filter.Classic(filter.Config{})
	if err != nil {
		t.Fatal(err)
	}
	group := uint16(os.Getpid()) + 2
	for name, cfg := range map[string]Config{"eBPF": {Filter: f}, "eBPF, in a group": {Filter: f, Fanout: group, Spread: s}, "classic": {Classic: classic}} {
		cfg.Interface, cfg.Blocks, cfg.KeepOpen = span, 2, true
		r := open(t, cfg)
		if err := unix.SetsockoptInt(r.socket, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0); err != unix.EPERM {
			t.Errorf("%s: taking the filter off: %v", name, err)
		}
		if cfg.Spread == nil {
			continue
		}
		if err := unix.SetsockoptInt(r.socket, unix.SOL_PACKET, unix.PACKET_FANOUT_DATA, s.Program().FD()); err != unix.EPERM {
			t.Errorf("%s: another way to share: %v", name, err)
		}
	}
}
