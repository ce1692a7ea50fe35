package flow_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/sensor/flow"
)

// piece is a segment of a conversation: where it lies in its direction's bytes.
type piece struct {
	dir      int
	from, to int
	ack      int // bytes of the other direction that its sender has
}

// conversation is a session of requests and answers, and how it was cut into segments.
type conversation struct {
	texts  [2][]string
	spans  [2][][2]int // of each text's frame in its direction's bytes
	bytes  [2][]byte
	pieces []piece
	isn    [2]uint32
}

// talk makes a session of n requests with an answer each. size chooses the length of each next segment.
func talk(random *rand.Rand, n int, size func() int) *conversation {
	c := &conversation{isn: [2]uint32{random.Uint32(), random.Uint32()}}
	for i := range n {
		for dir := range 2 {
			text := fmt.Sprintf("%d:%d:%s", dir, i, strings.Repeat("\xa5", random.IntN(60)))
			from := len(c.bytes[dir])
			c.bytes[dir] = append(c.bytes[dir], framed(text)...)
			c.texts[dir] = append(c.texts[dir], text)
			c.spans[dir] = append(c.spans[dir], [2]int{from, len(c.bytes[dir])})
			for from < len(c.bytes[dir]) {
				to := min(from+size(), len(c.bytes[dir]))
				c.pieces = append(c.pieces, piece{dir, from, to, len(c.bytes[1-dir])})
				from = to
			}
		}
	}
	return c
}

// frame returns the Ethernet frame of a segment.
func (c *conversation) frame(p piece) []byte {
	from, to := alice, bob
	if p.dir == 1 {
		from, to = to, from
	}
	h := tcpHeader{seq: c.isn[p.dir] + uint32(p.from), ack: c.isn[1-p.dir] + uint32(p.ack), flags: flow.ACK | flow.PSH}
	return tcpFrame(from, to, h, c.bytes[p.dir][p.from:p.to])
}

// whole returns the texts of dir all of whose bytes are in pieces.
func (c *conversation) whole(dir int, pieces []piece) (texts []string) {
	have := make([]bool, len(c.bytes[dir]))
	for _, p := range pieces {
		if p.dir == dir {
			for i := p.from; i < p.to; i++ {
				have[i] = true
			}
		}
	}
	for i, span := range c.spans[dir] {
		if !slices.Contains(have[span[0]:span[1]], false) {
			texts = append(texts, c.texts[dir][i])
		}
	}
	return texts
}

// TestStreamLaws: whatever the network and the mirror do to the segments, each message whose bytes all arrived comes
// out, once and in order, and every byte is accounted for.
func TestStreamLaws(t *testing.T) {
	sizes := map[string]func(*rand.Rand) func() int{
		"one byte each":   func(*rand.Rand) func() int { return func() int { return 1 } },
		"random segments": func(r *rand.Rand) func() int { return func() int { return 1 + r.IntN(80) } },
		"whole messages":  func(*rand.Rand) func() int { return func() int { return 1000 } },
	}
	kinds := []struct {
		name   string
		change func(r *rand.Rand, c *conversation) []piece
		loss   bool
		order  bool // messages of one direction may come late
	}{
		{name: "clean", change: func(_ *rand.Rand, c *conversation) []piece { return c.pieces }},
		{name: "duplicated", change: func(_ *rand.Rand, c *conversation) (out []piece) {
			for _, p := range c.pieces {
				out = append(out, p, p)
			}
			return out
		}},
		{name: "swapped", change: func(_ *rand.Rand, c *conversation) []piece {
			out := slices.Clone(c.pieces)
			for i := 3; i+1 < len(out); i += 2 {
				out[i], out[i+1] = out[i+1], out[i]
			}
			return out
		}, order: true},
		{name: "lost 1 %", change: func(r *rand.Rand, c *conversation) []piece { return thin(r, c.pieces, 0.01) }, loss: true},
		{name: "lost 20 %", change: func(r *rand.Rand, c *conversation) []piece { return thin(r, c.pieces, 0.2) }, loss: true},
		{name: "one sided, lost 5 %", change: func(r *rand.Rand, c *conversation) []piece {
			return thin(r, slices.DeleteFunc(slices.Clone(c.pieces), func(p piece) bool { return p.dir == 0 }), 0.05)
		}, loss: true},
		{name: "from the middle", change: func(_ *rand.Rand, c *conversation) []piece { return c.pieces[len(c.pieces)/2:] }, loss: true},
		{name: "retransmitted in other pieces", change: func(r *rand.Rand, c *conversation) (out []piece) {
			for _, p := range c.pieces {
				out = append(out, p)
				if r.IntN(3) == 0 {
					out = append(out, piece{p.dir, max(0, p.from-r.IntN(40)), p.to, p.ack})
				}
			}
			return out
		}},
		{name: "sequence numbers wrap", change: func(_ *rand.Rand, c *conversation) []piece {
			c.isn = [2]uint32{^uint32(0) - 700, ^uint32(0) - 3}
			return c.pieces
		}},
	}
	for size, chooser := range sizes {
		for _, kind := range kinds {
			for seed := range uint64(8) {
				r := rand.New(rand.NewPCG(seed, 1))
				c := talk(r, 60, chooser(r))
				pieces := kind.change(r, c)
				var got recorder
				f := newFeeder(flow.Config{}, &got)
				for _, p := range pieces {
					f.frame(c.frame(p))
				}
				f.table.Flush()
				name := fmt.Sprintf("%s, %s, seed %d", size, kind.name, seed)
				for dir := range 2 {
					want, have := c.whole(dir, pieces), got.texts[dir]
					if kind.order {
						slices.Sort(want)
						have = slices.Sorted(slices.Values(have))
					}
					if !slices.Equal(have, want) {
						t.Errorf("%s, end %d: got %d messages, want %d\ngot  %.200q\nwant %.200q\nlog %.600q", name, dir, len(have), len(want), missing(have, want), missing(want, have), got.log)
					}
				}
				if len(got.lawless) > 0 {
					t.Errorf("%s: %v", name, got.lawless)
				}
				if !kind.loss && (got.counters.Gaps > 0 || got.counters.Skipped > 0 || got.counters.Overlaps > 0) {
					t.Errorf("%s: %d gaps, %d bytes skipped, %d overlaps in a session that is all there", name, got.counters.Gaps, got.counters.Skipped, got.counters.Overlaps)
				}
			}
		}
	}
}

// missing returns what a has and b has not.
func missing(a, b []string) (out []string) {
	for _, s := range a {
		if !slices.Contains(b, s) {
			out = append(out, s)
		}
	}
	return out
}

// thin loses a share of the segments.
func thin(r *rand.Rand, pieces []piece, share float64) (out []piece) {
	for _, p := range pieces {
		if r.Float64() >= share {
			out = append(out, p)
		}
	}
	return out
}

// TestStreamCases are single sessions, written as what is sent, and what is heard.
func TestStreamCases(t *testing.T) {
	hi, yo := string(framed("hi")), string(framed("yo"))
	type step struct {
		dir      int
		seq, ack uint32
		flags    flow.TCPFlags
		text     string
	}
	const psh = flow.ACK | flow.PSH
	cases := []struct {
		name  string
		steps []step
		texts [2]string
		log   string
		want  []flow.Bucket
	}{
		{name: "handshake to goodbye", steps: []step{
			{0, 99, 0, flow.SYN, ""}, {1, 199, 100, flow.SYN | flow.ACK, ""}, {0, 100, 200, psh, hi}, {1, 200, 106, psh, yo},
			{0, 106, 206, flow.FIN | flow.ACK, ""}, {1, 206, 107, flow.FIN | flow.ACK, ""},
		}, texts: [2]string{"hi", "yo"}, log: "called 0; answered 1; finished 1"},
		{name: "refused", steps: []step{{0, 99, 0, flow.SYN, ""}, {0, 99, 0, flow.SYN, ""}, {1, 0, 100, flow.RST | flow.ACK, ""}}, log: "called 0; refused 1"},
		{name: "keep-alives", steps: []step{
			{0, 100, 200, psh, hi}, {0, 105, 200, flow.ACK, "\x00"}, {1, 200, 106, flow.ACK, ""}, {0, 105, 200, flow.ACK, ""}, {0, 106, 200, psh, yo},
		}, texts: [2]string{"hi,yo", ""}, want: []flow.Bucket{flow.Decoded, flow.Control, flow.Control, flow.Control, flow.Decoded}},
		{name: "keep-alive before any data", steps: []step{{0, 99, 0, flow.SYN, ""}, {1, 199, 100, flow.SYN | flow.ACK, ""}, {0, 99, 200, flow.ACK, "\x01"}, {0, 100, 200, psh, hi}},
			texts: [2]string{"hi", ""}, log: "called 0; answered 1"},
		{name: "keep-alive first", steps: []step{{0, 99, 200, flow.ACK, "\x00"}, {0, 100, 200, psh, hi}}, texts: [2]string{"hi", ""}},
		{name: "zero window probe", steps: []step{{0, 100, 200, psh, hi}, {0, 106, 200, flow.ACK, yo[:1]}, {0, 106, 200, flow.ACK, yo[:1]}, {0, 106, 200, psh, yo}},
			texts: [2]string{"hi,yo", ""}},
		{name: "loss that the receiver denies", steps: []step{{0, 100, 200, psh, hi}, {1, 200, 112, flow.ACK, ""}, {0, 112, 200, psh, yo}},
			texts: [2]string{"hi,yo", ""}, log: "gap 0: 6"},
		{name: "loss acknowledged later", steps: []step{{0, 100, 200, psh, hi}, {0, 112, 200, psh, yo}, {1, 200, 118, flow.ACK, ""}},
			texts: [2]string{"hi,yo", ""}, log: "gap 0: 6"},
		{name: "hole filled", steps: []step{{0, 100, 200, psh, hi}, {0, 112, 200, psh, yo}, {0, 106, 200, psh, hi}}, texts: [2]string{"hi,hi,yo", ""}},
		{name: "hole filled after it was given up", steps: []step{{0, 100, 200, psh, hi}, {1, 200, 112, flow.ACK, ""}, {0, 112, 200, psh, yo}, {0, 106, 200, psh, hi}, {0, 106, 200, psh, hi}},
			texts: [2]string{"hi,yo,hi", ""}, log: "gap 0: 6", want: []flow.Bucket{flow.Decoded, flow.Control, flow.Decoded, flow.Decoded, flow.Repeat}},
		{name: "before the start", steps: []step{{0, 106, 200, psh, yo}, {0, 100, 200, psh, hi}}, texts: [2]string{"yo,hi", ""}},
		{name: "other content in a repetition", steps: []step{{0, 100, 200, psh, hi}, {0, 100, 200, psh, string(framed("ho"))}, {0, 106, 200, psh, yo}},
			texts: [2]string{"hi,yo", ""}, log: `overlap 0: "i\xd2" "o\xd8"`},
		{name: "other content behind a hole", steps: []step{{0, 100, 200, psh, hi}, {0, 112, 200, psh, yo}, {0, 112, 200, psh, hi}, {0, 106, 200, psh, hi}},
			texts: [2]string{"hi,hi,yo", ""}, log: `overlap 0: "yo\xe9" "hi\xd2"`},
		{name: "frozen sequence numbers", steps: []step{{0, 100, 200, psh, hi}, {0, 100, 200, psh, yo}, {0, 100, 200, psh, yo}, {0, 100, 200, psh, yo}, {0, 100, 200, psh, yo}, {0, 100, 200, psh, hi}},
			texts: [2]string{"hi,yo,hi", ""}, log: `overlap 0: "hi\xd2" "yo\xe9"; overlap 0: "hi\xd2" "yo\xe9"; overlap 0: "hi\xd2" "yo\xe9"; overlap 0: "hi\xd2" "yo\xe9"`},
		{name: "ports used again", steps: []step{{0, 99, 0, flow.SYN, ""}, {0, 100, 200, psh, hi}, {0, 5000, 0, flow.SYN, ""}, {0, 5001, 1, psh, yo}},
			texts: [2]string{"hi,yo", ""}, log: "called 0; called 0"},
		{name: "forged SYN, and the session goes on", steps: []step{{0, 100, 200, psh, hi}, {0, 5_000_000, 0, flow.SYN, ""}, {0, 106, 200, psh, yo}},
			texts: [2]string{"hi,yo", ""}, log: "called 0"},
		{name: "forged RST, and the session goes on", steps: []step{{0, 100, 200, psh, hi}, {1, 200, 0, flow.RST, ""}, {0, 106, 200, psh, yo}},
			texts: [2]string{"hi,yo", ""}, log: "reset 1"},
		{name: "forged segment far ahead", steps: []step{{0, 100, 200, psh, hi}, {0, 100_000_000, 200, psh, yo}, {0, 106, 200, psh, yo}, {1, 200, 112, flow.ACK, ""}},
			texts: [2]string{"hi,yo", ""}},
		{name: "jump that goes on", steps: []step{{0, 100, 200, psh, hi}, {0, 100_000_000, 200, psh, yo}, {0, 100_000_006, 200, psh, hi}},
			texts: [2]string{"hi,yo,hi", ""}, log: "gap 0: 0"},
		{name: "jump back", steps: []step{{0, 100_000_000, 200, psh, hi}, {0, 100, 200, psh, yo}, {0, 106, 200, psh, hi}},
			texts: [2]string{"hi,hi", ""}, log: "gap 0: 0"},
		{name: "noise between frames", steps: []step{{0, 100, 200, psh, "noise" + hi + "x" + yo}},
			texts: [2]string{"hi,yo", ""}, log: `unframed 0: 5 6e 6f 69 73 65; unframed 0: 1 78`},
		{name: "half a frame at the end", steps: []step{{0, 100, 200, psh, hi + yo[:4]}}, texts: [2]string{"hi", ""}, log: `unframed 0: 4 a5 5a 02 79`},
	}
	for _, c := range cases {
		var got recorder
		f := newFeeder(flow.Config{}, &got)
		for i, s := range c.steps {
			from, to := alice, bob
			if s.dir == 1 {
				from, to = to, from
			}
			bucket := f.frame(tcpFrame(from, to, tcpHeader{s.seq, s.ack, s.flags}, []byte(s.text)))
			if c.want != nil && bucket != c.want[i] {
				t.Errorf("%s: packet %d: got %v, want %v", c.name, i+1, bucket, c.want[i])
			}
		}
		f.table.Flush()
		texts := [2]string{strings.Join(got.texts[0], ","), strings.Join(got.texts[1], ",")}
		if log := strings.Join(got.log, "; "); texts != c.texts || log != c.log {
			t.Errorf("%s:\ngot  %q %s\nwant %q %s", c.name, texts, log, c.texts, c.log)
		}
		if len(got.lawless) > 0 {
			t.Errorf("%s: %v", c.name, got.lawless)
		}
	}
}

// TestGoesOn: bytes of a stream that was ended or reset are told, those that were on their way and keep-alives are not.
func TestGoesOn(t *testing.T) {
	hi := string(framed("hi"))
	type step struct {
		dir   int
		seq   uint32
		flags flow.TCPFlags
		text  string
		wait  int64 // before it, seconds
	}
	const psh = flow.ACK | flow.PSH
	for _, c := range []struct {
		name  string
		steps []step
		log   string
	}{
		{"a session goes on after a reset", []step{{0, 106, flow.RST, "", 0}, {0, 106, psh, hi, 2}, {0, 112, psh, hi, 2}}, "reset 0; after its end 0: 6"},
		{"the reset lies outside the window", []step{{0, 206106, flow.RST, "", 0}, {0, 106, psh, hi, 2}}, "reset 0; after its end 0: 6"},
		{"on its way when the reset came", []step{{0, 112, flow.RST, "", 0}, {0, 106, psh, hi, 0}}, "reset 0"},
		{"the other end has not heard of it yet", []step{{0, 106, flow.RST, "", 0}, {1, 206, psh, hi, 2}}, "reset 0"},
		{"it only repeats itself", []step{{0, 106, flow.RST, "", 0}, {0, 100, psh, hi, 2}}, "reset 0"},
		{"a new connection", []step{{0, 106, flow.RST, "", 0}, {0, 9000, flow.SYN, "", 2}, {0, 9001, psh, hi, 2}}, "reset 0; called 0"},
		{"a session goes on after a FIN", []step{{0, 106, flow.FIN | flow.ACK, "", 0}, {0, 106, psh, hi, 0}, {0, 112, psh, hi, 0}}, "after its end 0: 6; after its end 0: 6"},
		{"bytes before the FIN come late", []step{{0, 112, flow.FIN | flow.ACK, "", 0}, {0, 106, psh, hi, 0}}, ""},
		{"a keep-alive after a FIN", []step{{0, 106, flow.FIN | flow.ACK, "", 0}, {0, 106, flow.ACK, "\x00", 9}, {1, 206, psh, hi, 0}}, ""},
	} {
		var got recorder
		f := newFeeder(flow.Config{}, &got)
		f.frame(tcpFrame(alice, bob, tcpHeader{seq: 100, ack: 200, flags: psh}, []byte(hi)))
		f.frame(tcpFrame(bob, alice, tcpHeader{seq: 200, ack: 106, flags: psh}, []byte(hi)))
		for _, s := range c.steps {
			from, to, ack := alice, bob, uint32(206)
			if s.dir == 1 {
				from, to, ack = to, from, 106
			}
			f.p.At += s.wait * 1e9
			f.frame(tcpFrame(from, to, tcpHeader{s.seq, ack, s.flags}, []byte(s.text)))
		}
		if log := strings.Join(got.log, "; "); log != c.log {
			t.Errorf("%s:\ngot  %s\nwant %s", c.name, log, c.log)
		}
	}
}

// TestHoleTimesOut: without an acknowledgement, missing bytes are waited for no longer than HoleTimeout of packet time.
func TestHoleTimesOut(t *testing.T) {
	var got recorder
	f := newFeeder(flow.Config{}, &got)
	f.frame(tcpFrame(alice, bob, tcpHeader{seq: 100, flags: flow.PSH}, framed("a")))
	f.frame(tcpFrame(alice, bob, tcpHeader{seq: 205, flags: flow.PSH}, framed("b")))
	f.table.Tick(f.p.At + 999e6)
	if len(got.texts[0]) != 1 {
		t.Errorf("before the time is over: got %q", got.texts[0])
	}
	f.table.Tick(f.p.At + 1001e6)
	if want := []string{"a", "b"}; !slices.Equal(got.texts[0], want) {
		t.Errorf("got %q, want %q, log %q", got.texts[0], want, got.log)
	}
}

// TestRoles: the server is end 1 where it is known, whoever was seen first.
func TestRoles(t *testing.T) {
	also := netip.MustParseAddrPort("10.0.0.1:7000")
	plain := netip.MustParseAddrPort("10.0.0.3:9999")
	cases := []struct {
		name     string
		from, to netip.AddrPort
		flags    flow.TCPFlags
		want     string
	}{
		{"request to a registered port", alice, bob, flow.ACK, "10.0.0.1:40000 10.0.0.2:7000 true"},
		{"answer of a registered port", bob, alice, flow.ACK, "10.0.0.1:40000 10.0.0.2:7000 true"},
		{"registered port calls", bob, alice, flow.SYN, "10.0.0.1:40000 10.0.0.2:7000 true"},
		{"both registered, in the middle", also, bob, flow.ACK, "10.0.0.1:7000 10.0.0.2:7000 false"},
		{"both registered, called", also, bob, flow.SYN, "10.0.0.1:7000 10.0.0.2:7000 true"},
		{"both registered, answered", bob, also, flow.SYN | flow.ACK, "10.0.0.1:7000 10.0.0.2:7000 true"},
		{"none registered, called", plain, alice, flow.SYN, "10.0.0.3:9999 10.0.0.1:40000 true"},
		{"none registered, answered", plain, alice, flow.SYN | flow.ACK, "10.0.0.1:40000 10.0.0.3:9999 true"},
		{"none registered, in the middle", plain, alice, flow.ACK, "10.0.0.3:9999 10.0.0.1:40000 false"},
	}
	for _, c := range cases {
		got := ""
		f := newFeeder(flow.Config{}, &closer{f: func(c *flow.Conn) { got = fmt.Sprint(c.Ends[0], c.Ends[1], c.ServerKnown) }})
		f.frame(tcpFrame(c.from, c.to, tcpHeader{seq: 1, flags: c.flags}, nil))
		f.table.Flush()
		if got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

type closer struct {
	flow.Ignore
	f func(*flow.Conn)
}

func (c *closer) Closed(conn *flow.Conn, _ flow.Reason) { c.f(conn) }

var _ protocols.Decoder = (*fakeDecoder)(nil)

// TestFrameNumbers: a message has the number of the packet that completed it, also when it is told later.
func TestFrameNumbers(t *testing.T) {
	var got recorder
	f := newFeeder(flow.Config{}, &got)
	to := netip.MustParseAddrPort("10.0.0.2:9999") // not registered: three frames are needed until they are believed
	parts := []string{string(framed("a")), string(framed("b")), string(framed("c"))[:3], string(framed("c"))[3:]}
	seq := uint32(1)
	for _, part := range parts {
		f.frame(tcpFrame(alice, to, tcpHeader{seq: seq, flags: flow.PSH}, []byte(part)))
		seq += uint32(len(part))
	}
	f.table.Flush()
	var numbers []uint64
	for _, p := range got.infos {
		numbers = append(numbers, p.Frame)
	}
	if want := []uint64{1, 2, 4}; !slices.Equal(numbers, want) {
		t.Errorf("got %v, want %v", numbers, want)
	}
}
