package iec104

import (
	"slices"
	"testing"

	"github.com/roje-ot/roje/protocols"
)

// seeds are short streams of the vectors: four frames in a row, of both directions.
func seeds(t testing.TB) (all [][]byte) {
	for _, path := range vectorFiles(t) {
		for i, v := range vectors(t, path) {
			if v.first || i%4 == 0 {
				all = append(all, nil)
			}
			all[len(all)-1] = append(all[len(all)-1], v.bytes...)
		}
	}
	return all
}

func FuzzDecode(f *testing.F) {
	for i, b := range seeds(f) {
		f.Add(b, uint16(i*7), uint16(i*31), i%2 == 0)
	}
	f.Fuzz(func(t *testing.T, b []byte, c1, c2 uint16, lost bool) {
		if len(b) > 1<<11 {
			return
		}
		cuts := []int{int(c1) % (len(b) + 1), int(c2) % (len(b) + 1)}
		slices.Sort(cuts)
		decoder := func() protocols.Decoder {
			dec := fresh()
			if lost {
				dec.Lost(0)
			}
			return dec
		}
		whole, skipped := said(decoder(), 0, b)
		parts, partSkipped := said(decoder(), 0, b, cuts...)
		again, _ := said(decoder(), 0, b)
		var each []int
		for i := range b {
			each = append(each, i)
		}
		octets, octetSkipped := said(decoder(), 0, b, each...)
		if !slices.Equal(whole, parts) || skipped != partSkipped {
			t.Fatalf("cut at %v: %d skipped %q\nwhole: %d skipped %q", cuts, partSkipped, parts, skipped, whole)
		}
		if !slices.Equal(whole, octets) || skipped != octetSkipped {
			t.Fatalf("octet by octet: %d skipped %q\nwhole: %d skipped %q", octetSkipped, octets, skipped, whole)
		}
		if !slices.Equal(whole, again) {
			t.Fatalf("twice: %q\nand %q", whole, again)
		}
		dec, rest := decoder(), b
		for {
			skip, n := dec.Split(0, rest, true)
			if skip < 0 || n < 0 || skip+n > len(rest) {
				t.Fatalf("split of %d octets: %d, %d", len(rest), skip, n)
			}
			if n == 0 {
				if skip != len(rest) {
					t.Fatalf("the last split left %d octets", len(rest)-skip)
				}
				break
			}
			rest = rest[skip+n:]
		}
		var m protocols.Message
		fresh().Decode(protocols.Frame{Bytes: b}, &m) // not what Split would give
		m.AppendText(nil)
		Probe(b, false)
		Probe(b, true)
	})
}

func TestDecodeAllocatesNothing(t *testing.T) {
	var frames []vector
	for _, path := range vectorFiles(t) {
		frames = append(frames, vectors(t, path)...)
	}
	dec := fresh()
	var m protocols.Message
	run := func() {
		for i := range frames {
			v := &frames[i]
			dec.Split(v.dir, v.bytes, false)
			dec.Decode(protocols.Frame{Dir: v.dir, At: at, Bytes: v.bytes}, &m)
		}
	}
	run()
	if n := testing.AllocsPerRun(20, run); n != 0 {
		t.Errorf("%v allocations in %d frames", n, len(frames))
	}
	out := make([]byte, 0, 1<<12)
	if n := testing.AllocsPerRun(20, func() {
		for i := range frames {
			v := &frames[i]
			dec.Decode(protocols.Frame{Dir: v.dir, At: at, Bytes: v.bytes}, &m)
			out = m.AppendJSON(out[:0])
		}
	}); n != 0 {
		t.Errorf("%v allocations in the fields of %d frames", n, len(frames))
	}
}

func BenchmarkDecode(b *testing.B) {
	var frames []vector
	for _, path := range vectorFiles(b) {
		frames = append(frames, vectors(b, path)...)
	}
	dec := fresh()
	var m protocols.Message
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		v := &frames[i%len(frames)]
		dec.Split(v.dir, v.bytes, false)
		dec.Decode(protocols.Frame{Dir: v.dir, At: at, Bytes: v.bytes}, &m)
	}
}
