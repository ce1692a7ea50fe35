package modbus

import (
	"math/rand/v2"
	"testing"

	"github.com/roje-ot/roje/protocols"
)

// mixed is every PDU of the vectors and a talk, in all three framings: what a warm connection sees.
func mixed(t testing.TB) (in [][]segment) {
	var pdus []segment
	for _, name := range []string{"data", "serial", "files", "identity", "faults"} {
		pdus = append(pdus, vectors(t, "testdata/"+name+".txt")...)
	}
	pdus = append(pdus, talk(rand.New(rand.NewPCG(5, 5)), 50)...)
	in = append(in, pdus)
	var rtus, asciis []segment
	for _, s := range pdus {
		rtus = append(rtus, segment{dir: s.dir, b: serialRTU(s.b[6], s.b[7:]...)})
		asciis = append(asciis, segment{dir: s.dir, b: serialASCII(s.b[6], s.b[7:]...)})
	}
	return append(in, rtus, asciis)
}

// replay gives every segment to d as it is, for it holds one frame, and appends what it says to text.
func replay(d protocols.Decoder, in []segment, m *protocols.Message, text []byte) []byte {
	for i := range in {
		for b := in[i].b; len(b) > 0; {
			skip, n := d.Split(in[i].dir, b, true)
			if n > 0 && d.Decode(protocols.Frame{Dir: in[i].dir, At: int64(i), Bytes: b[skip : skip+n]}, m) {
				text = m.AppendJSON(text[:0])
			}
			b = b[skip+n:]
		}
	}
	return text
}

// TestNoAllocations: a warm connection costs no allocation, whatever it says, the fields of the event among it.
func TestNoAllocations(t *testing.T) {
	for i, in := range mixed(t) {
		d := Protocol.New(ports)
		var m protocols.Message
		text := make([]byte, 0, 1<<16)
		for range 2 * mostTurns { // each place of the ring of requests has had one of files
			text = replay(d, in, &m, text)
		}
		if n := testing.AllocsPerRun(20, func() { text = replay(d, in, &m, text) }); n != 0 {
			t.Errorf("%s: %v allocations in %d frames", framingNames[i+1], n, len(in))
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	for i, in := range mixed(b) {
		b.Run(framingNames[i+1], func(b *testing.B) {
			bytes := 0
			for _, s := range in {
				bytes += len(s.b)
			}
			d := Protocol.New(ports)
			var m protocols.Message
			b.SetBytes(int64(bytes))
			b.ReportAllocs()
			for b.Loop() {
				for _, s := range in {
					for rest := s.b; len(rest) > 0; {
						skip, n := d.Split(s.dir, rest, true)
						if n > 0 {
							d.Decode(protocols.Frame{Dir: s.dir, Bytes: rest[skip : skip+n]}, &m)
						}
						rest = rest[skip+n:]
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(in)), "ns/frame")
		})
	}
}

// BenchmarkGarbage is the cost of bytes that are no Modbus at all.
func BenchmarkGarbage(b *testing.B) {
	noise := random(rand.New(rand.NewPCG(7, 7)), 1<<14)
	for _, c := range []struct {
		name string
		size int
	}{{"segments of 1460", 1460}, {"single bytes", 1}} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(noise)))
			for b.Loop() {
				l := newLine(b, ports, func(*protocols.Message) {})
				for rest := noise; len(rest) > 0; rest = rest[min(c.size, len(rest)):] {
					l.feed(ask(rest[:min(c.size, len(rest))]...))
				}
				l.end()
			}
		})
	}
}
