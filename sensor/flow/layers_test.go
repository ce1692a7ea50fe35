package flow_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/sensor/capture"
	"github.com/roje-ot/roje/sensor/flow"
)

// cat joins byte slices.
func cat(parts ...[]byte) []byte { return slices.Concat(parts...) }

var (
	outerA = netip.MustParseAddr("192.0.2.1")
	outerB = netip.MustParseAddr("192.0.2.2")
	alice6 = netip.MustParseAddrPort("[2001:db8::1]:40000")
	bob6   = netip.MustParseAddrPort("[2001:db8::2]:7000")
)

// TestWrappings: one message arrives through each link layer, tag and tunnel.
func TestWrappings(t *testing.T) {
	tcp := ip(alice.Addr(), bob.Addr(), 6, segment(alice, bob, tcpHeader{seq: 1, flags: flow.ACK | flow.PSH}, framed("hi")))
	tcp6 := ip(alice6.Addr(), bob6.Addr(), 6, segment(alice6, bob6, tcpHeader{seq: 1, flags: flow.ACK | flow.PSH}, framed("hi")))
	extended := func(next byte, header ...byte) []byte {
		return ip(alice6.Addr(), bob6.Addr(), next, cat(header, tcp6[40:]))
	}
	frame := etherIP(tcp)
	tag := func(kind uint16, id uint16, b []byte) []byte { // puts a tag behind the addresses
		return cat(b[:12], []byte{byte(kind >> 8), byte(kind), byte(id >> 8), byte(id)}, b[12:])
	}
	gre := func(flags, kind uint16, options, b []byte) []byte {
		return etherIP(ip(outerA, outerB, 47, cat([]byte{byte(flags >> 8), byte(flags), byte(kind >> 8), byte(kind)}, options, b)))
	}
	nothing := []byte{}
	cases := []struct {
		name   string
		link   capture.LinkType
		frame  []byte
		tags   []uint16
		tunnel flow.Tunnel
	}{
		{name: "Ethernet", link: 1, frame: frame},
		{name: "Ethernet, padded", link: 1, frame: cat(frame, make([]byte, 20))},
		{name: "IPv6", link: 1, frame: etherIP(tcp6)},
		{name: "IPv6 with hop-by-hop options", link: 1, frame: etherIP(extended(0, 6, 0, 1, 4, 0, 0, 0, 0))},
		{name: "IPv6 with routing header", link: 1, frame: etherIP(extended(43, 6, 0, 0, 0, 0, 0, 0, 0))},
		{name: "IPv6 atomic fragment", link: 1, frame: etherIP(extended(44, 6, 0, 0, 0, 0, 0, 0, 1))},
		{name: "IPv6 authentication header", link: 1, frame: etherIP(extended(51, 6, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))},
		{name: "802.1Q", link: 1, frame: tag(0x8100, 0x6005, frame), tags: []uint16{5}},
		{name: "QinQ", link: 1, frame: tag(0x88a8, 7, tag(0x8100, 5, frame)), tags: []uint16{7, 5}},
		{name: "QinQ 8100, 9100", link: 1, frame: tag(0x9100, 7, tag(0x8100, 5, frame)), tags: []uint16{7, 5}},
		{name: "five tags", link: 1, frame: tag(0x8100, 1, tag(0x8100, 2, tag(0x8100, 3, tag(0x8100, 4, tag(0x8100, 5, frame))))), tags: []uint16{1, 2, 3, 4}},
		{name: "SNAP", link: 1, frame: cat(frame[:12], []byte{0, 60, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0}, tcp)},
		{name: "MPLS, two labels", link: 1, frame: ether(0x8847, cat([]byte{0, 1, 0, 64, 0, 2, 1, 64}, tcp)), tunnel: flow.MPLS},
		{name: "MPLS pseudowire", link: 1, frame: ether(0x8847, cat([]byte{0, 2, 1, 64, 0, 0, 0, 0}, frame)), tunnel: flow.MPLS},
		{name: "PPPoE", link: 1, frame: ether(0x8864, cat([]byte{0x11, 0, 0, 1, 0, 0, 0, 0x21}, tcp)), tunnel: flow.PPPoE},
		{name: "IP in IP", link: 1, frame: etherIP(ip(outerA, outerB, 4, tcp)), tunnel: flow.IPinIP},
		{name: "6in4", link: 1, frame: etherIP(ip(outerA, outerB, 41, tcp6)), tunnel: flow.IPinIP},
		{name: "GRE", link: 1, frame: gre(0, 0x0800, nothing, tcp), tunnel: flow.GRE},
		{name: "GRE, all options", link: 1, frame: gre(0xb000, 0x0800, make([]byte, 12), tcp), tunnel: flow.GRE},
		{name: "GRE, transparent Ethernet", link: 1, frame: gre(0, 0x6558, nothing, tag(0x8100, 9, frame)), tags: []uint16{9}, tunnel: flow.GRE},
		{name: "PPTP", link: 1, frame: gre(0x3081, 0x880b, make([]byte, 12), cat([]byte{0xff, 3, 0, 0x21}, tcp)), tunnel: flow.GRE},
		{name: "ERSPAN I", link: 1, frame: gre(0, 0x88be, nothing, frame), tunnel: flow.ERSPAN},
		{name: "ERSPAN II", link: 1, frame: gre(0x1000, 0x88be, make([]byte, 4), cat([]byte{0x10, 0, 0, 0, 0, 0, 0, 0}, frame)), tunnel: flow.ERSPAN},
		{name: "ERSPAN III", link: 1, frame: gre(0x1000, 0x22eb, make([]byte, 4), cat([]byte{0x20, 0}, make([]byte, 10), frame)), tunnel: flow.ERSPAN},
		{name: "ERSPAN III with subheader", link: 1, frame: gre(0x1000, 0x22eb, make([]byte, 4), cat([]byte{0x20, 0}, make([]byte, 9), []byte{1}, make([]byte, 8), frame)), tunnel: flow.ERSPAN},
		{name: "VXLAN", link: 1, frame: udpFrame(netip.AddrPortFrom(outerA, 5555), netip.AddrPortFrom(outerB, 4789), cat([]byte{8, 0, 0, 0, 0, 0, 42, 0}, frame)), tunnel: flow.VXLAN},
		{name: "VLAN in VXLAN in VLAN", link: 1, frame: tag(0x8100, 3, udpFrame(netip.AddrPortFrom(outerA, 5555), netip.AddrPortFrom(outerB, 4789), cat([]byte{8, 0, 0, 0, 0, 0, 42, 0}, tag(0x8100, 4, frame)))), tags: []uint16{4}, tunnel: flow.VXLAN},
		{name: "raw IP", link: 101, frame: tcp},
		{name: "raw IPv6", link: 229, frame: tcp6},
		{name: "loopback, little endian", link: 0, frame: cat([]byte{2, 0, 0, 0}, tcp)},
		{name: "loopback, big endian", link: 108, frame: cat([]byte{0, 0, 0, 30}, tcp6)},
		{name: "SLL", link: 113, frame: cat([]byte{0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0}, tcp)},
		{name: "SLL2", link: 276, frame: cat([]byte{8, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0}, tcp)},
		{name: "PPP", link: 9, frame: cat([]byte{0xff, 3, 0, 0x21}, tcp)},
		{name: "PPP, compressed protocol", link: 50, frame: cat([]byte{0x57}, tcp6)},
		{name: "Cisco HDLC", link: 104, frame: cat([]byte{0x0f, 0, 8, 0}, tcp)},
		{name: "NFLOG", link: 239, frame: cat([]byte{2, 0, 0, 1, 5, 0, 10, 0, 65, 0, 0, 0, byte(len(tcp) + 4), 0, 9, 0}, tcp)},
		{name: "FDDI", link: 10, frame: cat(make([]byte, 13), []byte{0xaa, 0xaa, 3, 0, 0, 0, 8, 0}, tcp)},
	}
	for _, c := range cases {
		var got recorder
		f := newFeeder(flow.Config{}, &got)
		f.p.Link = c.link
		if bucket := f.frame(c.frame); bucket != flow.Decoded || !slices.Equal(got.texts[0], []string{"hi"}) {
			t.Errorf("%s: got %v, messages %q", c.name, bucket, got.texts)
			continue
		}
		if p := got.infos[0]; !slices.Equal(p.Tags.All(), c.tags) || p.Tunnel != c.tunnel {
			t.Errorf("%s: got tags %v, tunnel %v, want %v, %v", c.name, p.Tags.All(), p.Tunnel, c.tags, c.tunnel)
		}
		f.table.Flush()
		short := capture.Packet{Link: c.link}
		for n := range c.frame { // every cut is survived, with and without word of it
			short.Data, short.OrigLen = c.frame[:n], n+n%2*(len(c.frame)-n)
			f.table.Packet(&short)
		}
		f.table.Flush()
		if len(got.lawless) > 0 {
			t.Errorf("%s, cut: %v", c.name, got.lawless)
		}
	}
}

// TestBuckets: what is not decoded, and why.
func TestBuckets(t *testing.T) {
	cases := []struct {
		name  string
		link  capture.LinkType
		frame []byte
		cut   int
		want  flow.Bucket
	}{
		{name: "GOOSE", link: 1, frame: ether(0x88b8, make([]byte, 40)), want: flow.NotIP},
		{name: "spanning tree", link: 1, frame: ether(39, []byte{0x42, 0x42, 3, 0, 0, 0, 0, 0}), want: flow.NotIP},
		{name: "ICMP", link: 1, frame: etherIP(ip(outerA, outerB, 1, make([]byte, 8))), want: flow.OtherIP},
		{name: "unknown link layer", link: 147, frame: make([]byte, 40), want: flow.Unread},
		{name: "nothing", link: 1, want: flow.Malformed},
		{name: "IP version 5", link: 101, frame: []byte{0x50}, want: flow.Malformed},
		{name: "IP header of 4 bytes", link: 101, frame: append([]byte{0x41}, make([]byte, 30)...), want: flow.Malformed},
		{name: "TCP header of 4 bytes", link: 101, frame: ip(outerA, outerB, 6, make([]byte, 20)), want: flow.Malformed},
		{name: "half a TCP header", link: 101, frame: ip(outerA, outerB, 6, make([]byte, 19)), want: flow.Malformed},
		{name: "TCP header cut by the capture", link: 101, frame: ip(outerA, outerB, 6, make([]byte, 40))[:30], cut: 30, want: flow.Cut},
		{name: "UDP to no protocol", link: 101, frame: ip(outerA, outerB, 17, datagram(alice, netip.AddrPortFrom(outerB, 53), []byte("x"))), want: flow.Unknown},
		{name: "tunnels without end", link: 101, frame: func() (b []byte) {
			for range 40 {
				b = ip(outerA, outerB, 4, b)
			}
			return b
		}(), want: flow.Malformed},
	}
	for _, c := range cases {
		f := newFeeder(flow.Config{}, flow.Ignore{})
		f.p.Link, f.p.Data, f.p.OrigLen = c.link, c.frame, len(c.frame)+c.cut
		if got := f.next(); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

// TestARP: an ARP packet is told with both what it says and who sent it.
func TestARP(t *testing.T) {
	var got recorder
	f := newFeeder(flow.Config{}, &got)
	f.frame(ether(0x0806, []byte{0, 1, 8, 0, 6, 4, 0, 2, 2, 0, 0, 0, 0, 9, 10, 0, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 0, 2}))
	want := flow.ARP{Op: 2, SenderMAC: flow.MAC{2, 0, 0, 0, 0, 9}, TargetMAC: flow.MAC{2, 0, 0, 0, 0, 1}, SenderIP: alice.Addr(), TargetIP: bob.Addr()}
	if !slices.Equal(got.arps, []flow.ARP{want}) {
		t.Errorf("got %+v, want %+v", got.arps, want)
	}
}

// TestMetadataVLAN: a tag that the kernel took out counts as the outermost one.
func TestMetadataVLAN(t *testing.T) {
	var got recorder
	f := newFeeder(flow.Config{}, &got)
	f.p.VLAN, f.p.HasVLAN = 12, true
	f.frame(tcpFrame(alice, bob, tcpHeader{seq: 1, flags: flow.PSH}, framed("hi")))
	if tags := got.infos[0].Tags.All(); !slices.Equal(tags, []uint16{12}) {
		t.Errorf("got %v", tags)
	}
}

// TestCutPayload: what the capture cut off is a gap, and decoding goes on behind it.
func TestCutPayload(t *testing.T) {
	var got recorder
	f := newFeeder(flow.Config{}, &got)
	whole := tcpFrame(alice, bob, tcpHeader{seq: 1, flags: flow.PSH}, cat(framed("one"), framed("two")))
	f.p.Data, f.p.OrigLen = whole[:len(whole)-3], len(whole)
	f.next()
	f.frame(tcpFrame(alice, bob, tcpHeader{seq: 15, flags: flow.PSH}, framed("three")))
	f.table.Flush()
	log := strings.Join(got.log, "; ")
	if want := "unframed 0: 4 a5 5a 03 74; gap 0: 3"; log != want || !slices.Equal(got.texts[0], []string{"one", "three"}) {
		t.Errorf("got %q, %s; want %s", got.texts[0], log, want)
	}
	if len(got.lawless) > 0 {
		t.Error(got.lawless)
	}
}

// TestOffload: an IP length of 0 is one that the network card had still to fill in.
func TestOffload(t *testing.T) {
	var got recorder
	f := newFeeder(flow.Config{}, &got)
	b := tcpFrame(alice, bob, tcpHeader{seq: 1, flags: flow.PSH}, framed("hi"))
	binary.BigEndian.PutUint16(b[16:], 0)
	if bucket := f.frame(b); bucket != flow.Decoded || len(got.texts[0]) != 1 {
		t.Errorf("got %v, %q", bucket, got.texts)
	}
}

// fragments cuts an IP packet of either version into pieces of size bytes.
func fragments(b []byte, id uint32, size int) (out [][]byte) {
	header := 20
	if b[0]>>4 == 6 {
		header = 40
	}
	for from := header; from < len(b); from += size {
		to := min(from+size, len(b))
		off, more := from-header, to < len(b)
		f := slices.Clone(b[:header])
		if header == 20 {
			field := uint16(off / 8)
			if more {
				field |= 0x2000
			}
			binary.BigEndian.PutUint16(f[4:], uint16(id))
			binary.BigEndian.PutUint16(f[6:], field)
			binary.BigEndian.PutUint16(f[2:], uint16(header+to-from))
		} else {
			field := uint16(off)
			if more {
				field |= 1
			}
			f = append(f, f[6], 0, byte(field>>8), byte(field), byte(id>>24), byte(id>>16), byte(id>>8), byte(id))
			f[6] = 44
			binary.BigEndian.PutUint16(f[4:], uint16(8+to-from))
		}
		out = append(out, etherIP(append(f, b[from:to]...)))
	}
	return out
}

// TestFragments: a datagram in pieces, in any order, repeated, contradicted, and with one lost.
func TestFragments(t *testing.T) {
	text := strings.Repeat("fragment ", 22)
	for version, ends := range map[int][2]netip.AddrPort{4: {alice, bob}, 6: {alice6, bob6}} {
		whole := ip(ends[0].Addr(), ends[1].Addr(), 17, datagram(ends[0], ends[1], framed(text)))
		for _, c := range []struct {
			name   string
			order  []int
			spoil  int // this fragment comes first with other content
			want   int
			faults protocols.Faults
		}{
			{name: "in order", order: []int{0, 1, 2, 3, 4}, spoil: -1, want: 1},
			{name: "backwards", order: []int{4, 3, 2, 1, 0}, spoil: -1, want: 1},
			{name: "repeated", order: []int{0, 2, 2, 1, 1, 4, 3}, spoil: -1, want: 1},
			{name: "one lost", order: []int{0, 1, 3, 4}, spoil: -1, want: 0},
			{name: "contradicted behind", order: []int{0, 1, 2, 1, 3, 4}, spoil: 3, want: 1, faults: protocols.Overlap},
		} {
			var got recorder
			f := newFeeder(flow.Config{}, &got)
			parts := fragments(whole, 77, 48)
			var last flow.Bucket
			for i, n := range c.order {
				part := slices.Clone(parts[n])
				if i == c.spoil {
					part[len(part)-1] ^= 0xff
				}
				last = f.frame(part)
			}
			name := fmt.Sprintf("IPv%d, %s", version, c.name)
			if len(got.texts[0]) != c.want || c.want > 0 && (got.texts[0][0] != text || last != flow.Decoded || got.infos[0].Faults != c.faults) {
				t.Errorf("%s: got %q, last packet %v, infos %+v", name, got.texts[0], last, got.infos)
			}
		}
	}
}

// TestFragmentBounds: fragments that are never completed are forgotten, and hold a bounded amount.
func TestFragmentBounds(t *testing.T) {
	f := newFeeder(flow.Config{}, flow.Ignore{})
	whole := ip(alice.Addr(), bob.Addr(), 17, datagram(alice, bob, make([]byte, 3000)))
	for id := range uint32(20000) {
		parts := fragments(whole, id, 1480)
		f.frame(parts[1])
	}
	waiting, held := f.table.Fragments()
	if waiting > 1024 || held > 9<<20 {
		t.Errorf("%d datagrams, %d bytes", waiting, held)
	}
	big := ip(alice.Addr(), bob.Addr(), 17, datagram(alice, bob, make([]byte, 60000)))
	for id := range uint32(1000) {
		f.frame(fragments(big, id, 8)[7000])
		if waiting, held := f.table.Fragments(); held > 9<<20 {
			t.Fatalf("%d datagrams, %d bytes", waiting, held)
		}
	}
	f.p.At += 60e9
	f.frame(fragments(whole, 1, 1480)[1])
	if waiting, _ := f.table.Fragments(); waiting != 1 {
		t.Errorf("after a minute: %d datagrams", waiting)
	}
}
