package ring

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/roje-ot/roje/sensor/capture"
	"github.com/roje-ot/roje/sensor/capture/filter"
	"github.com/roje-ot/roje/testdata/need"
)

const tcp, udp = 6, 17

// ether makes a frame: addresses, tags outer first, type, body. It is padded to 60 bytes unless it is meant to be short.
func ether(kind uint16, body []byte, tags ...uint32) []byte {
	b := []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1}
	for _, tag := range tags {
		b = binary.BigEndian.AppendUint32(b, tag)
	}
	return append(binary.BigEndian.AppendUint16(b, kind), body...)
}

// ipv4 makes a packet between 10.0.0.n and 10.0.1.n; frag is the fragment word of the header.
func ipv4(n, proto byte, id, frag uint16, body []byte) []byte {
	b := []byte{0x45, 0, 0, 0, byte(id >> 8), byte(id), byte(frag >> 8), byte(frag), 64, proto, 0, 0, 10, 0, 0, n, 10, 0, 1, n}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)+len(body)))
	return append(b, body...)
}

func ipv6(n, next byte, body []byte) []byte {
	b := make([]byte, 40)
	b[0], b[6], b[7], b[8], b[23], b[24], b[39] = 0x60, next, 64, 0xfd, n, 0xfd, n+1
	binary.BigEndian.PutUint16(b[4:], uint16(len(body)))
	return append(b, body...)
}

// ports are the first bytes of a TCP or UDP header with n bytes behind them.
func ports(src, dst uint16, n int) []byte {
	b := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, src), dst)
	b = append(b, make([]byte, 16+n)...)
	b[12] = 0x50
	return b
}

// A kind is how often a frame is sent and how often it must arrive, and the count that says why.
type kind struct {
	name    string
	frame   []byte
	sent    int
	kept    int // by the eBPF filter; 8 is the first frames of a pair on the one CPU that sends
	why     func(*filter.Counts) uint64
	classic bool // kept by the classic filter
	wire    int  // bytes that must arrive, where it is not the frame as it was sent
}

func otPort(c *filter.Counts) uint64   { return c.OTPort }
func otEther(c *filter.Counts) uint64  { return c.OTEther }
func first(c *filter.Counts) uint64    { return c.First }
func fragment(c *filter.Counts) uint64 { return c.Fragment }
func tunnel(c *filter.Counts) uint64   { return c.Tunnel }
func unparsed(c *filter.Counts) uint64 { return c.Unparsed }
func other(c *filter.Counts) uint64    { return c.Other }

const more = 0x2000

// kinds go over the veth in this order: the fragments of one datagram belong together.
var kinds = []kind{
	{name: "Modbus", frame: ether(0x0800, ipv4(1, tcp, 1, 0, ports(40000, 502, 0))), sent: 20, kept: 20, why: otPort, classic: true},
	{name: "Modbus, the answer", frame: ether(0x0800, ipv4(1, tcp, 1, 0, ports(502, 40000, 0))), sent: 20, kept: 20, why: otPort, classic: true},
	{name: "DNP3 over UDP", frame: ether(0x0800, ipv4(1, udp, 1, 0, ports(20000, 20000, 0))), sent: 20, kept: 20, why: otPort, classic: true},
	{name: "UDP on a port kept for TCP", frame: ether(0x0800, ipv4(2, udp, 1, 0, ports(40000, 502, 0))), sent: 20, kept: 8, why: first},
	{name: "a web server", frame: ether(0x0800, ipv4(3, tcp, 1, 0, ports(40000, 80, 0))), sent: 20, kept: 8, why: first},
	{name: "ping", frame: ether(0x0800, ipv4(4, 1, 1, 0, make([]byte, 32))), sent: 20, kept: 8, why: first},
	{name: "802.1Q", frame: ether(0x0800, ipv4(1, tcp, 1, 0, ports(40000, 502, 0)), 0x81000064), sent: 20, kept: 20, why: otPort, classic: true, wire: -4},
	{name: "802.1Q, a web server", frame: ether(0x0800, ipv4(3, tcp, 1, 0, ports(40000, 80, 0)), 0x81000064), sent: 20, kept: 8, why: first, wire: -4},
	{name: "priority tag", frame: ether(0x0800, ipv4(1, tcp, 1, 0, ports(40000, 502, 0)), 0x81008000), sent: 20, kept: 20, why: otPort, classic: true, wire: -4},
	{name: "QinQ", frame: ether(0x0800, ipv4(1, tcp, 1, 0, ports(40000, 502, 0)), 0x88a80007, 0x81000064), sent: 20, kept: 20, why: otPort, classic: true, wire: -4},
	{name: "QinQ, a web server", frame: ether(0x0800, ipv4(5, tcp, 1, 0, ports(40000, 80, 0)), 0x88a80007, 0x81000064), sent: 20, kept: 8, why: first, wire: -4},
	{name: "GOOSE", frame: ether(0x88b8, make([]byte, 46)), sent: 20, kept: 20, why: otEther, classic: true},
	{name: "GOOSE with a priority", frame: ether(0x88b8, make([]byte, 46), 0x81008000), sent: 20, kept: 20, why: otEther, classic: true, wire: -4},
	{name: "sampled values", frame: ether(0x88ba, make([]byte, 46)), sent: 20, kept: 20, why: otEther, classic: true},
	{name: "PROFINET", frame: ether(0x8892, make([]byte, 46)), sent: 20, kept: 20, why: otEther, classic: true},
	{name: "PTP", frame: ether(0x88f7, make([]byte, 46)), sent: 20, kept: 20, why: otEther, classic: true},
	{name: "LLDP", frame: ether(0x88cc, make([]byte, 46)), sent: 20, kept: 20, why: otEther, classic: true},
	{name: "LLC", frame: ether(0x0026, append([]byte{0x42, 0x42, 3}, make([]byte, 43)...)), sent: 20, kept: 20, why: otEther, classic: true},
	{name: "another ethertype", frame: ether(0x88b5, make([]byte, 46)), sent: 20, kept: 8, why: first},
	{name: "fragment, head of Modbus", frame: ether(0x0800, ipv4(6, tcp, 100, more, ports(40000, 502, 16))), sent: 1, kept: 1, why: otPort, classic: true},
	{name: "fragment behind it", frame: ether(0x0800, ipv4(6, tcp, 100, 36, make([]byte, 40))), sent: 20, kept: 20, why: fragment, classic: true},
	{name: "filling up a pair", frame: ether(0x0800, ipv4(7, udp, 1, 0, ports(40000, 80, 0))), sent: 20, kept: 8, why: first},
	{name: "fragment, head of the pair", frame: ether(0x0800, ipv4(7, udp, 101, more, ports(40000, 80, 16))), sent: 1, kept: 0, why: other},
	{name: "fragment behind the dropped", frame: ether(0x0800, ipv4(7, udp, 101, 36, make([]byte, 40))), sent: 20, kept: 0, why: other, classic: true},
	{name: "fragment without a head", frame: ether(0x0800, ipv4(8, udp, 102, 36, make([]byte, 40))), sent: 20, kept: 20, why: fragment, classic: true},
	{name: "IPv4 options", frame: ether(0x0800, append([]byte{0x46}, ipv4(9, tcp, 1, 0, ports(40000, 80, 4))[1:]...)), sent: 20, kept: 20, why: unparsed, classic: true},
	{name: "IPv6, Modbus", frame: ether(0x86dd, ipv6(1, tcp, ports(40000, 502, 0))), sent: 20, kept: 20, why: otPort, classic: true},
	{name: "IPv6, a web server", frame: ether(0x86dd, ipv6(1, tcp, ports(40000, 80, 0))), sent: 20, kept: 8, why: first},
	{name: "IPv6, hop-by-hop first", frame: ether(0x86dd, ipv6(2, 0, append([]byte{tcp, 0, 1, 4, 0, 0, 0, 0}, ports(40000, 502, 0)...))), sent: 20, kept: 20, why: tunnel, classic: true},
	{name: "IPv6 fragment", frame: ether(0x86dd, ipv6(2, 44, append([]byte{udp, 0, 0, 1, 0, 0, 0, 9}, ports(40000, 80, 0)...))), sent: 20, kept: 20, why: tunnel, classic: true},
	{name: "neighbour discovery", frame: ether(0x86dd, ipv6(3, 58, make([]byte, 32))), sent: 20, kept: 8, why: first},
	{name: "GRE", frame: ether(0x0800, ipv4(10, 47, 1, 0, make([]byte, 60))), sent: 20, kept: 20, why: tunnel, classic: true},
	{name: "VXLAN", frame: ether(0x0800, ipv4(10, udp, 1, 0, ports(40000, 4789, 60))), sent: 20, kept: 20, why: tunnel, classic: true},
	{name: "MPLS", frame: ether(0x8847, make([]byte, 60)), sent: 20, kept: 20, why: otEther, classic: true},
	{name: "PPPoE", frame: ether(0x8864, make([]byte, 60)), sent: 20, kept: 20, why: otEther, classic: true},
	{name: "jumbo, Modbus", frame: ether(0x0800, ipv4(1, tcp, 1, 0, ports(40000, 502, 8900))), sent: 20, kept: 20, why: otPort, classic: true},
	{name: "jumbo, a web server", frame: ether(0x0800, ipv4(11, tcp, 1, 0, ports(40000, 80, 8900))), sent: 20, kept: 8, why: first},
	{name: "cut in the IPv4 header", frame: ether(0x0800, ipv4(1, tcp, 1, 0, nil)[:12]), sent: 20, kept: 20, why: unparsed, classic: true},
	{name: "cut before the ports", frame: ether(0x0800, ipv4(1, tcp, 1, 0, nil)), sent: 20, kept: 20, why: unparsed, classic: true},
	{name: "cut in the IPv6 header", frame: ether(0x86dd, ipv6(1, tcp, nil)[:30]), sent: 20, kept: 20, why: unparsed, classic: true},
}

var kept = filter.Config{TCP: []uint16{502, 20000}, UDP: []uint16{20000}}

// counted are the filter's counts without the last frames of so many steps.
func counted(t *testing.T, f *filter.Filter, steps int) filter.Counts {
	t.Helper()
	c, err := f.Counts()
	if err != nil {
		t.Fatal(err)
	}
	n := uint64(steps)
	c.Seen, c.Kept, c.OTEther = c.Seen-n, c.Kept-n, c.OTEther-n
	return c
}

// ways are those in which a filter may have to do its work: what arrives and what is counted is the same.
var ways = []struct {
	name       string
	old, early bool
}{
	{name: "the filter alone"},
	{name: "with what an old kernel has", old: true},
	{name: "behind the prefilter", early: true},
}

// eachWay runs a test in each of them.
func eachWay(t *testing.T, cfg filter.Config, test func(t *testing.T, span string, send func([]byte), f *filter.Filter, early bool)) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			span, send := pair(t)
			cfg.Old = way.old
			f, err := filter.Load(cfg)
			if err != nil {
				t.Fatalf("%+v", err)
			}
			t.Cleanup(func() { f.Close() })
			if way.early {
				prefilter(t, f, span)
			}
			test(t, span, send, f, way.early)
		})
	}
}

// prefilter attaches the filter's forerunner to the interface until the test ends.
func prefilter(t *testing.T, f *filter.Filter, span string) {
	t.Helper()
	p, err := f.Prefilter(span)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestKinds sends each kind of frame over a veth and counts what arrives, and what the filter says about it.
func TestKinds(t *testing.T) { eachWay(t, kept, testKinds) }

func testKinds(t *testing.T, span string, send func([]byte), f *filter.Filter, early bool) {
	r := open(t, Config{Interface: span, Filter: f, Blocks: 8, Retire: 1, Idle: 20})
	before := counted(t, f, 0)
	for i, k := range kinds {
		for range k.sent {
			send(k.frame)
		}
		arrived := 0
		settle(t, r, send, func(p *capture.Packet) {
			arrived++
			if want := len(k.frame) + k.wire; p.OrigLen != want || len(p.Data) != want {
				t.Errorf("%s: %d of %d bytes arrived, want %d", k.name, len(p.Data), p.OrigLen, want)
			}
		})
		after := counted(t, f, i+1)
		seen := int(after.Seen - before.Seen)
		if seen != k.sent || arrived != k.kept || int(after.Kept-before.Kept) != arrived || int(after.Other-before.Other) != k.sent-arrived {
			t.Errorf("%s: %d sent, %d seen, %d arrived, want %d", k.name, k.sent, seen, arrived, k.kept)
		}
		if why := int(k.why(&after) - k.why(&before)); k.kept > 0 && why != arrived || k.kept == 0 && why != k.sent {
			t.Errorf("%s: the count of its reason grew by %d: %+v", k.name, why, after)
		}
		before = after
	}
	if before.Seen != before.Kept+before.Other || before.Kept != r.Read()-uint64(len(kinds)) || r.Losing() {
		t.Errorf("%+v, %d read", before, r.Read())
	}
	if before.VLAN == 0 || before.QinQ != 40 {
		t.Errorf("tagged frames: %+v", before)
	}
	if early != (before.Early > 0) || before.Early > before.Other {
		t.Errorf("%d of %d were dropped in the driver", before.Early, before.Other)
	}
}

// TestKindsClassic sends the same frames past the classic filter.
func TestKindsClassic(t *testing.T) {
	span, send := pair(t)
	program, err := filter.Classic(kept)
	if err != nil {
		t.Fatal(err)
	}
	r := open(t, Config{Interface: span, Classic: program, Blocks: 8, Retire: 1, Idle: 20})
	for _, k := range kinds {
		for range k.sent {
			send(k.frame)
		}
		arrived, want := 0, 0
		if k.classic {
			want = k.sent
		}
		settle(t, r, send, func(*capture.Packet) { arrived++ })
		if arrived != want {
			t.Errorf("%s: %d of %d arrived, want %d", k.name, arrived, k.sent, want)
		}
	}
}

// TestChanges: ports and verdicts take effect with the next frame, and a frame of another interface is not seen.
func TestChanges(t *testing.T) { eachWay(t, filter.Config{}, testChanges) }

func testChanges(t *testing.T, span string, send func([]byte), f *filter.Filter, _ bool) {
	r := open(t, Config{Interface: span, Filter: f, Blocks: 8, Retire: 1, Idle: 20})
	link, err := netlink.LinkByName(span)
	if err != nil {
		t.Fatal(err)
	}
	frame := ether(0x0800, ipv4(1, tcp, 1, 0, ports(40000, 10502, 200)))
	of := filter.Pair{A: netip.MustParseAddr("10.0.1.1"), B: netip.MustParseAddr("10.0.0.1"), Service: 10502, Proto: tcp}
	fresh := ether(0x0800, ipv4(2, tcp, 1, 0, ports(40000, 10502, 200)))
	for _, step := range []struct {
		name   string
		do     func() error
		frame  []byte
		kept   int // of 40
		length int
	}{
		{"the first ones", func() error { return nil }, frame, 8, len(frame)},
		{"then none", func() error { return nil }, frame, 0, 0},
		{"keep the port", func() error { return f.KeepPort(filter.TCP, 10502, true) }, frame, 40, len(frame)},
		{"no longer", func() error { return f.KeepPort(filter.TCP, 10502, false) }, frame, 0, 0},
		{"verdict: keep", func() error { return f.Decide(of, filter.Keep) }, frame, 40, len(frame)},
		{"verdict: headers", func() error { return f.Decide(of, filter.Headers) }, frame, 40, 96},
		{"verdict: drop", func() error { return f.Decide(of, filter.Drop) }, frame, 0, 0},
		{"verdict taken back", func() error { return f.Decide(of, filter.Undecided) }, frame, 0, 0},
		{"another interface", func() error { return elsewhere(t, f, link.Attrs().Index, send, fresh) }, frame, 0, 0},
		{"this one again", func() error { return nil }, fresh, 8, len(fresh)},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		for range 40 {
			send(step.frame)
		}
		n := 0
		settle(t, r, send, func(p *capture.Packet) {
			n++
			if len(p.Data) != step.length || p.OrigLen != len(step.frame) {
				t.Errorf("%s: %d of %d bytes", step.name, len(p.Data), p.OrigLen)
			}
		})
		if n != step.kept {
			t.Errorf("%s: %d of 40 arrived, want %d", step.name, n, step.kept)
		}
	}
}

// elsewhere sends frames of a new pair while the filter watches another interface, and has it watch this one again only
// when a plain socket has seen the last of them: none is judged, and so none is among the first of its pair.
func elsewhere(t *testing.T, f *filter.Filter, index int, send func([]byte), frame []byte) error {
	all := int(binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, unix.ETH_P_ALL)))
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, all)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: uint16(all), Ifindex: index}),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 60}), f.Watch(index+100)); err != nil {
		return err
	}
	before, err := f.Counts()
	if err != nil {
		return err
	}
	for range 40 {
		send(frame)
	}
	send(last)
	for b := make([]byte, 1024); ; {
		n, _, err := unix.Recvfrom(fd, b, 0)
		if err != nil {
			return err
		}
		if bytes.Equal(b[:n], last) {
			break
		}
	}
	if after, err := f.Counts(); err != nil || after.Seen != before.Seen {
		t.Errorf("another interface: %d frames counted: %v", after.Seen-before.Seen, err)
	}
	return f.Watch(index)
}

// TestMerged sends one frame of many segments, as a host's offloads make them: it arrives whole, is judged as any other,
// and is counted as merged.
func TestMerged(t *testing.T) {
	need.OneCPU(t)
	span, peer := need.Veth(t)
	send := need.Sender(t, peer)
	f, err := filter.Load(kept)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := open(t, Config{Interface: span, Filter: f, Blocks: 8, Retire: 1, Idle: 20})
	link, err := netlink.LinkByName(peer)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1); err != nil {
		t.Fatal(err)
	}
	const head = 14 + 20 + 20
	for i, size := range []int{20_000, 60_000} {
		before := counted(t, f, i)
		sent := ether(0x0800, ipv4(1, tcp, 1, 0, ports(40000, 502, size)))
		// struct virtio_net_hdr: checksum to be made, TCP over IPv4, lengths, where the checksum goes
		vnet := []byte{1, 1}
		for _, v := range []uint16{head, 1448, 34, 16} {
			vnet = binary.NativeEndian.AppendUint16(vnet, v)
		}
		if err := unix.Sendto(fd, append(vnet, sent...), 0, &unix.SockaddrLinklayer{Ifindex: link.Attrs().Index}); err != nil {
			t.Fatalf("%d bytes: %v", len(sent), err)
		}
		arrived := 0
		settle(t, r, send, func(p *capture.Packet) {
			arrived++
			if p.OrigLen != len(sent) || len(p.Data) != len(sent) {
				t.Errorf("%d of %d bytes arrived, want %d", len(p.Data), p.OrigLen, len(sent))
			}
		})
		after := counted(t, f, i+1)
		if arrived != 1 || after.GSO-before.GSO != 1 || after.Seen-before.Seen != 1 {
			t.Errorf("%d bytes: %d frames arrived, %+v", len(sent), arrived, after)
		}
	}
}
