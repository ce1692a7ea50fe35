package sensor

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roje-ot/roje/sensor/capture"
	"github.com/roje-ot/roje/testdata/need"
)

// TestTiers opens a port with less and less of what the kernel has, and reads a frame in each tier.
func TestTiers(t *testing.T) {
	for _, c := range []struct {
		tier string
		may  able
	}{
		{tierTCX, asMuch},
		{tierClsact, able{ebpf: true, classic: true, nft: true}},
		{tierNoHook, able{ebpf: true, classic: true, tcx: true}},
		{tierOld, able{ebpf: true, classic: true, old: true}},
		{tierClassic, able{classic: true, tcx: true, nft: true}},
		{tierNone, able{tcx: true, nft: true}},
		{tierTCX + tierEarly, able{ebpf: true, classic: true, tcx: true, nft: true, early: true}},
		{tierClassic, able{classic: true, tcx: true, nft: true, early: true}},
	} {
		t.Run(c.tier, func(t *testing.T) {
			span, peer := need.Veth(t)
			layers := &passivity{}
			p, closers, err := openPort(span, c.may, layers, slog.New(slog.DiscardHandler))
			defer func() {
				for i := len(closers) - 1; i >= 0; i-- {
					if err := closers[i](); err != nil {
						t.Error(err)
					}
				}
			}()
			if err != nil {
				t.Fatal(err)
			}
			if p.tier != c.tier || p.name != span || p.state != "up" {
				t.Errorf("tier %q of %s, %s", p.tier, p.name, p.state)
			}
			if whole := layers.guarded == 1; whole != c.may.nft {
				t.Errorf("every layer is there: %v", whole)
			}
			need.Sender(t, peer)(segment("10.0.0.1", 40000, "10.0.0.2", 502))
			var packet capture.Packet
			for err = capture.ErrIdle; errors.Is(err, capture.ErrIdle); {
				err = p.ring.Next(&packet)
			}
			if err != nil || len(packet.Data) == 0 {
				t.Errorf("no frame: %v", err)
			}
			if (p.filter != nil) != c.may.ebpf || (p.early != nil) != (c.may.ebpf && c.may.early) {
				t.Errorf("filter %v, prefilter %v", p.filter != nil, p.early != nil)
			}
			if p.filter == nil {
				return
			}
			if counts, err := p.filter.Counts(); err != nil || counts.Seen != 1 || counts.OTPort != 1 {
				t.Errorf("counted %+v: %v", counts, err)
			}
		})
	}
}

// TestTierByRelease: where somebody else put the layers there, the kernel's release says the tier.
func TestTierByRelease(t *testing.T) {
	for release, want := range map[[2]int]string{{5, 4}: tierOld, {5, 10}: tierNoHook, {5, 15}: tierNoHook, {5, 16}: tierClsact, {6, 5}: tierClsact, {6, 6}: tierTCX, {7, 0}: tierTCX} {
		if got := ebpfTier(&port{}, release, true); got != want {
			t.Errorf("kernel %v: %q, want %q", release, got, want)
		}
	}
}

func TestNoSuchPort(t *testing.T) {
	_, closers, err := openPort("nosuch0", asMuch, &passivity{}, slog.New(slog.DiscardHandler))
	if err == nil || len(closers) != 0 {
		t.Errorf("an interface that is not there: %v, %d closers", err, len(closers))
	}
}

// segment makes a TCP segment in an Ethernet frame.
func segment(src string, sport uint16, dst string, dport uint16) []byte {
	from, to := netip.MustParseAddr(src), netip.MustParseAddr(dst)
	b := []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1}
	if from.Is4() {
		b = append(b, 8, 0, 0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0)
	} else {
		b = append(b, 0x86, 0xdd, 0x60, 0, 0, 0, 0, 20, 6, 64)
	}
	b = append(append(b, from.AsSlice()...), to.AsSlice()...)
	b = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, sport), dport)
	return append(b, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x10, 0, 0, 0, 0, 0, 0)
}

// TestDelivery: what the sensor and its collector say to each other is left out; what anybody else says to the collector,
// and what the sensor's host says to others, is not.
func TestDelivery(t *testing.T) {
	var shared atomic.Pointer[ends]
	addrs := func(texts ...string) map[netip.Addr]bool {
		m := map[netip.Addr]bool{}
		for _, text := range texts {
			m[netip.MustParseAddr(text)] = true
		}
		return m
	}
	shared.Store(&ends{port: 8443, collector: addrs("192.0.2.10", "2001:db8::10"), here: addrs("10.0.0.5", "2001:db8::5")})
	d := delivery{ends: &shared}
	tagged := func(b []byte) []byte {
		return append(append(append([]byte{}, b[:12]...), 0x81, 0, 0, 7), b[12:]...)
	}
	fragment := segment("10.0.0.5", 5000, "192.0.2.10", 8443)
	fragment[21] = 8
	for _, c := range []struct {
		name  string
		frame []byte
		own   bool
	}{
		{"to the collector", segment("10.0.0.5", 5000, "192.0.2.10", 8443), true},
		{"from the collector", segment("192.0.2.10", 8443, "10.0.0.5", 5000), true},
		{"IPv6", segment("2001:db8::5", 5000, "2001:db8::10", 8443), true},
		{"in a VLAN", tagged(segment("10.0.0.5", 5000, "192.0.2.10", 8443)), true},
		{"somebody else's", segment("10.0.0.6", 5000, "192.0.2.10", 8443), false},
		{"to another port of the collector", segment("10.0.0.5", 5000, "192.0.2.10", 502), false},
		{"from the collector to somebody else", segment("192.0.2.10", 8443, "10.0.0.6", 5000), false},
		{"to somebody else", segment("10.0.0.5", 5000, "10.0.0.9", 8443), false},
		{"a later fragment", fragment, false},
		{"cut short", segment("10.0.0.5", 5000, "192.0.2.10", 8443)[:30], false},
		{"nothing", nil, false},
	} {
		if got := d.is(&capture.Packet{Link: capture.Ethernet, Data: c.frame}); got != c.own {
			t.Errorf("%s: %v, want %v", c.name, got, c.own)
		}
	}
	p := &capture.Packet{Link: capture.Ethernet, Data: segment("10.0.0.5", 5000, "192.0.2.10", 8443)}
	if n := testing.AllocsPerRun(100, func() { d.is(p) }); n != 0 {
		t.Errorf("%v allocations for a packet", n)
	}
	if (&delivery{}).is(p) {
		t.Error("a sensor without a collector leaves packets out")
	}
}

func TestFindEnds(t *testing.T) {
	e := findEnds(context.Background(), "127.0.0.1:8443")
	if e == nil || e.port != 8443 || !e.collector[netip.MustParseAddr("127.0.0.1")] || !e.here[netip.MustParseAddr("127.0.0.1")] {
		t.Errorf("%+v", e)
	}
	for _, bad := range []string{"", "127.0.0.1", "127.0.0.1:https!", "127.0.0.1:70000"} {
		if e := findEnds(context.Background(), bad); e != nil {
			t.Errorf("%q: %+v", bad, e)
		}
	}
}

// TestSilence plays a port's count of frames, a look a second.
func TestSilence(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name         string
		busy, every  int // seconds with frames, one look in so many
		quiet        int // seconds without, after that
		began, ended int // the second at which it is said, 0 if never
	}{
		{"never busy", 30, 1, 3600, 0, 0},
		{"busy, then a short pause", 100, 1, 25, 0, 0},
		{"busy, then silent", 100, 1, 120, 130, 221},
		{"polled every ten seconds, then a pause of a minute", 1200, 10, 60, 0, 0},
		{"polled every ten seconds, then silent", 1200, 10, 300, 1291, 1501},
	} {
		var s silence
		seen, began, ended := uint64(0), 0, 0
		total := c.busy + c.quiet
		for second := range total + 2 {
			if second < c.busy && second%c.every == 0 || second > total {
				seen++
			}
			b, e, since := s.look(start.Add(time.Duration(second)*time.Second), seen)
			if b {
				began = second
				if since.After(start.Add(time.Duration(c.busy) * time.Second)) {
					t.Errorf("%s: silent since %v", c.name, since)
				}
			}
			if e {
				ended = second
			}
		}
		if began != c.began || ended != c.ended {
			t.Errorf("%s: said at %d and %d, want %d and %d", c.name, began, ended, c.began, c.ended)
		}
	}
}
