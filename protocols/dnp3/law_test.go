package dnp3

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/roje-ot/roje/protocols"
)

// laws checks what must hold for any bytes from one end: Split stays inside and takes all at the end; the same bytes
// give the same messages in one segment, in single bytes and in pieces of other sizes, and when decoded again.
func laws(t *testing.T, b []byte) {
	t.Helper()
	whole := cut(t, b, len(b)+1)
	for _, size := range []int{1, 7, 64} {
		if got := cut(t, b, size); !slices.Equal(got, whole) {
			t.Fatalf("in pieces of %d: %s\nin one: %s\nbytes %x", size, strings.Join(got, "\n"), strings.Join(whole, "\n"), b)
		}
	}
	if again := cut(t, b, len(b)+1); !slices.Equal(again, whole) {
		t.Fatalf("again: %s\nfirst: %s\nbytes %x", strings.Join(again, "\n"), strings.Join(whole, "\n"), b)
	}
	if probe(b, true) == protocols.Maybe {
		t.Fatalf("undecided about all there is: %x", b)
	}
	for i := range b { // a datagram: what stands alone must not depend on what is not there
		if skip, n := newDecoder(protocols.Hint{}).Split(0, b[i:], true); skip+n > len(b)-i {
			t.Fatalf("%d + %d of %d bytes", skip, n, len(b)-i)
		}
		if i > 16 {
			break
		}
	}
}

// cut feeds b in pieces of size bytes and returns the messages, and the faults that the whole has.
func cut(t *testing.T, b []byte, size int) (texts []string) {
	t.Helper()
	d := newDecoder(protocols.Hint{})
	var m protocols.Message
	var held []byte
	step := func(last bool) bool {
		skip, n := d.Split(0, held, last)
		if skip < 0 || n < 0 || skip+n > len(held) {
			t.Fatalf("Split took %d + %d of %d bytes", skip, n, len(held))
		}
		frame := slices.Clone(held[skip : skip+n]) // at its own end, so that reading on panics
		held = held[skip+n:]
		if n > 0 && d.Decode(protocols.Frame{Bytes: frame}, &m) {
			texts = append(texts, string(m.AppendText(nil)))
			if d.held < 0 || d.held > maxHeld || len(d.peers) > maxPeers || len(m.Points) > maxPoints {
				t.Fatalf("%d bytes held, %d peers, %d points", d.held, len(d.peers), len(m.Points))
			}
		}
		return n > 0
	}
	for rest := b; len(rest) > 0; {
		n := min(size, len(rest))
		held = append(slices.Clone(held), rest[:n]...)
		rest = rest[n:]
		for step(false) {
		}
	}
	for step(true) {
	}
	if len(held) != 0 {
		t.Fatalf("%d bytes left at the end of %x", len(held), b)
	}
	return texts
}

// seeds are the vectors, whole and as one stream per file.
func seeds(t testing.TB) (all [][]byte) {
	for _, path := range vectorFiles(t) {
		_, vs := vectors(t, path)
		var file []byte
		for _, v := range vs {
			for _, f := range v.frames {
				all = append(all, f.b)
				file = append(file, f.b...)
			}
		}
		all = append(all, file)
	}
	return all
}

func TestLaws(t *testing.T) {
	r := rand.New(rand.NewPCG(1815, 2012))
	for _, b := range seeds(t) {
		laws(t, b)
		for range 20 { // the same with damage
			bad := slices.Clone(b)
			for range 1 + r.IntN(4) {
				switch i := r.IntN(len(bad)); r.IntN(3) {
				case 0:
					bad[i] ^= 1 << r.IntN(8)
				case 1:
					bad = slices.Delete(bad, i, min(len(bad), i+1+r.IntN(20)))
				case 2:
					bad = slices.Insert(bad, i, 0x05, 0x64, byte(r.IntN(256)))
				}
				if len(bad) == 0 {
					break
				}
			}
			laws(t, bad)
		}
	}
}

// FuzzDecode runs the laws on any bytes; the second argument says to seal them as the user data of a frame first, so
// that the fuzzer gets behind the checks.
func FuzzDecode(f *testing.F) {
	for _, b := range seeds(f) {
		f.Add(b, byte(0))
		if l, ok := headerAt(b); ok && l.length > minLength {
			data, _ := l.userBytes(nil, b, false)
			f.Add(data, l.ctl)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, ctl byte) {
		if ctl == 0 {
			laws(t, b)
			return
		}
		var stream []byte
		for first := true; first || len(b) > 0; first = false {
			n := min(len(b), maxSegment)
			stream = append(stream, linkFrame(ctl, 10, 1, b[:n]...)...)
			b = b[n:]
		}
		laws(t, stream)
	})
}

// TestLossAnywhere takes a stretch out of a stream of reads: what comes behind it is decoded, all but the one that
// lost bytes.
func TestLossAnywhere(t *testing.T) {
	stream := slices.Concat(read, operate, read, operate, read, operate)
	for at := range len(stream) {
		for _, n := range []int{1, 9, 30} {
			d := newDecoder(protocols.Hint{})
			got := feed(d, stretch{1, stream[:at]})
			d.Lost(1)
			end := min(len(stream), at+n)
			got = append(got, feed(d, stretch{1, stream[end:]})...)
			count := 0
			for _, s := range got {
				if strings.Contains(s, " READ (1)") || strings.Contains(s, " OPERATE (4)") {
					count++
				}
			}
			if touched := framesTouched(at, end); count != 6-touched {
				t.Fatalf("%d bytes lost at %d: %d messages, want %d\n%s", n, at, count, 6-touched, strings.Join(got, "\n"))
			}
		}
	}
}

// framesTouched counts the frames of TestLossAnywhere's stream that lose bytes in [from, to).
func framesTouched(from, to int) (n int) {
	at := 0
	for i := range 6 {
		size := len(read)
		if i%2 == 1 {
			size = len(operate)
		}
		if from < at+size && to > at {
			n++
		}
		at += size
	}
	return n
}

// TestLostForgets holds that a fragment whose middle is missing is not put together, and that what begins later is.
func TestLostForgets(t *testing.T) {
	d := newDecoder(protocols.Hint{})
	f := segments(analogs(300))
	got := feed(d, stretch{0, f[0]})
	d.Lost(0)
	got = append(got, feed(d, stretch{0, slices.Concat(f[2], response(0xc3, 129, 0, 0))})...)
	wantNames(t, got, "RESPONSE")
	if strings.Contains(got[0], "FAULT") {
		t.Errorf("a fault after a loss that was said: %s", got[0])
	}
	if d.held != 0 {
		t.Errorf("%d bytes still held", d.held)
	}
}

// TestInnerFrame holds that a right header with wrong data cannot swallow the command inside its claimed length.
func TestInnerFrame(t *testing.T) {
	cover := linkFrame(fromMasterCtl, 1, 10, make([]byte, 200)...)[:headerLen]
	got := feed(newDecoder(protocols.Hint{}), stretch{1, slices.Concat(cover, operate, make([]byte, 250), read)})
	wantNames(t, got, "UNCONFIRMED_USER_DATA", "OPERATE", "READ")
	wantIn(t, got[0], "FAULT=")
}

// TestBadHeaderInChain holds that a frame whose header check alone is wrong is told of, where the next one proves it.
func TestBadHeaderInChain(t *testing.T) {
	bad := slices.Clone(operate)
	bad[8] ^= 1
	wantNames(t, feed(newDecoder(protocols.Hint{}), stretch{1, slices.Concat(bad, read)}), "unknown", "READ")
	wantNames(t, feed(newDecoder(protocols.Hint{}), stretch{1, slices.Concat(bad, []byte{0}, read)}), "READ")
	wantNames(t, feed(newDecoder(protocols.Hint{}), stretch{1, bad}))
}

func TestProbe(t *testing.T) {
	banner := append([]byte("serial server 7\r\n"), read...)
	cases := []struct {
		name string
		b    []byte
		last bool
		want protocols.Guess
	}{
		{"a frame", read, false, protocols.Yes},
		{"a header", read[:headerLen], false, protocols.Yes},
		{"half a header", read[:9], false, protocols.Maybe},
		{"half a header at the end", read[:9], true, protocols.No},
		{"one byte", read[:1], false, protocols.Maybe},
		{"behind a banner", banner, false, protocols.Yes},
		{"a banner", banner[:10], false, protocols.No},
		{"HTTP", []byte("GET / HTTP/1.1\r\n"), false, protocols.No},
		{"a wrong check", append([]byte{5, 0x64, 5, 0xc9, 1, 0, 2, 0, 0, 0}, make([]byte, 20)...), false, protocols.No},
		{"nothing", nil, false, protocols.No},
	}
	for _, c := range cases {
		if got := probe(c.b, c.last); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

// TestBounds opens fragments that never end for more outstations than a connection remembers.
func TestBounds(t *testing.T) {
	d := newDecoder(protocols.Hint{})
	var m protocols.Message
	long := make([]byte, maxSegment)
	for i := range 200000 {
		station := uint16(i % 100)
		long[0] = byte(i/100) & segSeq
		if i < 100 {
			long[0] |= segFir
		}
		d.Decode(protocols.Frame{Bytes: linkFrame(fromOutstationCtl, station, 1, long...)}, &m)
		if d.held < 0 || d.held > maxHeld || len(d.peers) > maxPeers {
			t.Fatalf("frame %d: %d bytes held, %d peers", i, d.held, len(d.peers))
		}
	}
	room := cap(d.done)
	for i := range d.peers {
		for j := range d.peers[i].streams {
			room += cap(d.peers[i].streams[j].buf)
		}
	}
	if room > 2*maxHeld+maxPeers*streams*keepBuffer {
		t.Errorf("%d bytes of buffers", room)
	}
}

// TestNoAllocation holds that a warm connection allocates nothing, over all vectors.
func TestNoAllocation(t *testing.T) {
	for _, path := range vectorFiles(t) {
		_, vs := vectors(t, path)
		for _, v := range vs {
			d := newDecoder(protocols.Hint{})
			var m protocols.Message
			if n := testing.AllocsPerRun(50, func() {
				for _, f := range v.frames {
					d.Split(f.dir, f.b, false)
					d.Decode(protocols.Frame{Dir: f.dir, Bytes: f.b}, &m)
				}
			}); n != 0 {
				t.Errorf("%s: %s: %v allocations", path, v.title, n)
			}
		}
	}
	d := newDecoder(protocols.Hint{})
	var m protocols.Message
	frames := segments(analogs(1000))
	if n := testing.AllocsPerRun(50, func() {
		for _, b := range frames {
			d.Decode(protocols.Frame{Bytes: b}, &m)
		}
	}); n != 0 || len(m.Points) != 1000 {
		t.Errorf("%v allocations for a fragment of %d segments, %d points", n, len(frames), len(m.Points))
	}
}

// TestCRC holds the check to a frame of a real outstation (05 64 05 C0 01 00 00 04 E9 21 is the usual example of a
// RESET_LINK_STATES), and to the bitwise definition for every length.
func TestCRC(t *testing.T) {
	if got := crc([]byte{0x05, 0x64, 0x05, 0xc0, 0x01, 0x00, 0x00, 0x04}); got != 0x21e9 {
		t.Errorf("%04x", got)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 40 {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		want := uint16(0)
		for _, c := range b {
			want ^= uint16(c)
			for range 8 {
				want = want>>1 ^ want&1*0xa6bc
			}
		}
		if got := crc(b); got != ^want {
			t.Errorf("%d bytes: %04x, want %04x", n, got, ^want)
		}
	}
}

// TestTable holds that the tables are sorted, have no row twice, and that each row can be looked up.
func TestTable(t *testing.T) {
	for i := range objects {
		o := &objects[i]
		if i > 0 {
			p := &objects[i-1]
			if p.group > o.group || p.group == o.group && p.variation >= o.variation && !o.any {
				t.Errorf("g%dv%d stands behind g%dv%d", o.group, o.variation, p.group, p.variation)
			}
		}
		v := o.variation
		if o.any {
			v = 77
		}
		if objectOf(o.group, v) != o || o.name == "" {
			t.Errorf("g%dv%d is not found", o.group, v)
		}
	}
	for i, c := range Protocol.Codes {
		if row, ok := Protocol.Code(c.Code); !ok || row.Name != c.Name || i > 0 && Protocol.Codes[i-1].Code >= c.Code {
			t.Errorf("code %d", c.Code)
		}
	}
	seen := map[string]bool{}
	for _, f := range Protocol.Field {
		set := 0
		for _, is := range []bool{f.Int != nil, f.Bool != nil, f.Text != nil, f.JSON != nil} {
			if is {
				set++
			}
		}
		if seen[f.Name] || set != 1 || f.Doc == "" {
			t.Errorf("field %s", f.Name)
		}
		seen[f.Name] = true
	}
	for _, s := range Protocol.Docs {
		for _, r := range s.Rows {
			if len(r) != len(s.Header) {
				t.Errorf("%s: %v", s.Title, r)
			}
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	frames := segments(analogs(500))
	size := 0
	for _, f := range frames {
		size += len(f)
	}
	b.SetBytes(int64(size))
	d := newDecoder(protocols.Hint{})
	var m protocols.Message
	for b.Loop() {
		for _, f := range frames {
			_, n := d.Split(0, f, false)
			d.Decode(protocols.Frame{Bytes: f[:n]}, &m)
		}
	}
}
