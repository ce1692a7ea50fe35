package flow_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/sensor/flow"
)

// TestRecognition: which protocol a session on which port is given to.
func TestRecognition(t *testing.T) {
	// second is the fake protocol again, with other frames: they begin with a5 5b, and have no sum.
	second := &protocols.Protocol{Name: "second", TCP: []uint16{7001}}
	second.New = func(protocols.Hint) protocols.Decoder { return &lineDecoder{p: second} }
	second.Probe = func(b []byte, last bool) protocols.Guess {
		switch {
		case len(b) > 0 && b[0] != '#':
			return protocols.No
		case strings.Count(string(b), "\n") >= 2:
			return protocols.Yes
		}
		return protocols.Maybe
	}
	all := []*protocols.Protocol{fake, second}
	frames := string(framed("a")) + string(framed("b")) + string(framed("c"))
	other := netip.MustParseAddrPort("10.0.0.2:9999")
	line := netip.MustParseAddrPort("10.0.0.2:7001")
	cases := []struct {
		name  string
		to    netip.AddrPort
		parts []string
		proto string
		want  []string
	}{
		{name: "registered", to: bob, parts: []string{string(framed("a"))}, proto: "fake", want: []string{"a"}},
		{name: "any port, in one segment", to: other, parts: []string{frames}, proto: "fake", want: []string{"a", "b", "c"}},
		{name: "any port, byte by byte", to: other, parts: strings.Split(frames, ""), proto: "fake", want: []string{"a", "b", "c"}},
		{name: "any port, not enough", to: other, parts: []string{string(framed("a"))}, proto: "other"},
		{name: "any port, two frames and then the end", to: other, parts: []string{string(framed("a")) + string(framed("b"))}, proto: "fake", want: []string{"a", "b"}},
		{name: "any port, another protocol", to: other, parts: []string{"GET / HTTP/1.1\r\n\r\n"}, proto: "other"},
		{name: "any port, late", to: other, parts: append(slices.Repeat([]string{"noise"}, 20), frames, frames, frames, frames, frames, frames, frames, frames, frames, frames, frames, frames, frames, frames),
			proto: "fake", want: []string{"a", "b", "c", "a", "b", "c"}},
		{name: "registered for another one", to: line, parts: []string{frames}, proto: "fake", want: []string{"a", "b", "c"}},
		{name: "registered for another one, byte by byte", to: line, parts: strings.Split(frames, ""), proto: "fake", want: []string{"a", "b", "c"}},
		{name: "registered, noise first", to: line, parts: []string{"#", "one\n#tw", "o\n"}, proto: "second", want: []string{"#one\n", "#two\n"}},
	}
	for _, c := range cases {
		if len(c.parts) > maxParts {
			t.Fatalf("%s: %d parts", c.name, len(c.parts))
		}
		got := &recorder{}
		name := ""
		h := struct {
			*recorder
			flow.Handler
		}{got, &closer{f: func(conn *flow.Conn) { name = conn.Name() }}}
		f := newFeeder(flow.Config{Protocols: all}, &split{got, h.Handler})
		seq := uint32(1)
		for _, part := range c.parts {
			f.frame(tcpFrame(alice, c.to, tcpHeader{seq: seq, flags: flow.PSH}, []byte(part)))
			seq += uint32(len(part))
		}
		f.table.Flush()
		v := f.table.Coverage()
		if name != c.proto || !slices.Equal(got.texts[0][:min(len(got.texts[0]), 6)], c.want) {
			t.Errorf("%s: got %s %q, want %s %q", c.name, name, got.texts[0], c.proto, c.want)
		}
		if len(got.lawless) > 0 || v.Buckets[flow.Decoded]+v.Buckets[flow.Unknown] != v.Packets {
			t.Errorf("%s: %v, buckets %v", c.name, got.lawless, v.Buckets)
		}
		if c.name == "any port, byte by byte" && v.Buckets[flow.Unknown] != 0 {
			t.Errorf("%s: packets that were decoded after all are still counted as unknown: %v", c.name, v.Buckets)
		}
	}
}

const maxParts = 64

// split gives what a Table tells to a recorder, and the end of connections to another handler too.
type split struct {
	*recorder
	end flow.Handler
}

func (s *split) Closed(c *flow.Conn, why flow.Reason) {
	s.recorder.Closed(c, why)
	s.end.Closed(c, why)
}

// lineDecoder takes lines that begin with #.
type lineDecoder struct{ p *protocols.Protocol }

func (d *lineDecoder) Split(_ protocols.Dir, b []byte, last bool) (skip, n int) {
	for skip < len(b) && b[skip] != '#' {
		skip++
	}
	return skip, strings.IndexByte(string(b[skip:]), '\n') + 1
}

func (d *lineDecoder) Decode(f protocols.Frame, m *protocols.Message) bool {
	m.Reset()
	m.Proto, m.Dir, m.Raw, m.Body = d.p, f.Dir, f.Bytes, f.Bytes
	return true
}

func (d *lineDecoder) Lost(protocols.Dir) {}

// TestDatagrams: each datagram stands for itself, a mirror's copy is counted once, and both ends belong together.
func TestDatagrams(t *testing.T) {
	var got recorder
	f := newFeeder(flow.Config{}, &got)
	f.frame(udpFrame(alice, bob, cat(framed("a"), framed("b"))))
	f.p.At -= 1e6 // a mirror's copy at the same time
	if bucket := f.frame(udpFrame(alice, bob, cat(framed("a"), framed("b")))); bucket != flow.Repeat {
		t.Errorf("copy: got %v", bucket)
	}
	f.p.At += 1e9
	f.frame(udpFrame(alice, bob, cat(framed("a"), framed("b"))))
	f.frame(udpFrame(bob, alice, cat(framed("c"), []byte("rest"))))
	f.frame(udpFrame(alice, bob, framed("cut")[:5]))
	f.table.Flush()
	want := [2][]string{{"a", "b", "a", "b"}, {"c"}}
	log := strings.Join(got.log, "; ")
	if !slices.Equal(got.texts[0], want[0]) || !slices.Equal(got.texts[1], want[1]) || log != "unframed 1: 4 72 65 73 74; unframed 0: 5 a5 5a 03 63 75" || len(got.lawless) > 0 {
		t.Errorf("got %q, %s, %v", got.texts, log, got.lawless)
	}
	if v := f.table.Coverage(); v.Connections != 1 {
		t.Errorf("%d connections", v.Connections)
	}
}

// TestDatagramsOnAnyPort: a datagram of whole frames is recognised wherever it goes.
func TestDatagramsOnAnyPort(t *testing.T) {
	var got recorder
	f := newFeeder(flow.Config{}, &got)
	to := netip.AddrPortFrom(bob.Addr(), 5000)
	f.frame(udpFrame(alice, to, []byte("hello")))
	f.frame(udpFrame(alice, to, cat(framed("a"), framed("b"))))
	f.frame(udpFrame(alice, to, framed("c")))
	f.table.Flush()
	if !slices.Equal(got.texts[0], []string{"a", "b", "c"}) || len(got.lawless) > 0 {
		t.Errorf("got %q, %v", got.texts, got.lawless)
	}
}

// TestBounds: a flood of senders that do not exist costs a bounded amount of memory, and pushes out no session.
func TestBounds(t *testing.T) {
	var got recorder
	config := flow.Config{MaxStrays: 1000, MaxConns: 500, MaxBytes: 1 << 20}
	f := newFeeder(config, &got)
	f.frame(tcpFrame(alice, bob, tcpHeader{seq: 1, flags: flow.PSH}, framed("a")))
	f.frame(tcpFrame(alice, bob, tcpHeader{seq: 6, flags: flow.PSH}, framed("b")))
	const n = 1_000_000
	syn := tcpFrame(alice, bob, tcpHeader{seq: 9, flags: flow.SYN}, nil)
	data := tcpFrame(alice, bob, tcpHeader{seq: 9, flags: flow.PSH}, framed("half")[:5])
	most, bytes := 0, 0
	for i := range n {
		b := syn
		if i%2 == 1 {
			b = data
		}
		copy(b[26:], []byte{11, byte(i >> 16), byte(i >> 8), byte(i)})
		f.p.Frame++
		f.p.At += 1000
		f.p.Data, f.p.OrigLen = b, len(b)
		f.table.Packet(&f.p)
		conns, held := f.table.Conns()
		most, bytes = max(most, conns), max(bytes, held)
	}
	if limit := config.MaxStrays + config.MaxConns; most > limit || bytes > config.MaxBytes+1<<17 {
		t.Errorf("%d connections at most, %d bytes; the limits are %d, %d", most, bytes, limit, config.MaxBytes)
	}
	f.frame(tcpFrame(alice, bob, tcpHeader{seq: 11, flags: flow.PSH}, framed("c")))
	if want := []string{"a", "b", "c"}; !slices.Equal(got.texts[0], want) || slices.Contains(got.log, "gap 0: 0") {
		t.Errorf("the session: got %q, want %q", got.texts[0], want)
	}
	f.table.Flush()
	if v := f.table.Coverage(); v.Packets != n+3 || v.Connections != n+1 || len(got.closed) != n+1 || len(got.lawless) > 0 {
		t.Errorf("%d packets, %d connections, %d closed, %v", v.Packets, v.Connections, len(got.closed), got.lawless)
	}
}

// TestAheadBounds: segments behind a hole that is never filled are kept only up to a limit.
func TestAheadBounds(t *testing.T) {
	for _, size := range []int{1, 100, 1400, 60000} {
		var got recorder
		f := newFeeder(flow.Config{HoleTimeout: 1 << 62}, &got)
		f.frame(tcpFrame(alice, bob, tcpHeader{seq: 1, flags: flow.PSH}, framed("a")))
		most := 0
		for i := range 500 {
			f.frame(tcpFrame(alice, bob, tcpHeader{seq: uint32(100 + i*(size+1)), flags: flow.PSH}, make([]byte, size)))
			_, held := f.table.Conns()
			most = max(most, held)
		}
		f.table.Flush()
		if most > 400<<10 || len(got.lawless) > 0 {
			t.Errorf("segments of %d bytes: %d bytes held, %v", size, most, got.lawless)
		}
	}
}

// TestIdle: connections are forgotten by packet time, each kind after its own.
func TestIdle(t *testing.T) {
	var got recorder
	f := newFeeder(flow.Config{}, &got)
	f.frame(tcpFrame(alice, bob, tcpHeader{seq: 1, flags: flow.SYN}, nil)) // half open
	busy := netip.AddrPortFrom(alice.Addr(), 41000)
	f.frame(tcpFrame(busy, bob, tcpHeader{seq: 1, flags: flow.PSH}, framed("a")))
	f.frame(tcpFrame(bob, busy, tcpHeader{seq: 1, flags: flow.PSH}, framed("b")))
	for _, step := range []struct {
		after int64
		open  int
	}{{59e9, 2}, {61e9, 1}, {7199e9, 1}, {7201e9, 0}} {
		f.table.Tick(f.p.At + step.after)
		if open, _ := f.table.Conns(); open != step.open {
			t.Errorf("after %d s: %d connections, want %d", step.after/1e9, open, step.open)
		}
	}
	if want := []flow.Reason{flow.Idle, flow.Idle}; !slices.Equal(got.closed, want) {
		t.Errorf("got %v, want %v", got.closed, want)
	}
}

// TestVXLANNetworks: the same addresses in two networks are two connections.
func TestVXLANNetworks(t *testing.T) {
	var got recorder
	f := newFeeder(flow.Config{}, &got)
	for network := range byte(2) {
		inner := tcpFrame(alice, bob, tcpHeader{seq: 1, flags: flow.PSH}, framed(fmt.Sprint("network ", network)))
		f.frame(udpFrame(netip.AddrPortFrom(outerA, 5555), netip.AddrPortFrom(outerB, 4789), cat([]byte{8, 0, 0, 0, 0, 0, network, 0}, inner)))
	}
	if want := []string{"network 0", "network 1"}; !slices.Equal(got.texts[0], want) || len(got.log) > 0 {
		t.Errorf("got %q, %q, want %q", got.texts[0], got.log, want)
	}
}
