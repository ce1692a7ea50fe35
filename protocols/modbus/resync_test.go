package modbus

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/roje-ot/roje/protocols"
)

// A talk is a long conversation: the ADUs of one direction after the other, each with a transaction identifier of its own.
func talk(r *rand.Rand, exchanges int) (frames []segment) {
	for tid := range uint16(exchanges) {
		addr, n := byte(r.IntN(200)), byte(1+r.IntN(20))
		var q, a []byte
		switch r.IntN(5) {
		case 0:
			q, a = []byte{3, 0, addr, 0, n}, append([]byte{3, 2 * n}, random(r, 2*int(n))...)
		case 1:
			q, a = []byte{1, 0, addr, 0, n}, append([]byte{1, (n + 7) / 8}, random(r, (int(n)+7)/8)...)
		case 2:
			q, a = append([]byte{16, 0, addr, 0, n, 2 * n}, random(r, 2*int(n))...), []byte{16, 0, addr, 0, n}
		case 3:
			q, a = []byte{6, 0, addr, 0, n}, []byte{6, 0, addr, 0, n}
		default:
			q, a = []byte{4, 0, addr, 0, n}, []byte{0x84, 2}
		}
		frames = append(frames, ask(adu(tid, 1, q...)...), tell(adu(tid, 1, a...)...))
	}
	return frames
}

func random(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// TestLoss cuts holes into a conversation at random places, and holds the decoder to this: every ADU whose bytes all
// arrived is decoded, save one behind each hole.
func TestLoss(t *testing.T) {
	var whole, decoded, holes int
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		want := map[string]bool{}
		var in []segment
		var cut [2]bool
		gaps := 0
		for _, f := range talk(r, 60) {
			f.lost, cut[f.dir] = cut[f.dir], false
			key := fmt.Sprint(f.dir, f.b[0], f.b[1])
			switch r.IntN(20) {
			case 0: // all of it is lost
				gaps++
				cut[f.dir] = true
				continue
			case 1: // its end
				gaps++
				f.b = f.b[:1+r.IntN(len(f.b)-1)]
				cut[f.dir] = true
			case 2: // its front
				gaps++
				f.b, f.lost = f.b[1+r.IntN(len(f.b)-1):], true
			default:
				want[key] = true
			}
			in = append(in, f)
		}
		got := map[string]bool{}
		l := newLine(t, ports, func(m *protocols.Message) {
			if m.Faults == 0 {
				got[fmt.Sprint(m.Dir, m.Raw[0], m.Raw[1])] = true
			}
		})
		l.feed(in...)
		l.end()
		missing := 0
		for key := range want {
			if !got[key] {
				missing++
			}
		}
		for key := range got {
			if !want[key] {
				t.Errorf("seed %d: decoded %s, whose bytes did not all arrive", seed, key)
			}
		}
		if missing > gaps {
			t.Errorf("seed %d: %d holes, and %d whole ADUs missing", seed, gaps, missing)
		}
		whole, decoded, holes = whole+len(want), decoded+len(want)-missing, holes+gaps
	}
	t.Logf("%d holes; %d of %d whole ADUs decoded", holes, decoded, whole)
	if decoded < whole*995/1000 {
		t.Errorf("%d of %d whole ADUs decoded, want 99.5 %%", decoded, whole)
	}
}

// TestStartInTheMiddle joins a conversation at every byte: nothing but the ADU that was under way may be missing.
func TestStartInTheMiddle(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	var stream []byte
	var ends []int
	for _, f := range talk(r, 12) {
		if f.dir == fromServer {
			stream = append(stream, f.b...)
			ends = append(ends, len(stream))
		}
	}
	for start := range ends[len(ends)-2] {
		want := 0
		for i := range ends {
			if i == 0 && start == 0 || i > 0 && ends[i-1] >= start {
				want++
			}
		}
		got := names(t, ports, tell(stream[start:]...))
		if len(got) != want {
			t.Errorf("from byte %d: %d messages, want %d", start, len(got), want)
		}
	}
}

// TestCutsDoNotMatter: however a stream is cut, good or damaged, the messages are the same.
func TestCutsDoNotMatter(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2))
		var stream []byte
		for _, f := range talk(r, 8) {
			if f.dir != fromClient {
				continue
			}
			switch r.IntN(6) {
			case 0:
				stream = append(stream, random(r, r.IntN(20))...)
			case 1:
				f.b[r.IntN(len(f.b))] ^= byte(1 + r.IntN(255))
			}
			switch seed % 3 {
			case 0:
				stream = append(stream, f.b...)
			case 1:
				stream = append(stream, serialRTU(f.b[6], f.b[7:]...)...)
			default:
				stream = append(stream, serialASCII(f.b[6], f.b[7:]...)...)
			}
		}
		want := texts(t, ports, ask(stream...))
		var cut []segment
		for rest := stream; len(rest) > 0; {
			n := 1 + r.IntN(min(len(rest), 30))
			cut = append(cut, ask(rest[:n]...))
			rest = rest[n:]
		}
		equal(t, texts(t, ports, cut...), want)
		equal(t, texts(t, ports, inBytes([]segment{ask(stream...)})...), want)
		if t.Failed() {
			t.Fatalf("seed %d: % x", seed, stream)
		}
	}
}
