package coverage

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/testdata/need"
)

// TestOneSide drops each side of a link in turn, from the beginning and later on, and holds that it is said within the
// promised time after the last frame of the side that is missing, once, and that its end is said too.
func TestOneSide(t *testing.T) {
	for side := range 2 {
		for _, before := range []int{0, 40} {
			b := newBench(t, quick)
			k := newTalk("10.0.0.1:40000", "10.0.0.2:502")
			n := uint16(0)
			poll := func(keep func(side int) bool) {
				n++
				for s, frame := range k.poll(n) {
					if keep(s) {
						b.packet(frame)
					}
				}
			}
			b.until(before, func(int) { poll(func(int) bool { return true }) })
			b.want("both sides", "")
			last := b.now - int64(time.Second)
			if before == 0 {
				last = b.now
			}
			b.until(60, func(int) { poll(func(s int) bool { return s != side }) })
			if len(b.found) != 1 {
				t.Fatalf("side %d after %d s: %+v", side, before, b.found)
			}
			f := b.found[0]
			if late := time.Duration(f.Last - last); late > quick.OneSided || late < quick.OneSided/2 {
				t.Errorf("side %d after %d s: said %v after its last frame; %v are promised", side, before, late, quick.OneSided)
			}
			if before > 0 && f.First != last {
				t.Errorf("last seen %v before it was said, want %v", time.Duration(f.Last-f.First), time.Duration(f.Last-last))
			}
			if !strings.Contains(f.Title, sideNames[side]) {
				t.Errorf("side %d: %s", side, f.Title)
			}
			b.want("one side", "one-sided 10.0.0.1 10.0.0.2")
			b.until(5, func(int) { poll(func(int) bool { return true }) })
			b.want("both again", "-one-sided 10.0.0.1 10.0.0.2")
			day := b.book.Statement("s", "v", time.Unix(0, b.now))
			if s := day.Links[0].Blind.OneSided; s < 55 || s > 65 {
				t.Errorf("side %d: %v s of the day are one-sided, want about 60", side, s)
			}
		}
	}
}

// TestDeadStation: a station that does not answer is no fault of the mirror.
func TestDeadStation(t *testing.T) {
	b := newBench(t, quick)
	k := newTalk("10.0.0.1:40000", "10.0.0.2:502")
	b.until(5, func(n int) {
		for _, f := range k.poll(uint16(n)) {
			b.packet(f)
		}
	})
	request := k.frame(clientSide, []byte{0, 9, 0, 0, 0, 6, 1, 3, 0, 0, 0, 2})
	b.until(60, func(int) { b.packet(request) }) // again and again
	b.want("no answer", "")
}

// TestUndecoded: a learned link turns into something else.
func TestUndecoded(t *testing.T) {
	b := newBench(t, quick)
	k := newTalk("10.0.0.1:40000", "10.0.0.2:502")
	b.until(60, func(n int) {
		for _, f := range k.poll(uint16(n)) {
			b.packet(f)
		}
	})
	b.want("decoded", "")
	hidden := newTalk("10.0.0.1:40001", "10.0.0.2:502")
	last := b.now
	b.until(60, func(n int) {
		for side := range 2 {
			b.packet(hidden.frame(side, bytes.Repeat([]byte{0xd3, byte(n), 0x17, 0xa9}, 16)))
		}
	})
	if len(b.found) != 1 || time.Duration(b.found[0].Last-last) > quick.Undecoded {
		t.Fatalf("%+v", b.found)
	}
	b.want("hidden", "undecoded 10.0.0.1 10.0.0.2")
	b.until(2, func(n int) {
		for _, f := range k.poll(uint16(100 + n)) {
			b.packet(f)
		}
	})
	b.want("decoded again", "-undecoded 10.0.0.1 10.0.0.2")
	unknown := newBench(t, quick)
	u := newTalk("10.0.0.1:40001", "10.0.0.2:502")
	unknown.until(120, func(n int) {
		for side := range 2 {
			unknown.packet(u.frame(side, bytes.Repeat([]byte{0xd3, byte(n), 0x17, 0xa9}, 16)))
		}
	})
	unknown.want("a link that was never decoded", "")
}

// TestTwice: every frame comes twice, as from two mirrors; a retransmission is none.
func TestTwice(t *testing.T) {
	b := newBench(t, quick)
	k := newTalk("10.0.0.1:40000", "10.0.0.2:502")
	b.until(120, func(n int) {
		for _, f := range k.poll(uint16(n)) {
			b.packet(f)
			b.now += 20_000
			b.packet(f)
		}
	})
	b.want("two mirrors", "doubled 10.0.0.1 10.0.0.2")
	b.until(240, func(n int) {
		for _, f := range k.poll(uint16(n)) {
			b.packet(f)
		}
	})
	b.want("one mirror", "-doubled 10.0.0.1 10.0.0.2")
	b.until(240, func(n int) {
		for _, f := range k.poll(uint16(n)) {
			b.packet(f)
			b.now += int64(200 * time.Millisecond)
			again := bytes.Clone(f)
			again[18] ^= 0x80 // another identification
			b.packet(again)
		}
	})
	b.want("retransmissions", "")
}

// TestSilence makes all, one station's, one master's and one of several links silent, and holds that each is said once.
func TestSilence(t *testing.T) {
	talks := [][2]string{{"10.0.0.1:40000", "10.0.1.1:502"}, {"10.0.0.1:40001", "10.0.1.2:502"}, {"10.0.0.2:40002", "10.0.1.1:502"}, {"10.0.0.2:40003", "10.0.1.3:502"}}
	for _, c := range []struct {
		name  string
		gone  []int
		want  string
		after string
	}{
		{"none", nil, "", ""},
		{"all", []int{0, 1, 2, 3}, "silent", "-silent"},
		{"a station", []int{0, 2}, "silent 10.0.1.1", "-silent 10.0.1.1"},
		{"a master", []int{2, 3}, "silent 10.0.0.2", "-silent 10.0.0.2"},
		{"a link", []int{1}, "silent 10.0.0.1 10.0.1.2", "-silent 10.0.0.1 10.0.1.2"},
	} {
		b := newBench(t, quick)
		var all []*talk
		for _, ends := range talks {
			all = append(all, newTalk(ends[0], ends[1]))
		}
		poll := func(n int, gone []int) {
			for i, k := range all {
				silent := false
				for _, g := range gone {
					silent = silent || g == i
				}
				if !silent {
					for _, f := range k.poll(uint16(n)) {
						b.packet(f)
					}
				}
			}
		}
		b.until(60, func(n int) { poll(n, nil) })
		last := b.now
		b.until(120, func(n int) { poll(n, c.gone) })
		for _, f := range b.found {
			if late := time.Duration(f.Last - last); late > quick.Silent {
				t.Errorf("%s: said after %v, promised are %v", c.name, late, quick.Silent)
			}
		}
		b.want(c.name, c.want)
		b.until(30, func(n int) { poll(n, nil) })
		b.want(c.name+", heard again", c.after)
	}
}

// TestSilenceAfterRestart: a link that was learned before a restart and does not come back is said, once over several.
func TestSilenceAfterRestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "coverage.json")
	b := newBench(t, quick)
	k := newTalk("10.0.0.1:40000", "10.0.0.2:502")
	b.until(60, func(n int) {
		for _, f := range k.poll(uint16(n)) {
			b.packet(f)
		}
	})
	now := b.now
	for _, want := range []string{"silent 10.0.0.1 10.0.0.2", ""} {
		if err := b.book.Snapshot(path)(); err != nil {
			t.Fatal(err)
		}
		b = newBench(t, quick)
		if err := b.book.Load(path); err != nil {
			t.Fatal(err)
		}
		now += int64(time.Hour)
		b.now = now
		b.until(60, nil)
		b.want("after a restart", want)
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if b.book.Load(path) == nil {
		t.Error("a broken file is taken")
	}
}

// TestPause: time in which nobody watched proves nothing.
func TestPause(t *testing.T) {
	b := newBench(t, quick)
	k := newTalk("10.0.0.1:40000", "10.0.0.2:502")
	poll := func(n int) {
		for _, f := range k.poll(uint16(n)) {
			b.packet(f)
		}
	}
	b.until(60, poll)
	b.now += int64(time.Hour)
	b.until(60, poll)
	b.want("an hour's pause of the sensor", "")
}

// TestFlood: a million spoofed clients get no link each.
func TestFlood(t *testing.T) {
	need.Long(t)
	b := newBench(t, quick)
	k := newTalk("10.0.0.1:40000", "10.0.0.2:502")
	for i := range uint32(1_000_000) {
		if i%1000 == 0 {
			for _, f := range k.poll(uint16(i / 1000)) {
				b.packet(f)
			}
		}
		spoofed := newTalk(netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, byte(i >> 16), byte(i >> 8), byte(i)}), 1024).String(), "10.0.0.2:502")
		b.packet(spoofed.frame(clientSide, []byte{0, 1, 2, 3, 4, 5, 6, 7}))
		b.now += 1000
		if i%10000 == 9999 {
			b.src.Look()
			b.book.Tick(b.now)
		}
	}
	b.src.Look()
	if len(b.book.links) != 1 {
		t.Errorf("%d links", len(b.book.links))
	}
	day := b.book.Statement("s", "v", time.Unix(0, b.now))
	if err := day.Check(); err != nil {
		t.Error(err)
	}
	if day.Total.Packets != int64(b.frame) {
		t.Errorf("%d packets of %d", day.Total.Packets, b.frame)
	}
}
