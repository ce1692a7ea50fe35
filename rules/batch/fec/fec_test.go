package fec

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

func random(n int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 7))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func datagrams(t testing.TB, message []byte, parity float64) (all [][]byte) {
	t.Helper()
	seq, err := Split(message, parity)
	if err != nil {
		t.Fatal(err)
	}
	for d := range seq {
		if len(d) > MaxDatagram {
			t.Fatalf("a datagram of %d bytes", len(d))
		}
		all = append(all, bytes.Clone(d))
	}
	return all
}

var sizes = []int{1, 2, 3, 4, 5, 63, 64, 800, 1371, 1372, 1373, 4 * 1372, 4*1372 + 1, 50_000, 4 * 64 * 1372, 4*64*1372 + 1, 1 << 20}

// TestEveryOrder holds that a message comes whole out of its datagrams in any order, twice or not, however it is cut.
func TestEveryOrder(t *testing.T) {
	for _, size := range sizes {
		for _, parity := range []float64{0, 0.25, 1} {
			message := random(size, uint64(size))
			all := datagrams(t, message, parity)
			shuffled := append(slices.Clone(all), all[:len(all)/2]...)
			rand.New(rand.NewPCG(1, 2)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
			for name, order := range map[string][][]byte{"in order": all, "shuffled": shuffled} {
				a := NewAssembler(0)
				var got [][]byte
				for _, d := range order {
					m, err := a.Add(d)
					if err != nil {
						t.Fatalf("%d bytes, parity %v, %s: %v", size, parity, name, err)
					}
					if m != nil {
						got = append(got, m)
					}
				}
				if len(got) != 1 || !bytes.Equal(got[0], message) || a.Pending() != 0 || a.held != 0 {
					t.Errorf("%d bytes, parity %v, %s: %d messages, %d pending, %d bytes held; want the message once and nothing left", size, parity, name, len(got), a.Pending(), a.held)
				}
			}
		}
	}
}

// TestAnyKShards holds that m lost datagrams of each block do no harm, whichever they are, and that one more does.
func TestAnyKShards(t *testing.T) {
	for _, size := range []int{100, 20_000, 400_000} {
		message := random(size, 3)
		s := shapeOf(message, 0.25)
		for seed := range uint64(20) {
			r := rand.New(rand.NewPCG(seed, seed))
			lost := map[[2]int]bool{}
			for b := range s.blocks {
				for _, shard := range r.Perm(s.k + s.m)[:s.m] {
					lost[[2]int{b, shard}] = true
				}
			}
			a := NewAssembler(0)
			var got, last []byte
			for _, d := range datagrams(t, message, 0.25) {
				_, block, shard, _, err := parse(d)
				if err != nil {
					t.Fatal(err)
				}
				if lost[[2]int{block, shard}] {
					continue
				}
				if got != nil {
					t.Fatalf("%d bytes: whole before all blocks had %d shards", size, s.k)
				}
				if got, err = a.Add(d); err != nil {
					t.Fatal(err)
				}
				last = d
			}
			if !bytes.Equal(got, message) {
				t.Errorf("%d bytes, seed %d: not whole with %d of %d shards of each block", size, seed, s.k, s.k+s.m)
			}
			if last == nil {
				t.Error("nothing was sent")
			}
		}
	}
}

// TestBurst holds the interleaving to its promise: a burst of 4 m datagrams, wherever it begins, loses nothing.
func TestBurst(t *testing.T) {
	message := random(200_000, 9)
	s := shapeOf(message, 0.25)
	all := datagrams(t, message, 0.25)
	for from := 0; from+least*s.m <= len(all); from++ {
		a := NewAssembler(0)
		var got []byte
		for i, d := range all {
			if i >= from && i < from+least*s.m {
				continue
			}
			m, err := a.Add(d)
			if err != nil {
				t.Fatal(err)
			}
			if m != nil {
				got = m
			}
		}
		if !bytes.Equal(got, message) {
			t.Fatalf("a burst of %d datagrams at %d of %d lost the message", least*s.m, from, len(all))
		}
	}
}

// TestRepeatsAdd holds that what came of two sendings adds up.
func TestRepeatsAdd(t *testing.T) {
	message := random(30_000, 4)
	s := shapeOf(message, 0)
	all := datagrams(t, message, 0)
	a := NewAssembler(0)
	first, second := []byte(nil), []byte(nil)
	for i, d := range all { // the odd turns come the first time, the even ones the second
		if (i/s.blocks)%2 == 1 {
			first, _ = a.Add(d)
		}
	}
	for i, d := range all {
		if (i/s.blocks)%2 == 0 && second == nil {
			second, _ = a.Add(d)
		}
	}
	if first != nil || !bytes.Equal(second, message) {
		t.Errorf("first sending gave %d bytes, both %d; want 0 and %d", len(first), len(second), len(message))
	}
}

func TestDamageAndForeign(t *testing.T) {
	d := datagrams(t, random(5000, 5), 0.25)[3]
	for i := range d {
		bad := bytes.Clone(d)
		bad[i] ^= 0x10
		a := NewAssembler(0)
		if m, err := a.Add(bad); m != nil || !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrForeign) {
			t.Errorf("a flipped bit of byte %d: %v, %v", i, m, err)
		}
		if a.Pending() != 0 {
			t.Errorf("a flipped bit of byte %d: it was kept", i)
		}
	}
	for n := range len(d) {
		if _, err := NewAssembler(0).Add(d[:n]); err == nil {
			t.Errorf("cut to %d bytes: no error", n)
		}
	}
}

// TestBounded holds that messages that never become whole do not grow without bound, and that the newest wins.
func TestBounded(t *testing.T) {
	a := NewAssembler(1 << 20)
	for i := range uint64(200) {
		for _, d := range datagrams(t, random(50_000, 100+i), 0)[:20] {
			if _, err := a.Add(d); err != nil {
				t.Fatal(err)
			}
		}
		if a.held > 1<<20 {
			t.Fatalf("%d bytes are held", a.held)
		}
	}
	if a.Abandoned == 0 || a.Pending() == 0 {
		t.Errorf("%d abandoned, %d pending; want some of each", a.Abandoned, a.Pending())
	}
	message := random(50_000, 1)
	var got []byte
	for _, d := range datagrams(t, message, 0) {
		if m, _ := a.Add(d); m != nil {
			got = m
		}
	}
	if !bytes.Equal(got, message) {
		t.Error("a message that came whole was not returned")
	}
}

func TestSplitRefuses(t *testing.T) {
	for _, c := range []struct {
		size   int
		parity float64
	}{{0, 0}, {MaxMessage + 1, 0}, {10, -0.1}, {10, 1.1}} {
		if _, err := Split(make([]byte, c.size), c.parity); err == nil {
			t.Errorf("%d bytes with parity %v: no error", c.size, c.parity)
		}
	}
}

func FuzzAdd(f *testing.F) {
	seq, err := Split(random(900, 1), 0.25)
	if err != nil {
		f.Fatal(err)
	}
	for d := range seq {
		f.Add(bytes.Clone(d))
	}
	f.Fuzz(func(t *testing.T, d []byte) {
		a := NewAssembler(1 << 16)
		for i := range 3 {
			m, err := a.Add(d)
			if again, e := NewAssembler(0).Add(d); fmt.Sprint(e) != fmt.Sprint(err) || i == 0 && !bytes.Equal(m, again) {
				t.Fatalf("the same datagram gave %v and %v", err, e)
			}
		}
	})
}
