package evidence

import (
	"bytes"
	"encoding/binary"
	"math"
	"runtime"
	"slices"
	"testing"

	"github.com/roje-ot/roje/rules/batch/headers"
	"github.com/roje-ot/roje/sensor/capture"
)

// packet is a UDP packet between two IPv4 addresses with n bytes of payload.
func packet(src, dst uint32, at int64, n int) *capture.Packet {
	b := make([]byte, 14+28+n)
	copy(b, []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0})
	ip := b[14:]
	ip[0], ip[8], ip[9] = 0x45, 64, headers.UDP
	binary.BigEndian.PutUint16(ip[2:], uint16(28+n))
	binary.BigEndian.PutUint32(ip[12:], src)
	binary.BigEndian.PutUint32(ip[16:], dst)
	binary.BigEndian.PutUint16(ip[24:], uint16(8+n))
	return &capture.Packet{At: at, Link: capture.Ethernet, Data: b, OrigLen: len(b)}
}

// TestFlood holds that a million spoofed flows leave the frames of a commanding pair alone, and that memory stays as it
// was from the start.
func TestFlood(t *testing.T) {
	r := NewRing(Config{})
	key := uint64(0)
	for i := range 40 {
		key = r.Add(packet(0x0a000001, 0x0a000002, int64(i), 60))
		if i == 20 {
			r.Mark(key)
		}
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	p := packet(0, 0x0a000002, 1000, 60)
	for i := range uint32(1_000_000) {
		binary.BigEndian.PutUint32(p.Data[26:], 0xc0000000+i)
		r.Add(p)
	}
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 1<<20 {
		t.Errorf("the flood took %d bytes", grown)
	}
	frames := r.Frames(key, 512)
	if len(frames) != 40 {
		t.Fatalf("%d frames are left of the commanding pair, want 40", len(frames))
	}
	for i, f := range frames {
		if f.At != int64(i) {
			t.Fatalf("frame %d has time %d", i, f.At)
		}
	}
}

// TestPairs holds that 2,000 pairs with commands have their frames within 128 MB, and no others'.
func TestPairs(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	r := NewRing(Config{})
	keys := map[uint64]uint32{}
	for round := range 50 {
		for i := range uint32(2000) {
			key := r.Add(packet(0x0a000000+i, 0x0b000000, int64(round+1), 100))
			r.Mark(key)
			keys[key] = 0x0a000000 + i
		}
	}
	runtime.ReadMemStats(&after)
	used := after.HeapAlloc - before.HeapAlloc
	if used > 128<<20 {
		t.Errorf("%d bytes in use", used)
	}
	if len(keys) != 2000 {
		t.Fatalf("%d pairs", len(keys))
	}
	for key, src := range keys {
		frames := r.Frames(key, 64)
		if len(frames) != 50 {
			t.Fatalf("%d frames of %x, want 50", len(frames), src)
		}
		for _, f := range frames {
			if got := binary.BigEndian.Uint32(f.Data[26:]); got != src {
				t.Fatalf("a frame of %x among those of %x", got, src)
			}
		}
	}
	t.Logf("2,000 pairs with 50 frames each: %.1f MB", float64(used)/1e6)
}

// TestWrap holds that frames are whole or gone, never mixed, however the ring wraps.
func TestWrap(t *testing.T) {
	r := NewRing(Config{Bytes: 5000, Hot: 5000})
	for i := range 2000 {
		p := packet(0x0a000001, 0x0a000002, int64(i), i%97)
		for j := range p.Data[42:] {
			p.Data[42+j] = byte(i)
		}
		key := r.Add(p)
		frames := r.Frames(key, 100)
		if len(frames) < 20 && i > 100 || frames[len(frames)-1].At != int64(i) {
			t.Fatalf("after %d: %d frames", i, len(frames))
		}
		for _, f := range frames {
			for _, b := range f.Data[42:] {
				if b != byte(f.At) {
					t.Fatalf("frame %d holds bytes of another", f.At)
				}
			}
		}
	}
}

// TestExact holds that a frame comes out as it went in, in either tier, and carried from one to the other.
func TestExact(t *testing.T) {
	cut := packet(1, 2, 3, 60)
	cut.OrigLen += 1000
	tagged := packet(1, 2, 4, 60)
	tagged.VLAN, tagged.HasVLAN = 7, true
	odd := packet(1, 2, 5, 60)
	odd.Link = 276
	priority := packet(1, 2, 5, 60)
	priority.VLAN, priority.HasVLAN = 0, true
	both := packet(1, 2, 5, 60)
	both.VLAN, both.HasVLAN = 4095, true
	both.OrigLen += 1
	most := packet(1, 2, 5, 60)
	most.VLAN, most.HasVLAN = 4095, true
	packets := []*capture.Packet{packet(1, 2, 1, 0), cut, tagged, odd, priority, both, most, packet(1, 2, 6, 1400), packet(1, 2, 7, math.MaxUint16-42-1),
		packet(1, 2, 8, math.MaxUint16-42), packet(1, 2, 9, math.MaxUint16), packet(1, 2, 1<<62, 3)}
	for i, p := range packets {
		for j := range p.Data[42:] {
			p.Data[42+j] = byte(i * j)
		}
		for _, mark := range []string{"", "before", "after"} {
			r := NewRing(Config{Bytes: 1 << 20, Hot: 1 << 20})
			first := packet(3, 4, 0, 9)
			r.Add(first) // not at the beginning, and not of the pair
			r.Add(packet(1, 2, 0, 5))
			key := keyOf(p)
			if mark == "before" {
				r.Mark(key)
			}
			if r.Add(p) != key {
				t.Fatal("another pair")
			}
			if mark == "after" {
				r.Mark(key)
			}
			frames := r.Frames(key, 10)
			want, orig := p.Data, p.OrigLen
			if p.HasVLAN {
				want = slices.Concat(p.Data[:12], []byte{0x81, 0, byte(p.VLAN >> 8), byte(p.VLAN)}, p.Data[12:])
				orig += 4
			}
			if p.Link == 276 { // no host is known in it: it is its own pair
				frames = append([]Frame{{}}, frames...)
			}
			if len(frames) != 2 {
				t.Fatalf("packet %d, marked %s: %d frames", i, mark, len(frames))
			}
			f := frames[1]
			if f.At != p.At || f.Orig != orig || f.Link != uint16(p.Link) || !bytes.Equal(f.Data, want) {
				t.Errorf("packet %d, marked %s: at %d, %d bytes of %d, link %d", i, mark, f.At, len(f.Data), f.Orig, f.Link)
			}
		}
	}
}

// TestOrder holds that the frames of a pair come out in the order in which they came, whichever tier they are in, when it
// stops and begins again to count as commanding, and where times go back.
func TestOrder(t *testing.T) {
	r := NewRing(Config{Bytes: 1 << 20, Hot: 1 << 20, Keep: 100})
	n, key := 0, uint64(0)
	add := func(at int64) {
		key = r.Add(packet(1, 2, at, n))
		r.Add(packet(3, 4, at, 1000))
		n++
	}
	for at := range int64(400) {
		switch {
		case at == 20 || at == 50 || at == 250:
			r.Mark(key)
		case at == 160: // an interface whose clock is behind
			add(140)
		}
		add(at)
		frames := r.Frames(key, 1<<20)
		if len(frames) != n {
			t.Fatalf("%d: %d frames, want %d", at, len(frames), n)
		}
		for i, f := range frames {
			if len(f.Data) != 42+i {
				t.Fatalf("%d: frame %d is not the %dth", at, len(f.Data)-42, i)
			}
		}
	}
}

func TestAddAllocatesNothing(t *testing.T) {
	r, p := NewRing(Config{Bytes: 1 << 20, Hot: 1 << 20}), packet(1, 2, 3, 60)
	if n := testing.AllocsPerRun(1000, func() { r.Add(p) }); n != 0 {
		t.Errorf("%v allocations per frame", n)
	}
}

func BenchmarkAdd(b *testing.B) {
	r, p := NewRing(Config{}), packet(1, 2, 3, 26)
	b.ReportAllocs()
	for b.Loop() {
		r.Add(p)
	}
}

// BenchmarkCopy is the floor of BenchmarkAdd: the same bytes into the same room, and nothing else.
func BenchmarkCopy(b *testing.B) {
	p := packet(1, 2, 3, 26)
	room, at := make([]byte, 24<<20), 0
	for b.Loop() {
		if at+header+len(p.Data) > len(room) {
			at = 0
		}
		at += header + copy(room[at+header:], p.Data)
	}
}
