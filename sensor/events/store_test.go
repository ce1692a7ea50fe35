package events

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/rules"
)

// start is when the first event happens.
const start = 1_800_000_000_000_000_000

func options(dir string) Options {
	return Options{Dir: dir, Bytes: 1 << 30, Days: 30, Protocols: catalog.All}
}

// fill stores events from to to, handing them over every so often.
func fill(t *testing.T, o Options, from, to, flush int) Stats {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	for i := from; i < to; i++ {
		s.Take(plain(i))
		if i%flush == flush-1 {
			s.Flush()
			settle(s)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return s.Stats()
}

// settle waits until the disk has all that was handed over: all room is free again.
func settle(s *Store) {
	var room []*block
	for range blocks {
		room = append(room, <-s.free)
	}
	for _, b := range room {
		s.free <- b
	}
}

// numbers plays a folder and returns which events of plain it holds.
func numbers(t *testing.T, dir string) (held []int, r *Report) {
	t.Helper()
	r, err := Play(t.Context(), dir, catalog.All, func(e *rules.Event) {
		i := int(e.Frame) - 1
		if wrong := same(e, plain(i)); wrong != "" {
			t.Fatalf("event %d: %s", i, wrong)
		}
		held = append(held, i)
	})
	if err != nil {
		t.Fatal(err)
	}
	return held, r
}

// run is the numbers from from to to.
func run(from, to int) (all []int) {
	for i := from; i < to; i++ {
		all = append(all, i)
	}
	return all
}

// TestStore: what was stored is played, all of it and in its order, over two runs of the store.
func TestStore(t *testing.T) {
	dir := t.TempDir()
	one, two := fill(t, options(dir), 0, 9000, 1000), fill(t, options(dir), 9000, 10000, 1000)
	held, r := numbers(t, dir)
	if !slices.Equal(held, run(0, 10000)) || r.Segments != 2 || len(r.Skipped) != 0 || r.Events != 10000 {
		t.Errorf("%d events, %+v", len(held), r)
	}
	if one.Taken != 9000 || two.Taken != 1000 || one.Dropped+two.Dropped != 0 || two.Bytes <= one.Bytes || two.Oldest.UnixNano() != start {
		t.Errorf("%+v, then %+v", one, two)
	}
	var none *Store
	none.Take(plain(1))
	none.Flush()
	if err := none.Close(); err != nil || none.Stats() != (Stats{}) {
		t.Error("a store that is not there takes something")
	}
}

// TestTorn: wherever a segment was cut, what is whole before the cut is played, and the rest is said; what a later run
// stored comes, too. A block that is damaged costs itself alone.
func TestTorn(t *testing.T) {
	dir := t.TempDir()
	fill(t, options(dir), 0, 400, 100)
	path := filepath.Join(dir, segmentName(1))
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var ends []int // of blocks
	for at := 0; ; {
		next := bytes.Index(whole[at+1:], []byte(blockMagic))
		if next < 0 {
			break
		}
		at += 1 + next
		ends = append(ends, at)
	}
	if ends = append(ends[1:], len(whole)); len(ends) != 4 {
		t.Fatalf("%d blocks", len(ends))
	}
	fill(t, options(dir), 400, 500, 100) // another run
	for cut := 0; cut < len(whole); cut += 61 {
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		blocks := 0
		for _, end := range ends {
			if cut >= end {
				blocks++
			}
		}
		held, r := numbers(t, dir)
		atEdge := slices.Contains(ends, cut)
		if want := append(run(0, 100*blocks), run(400, 500)...); !slices.Equal(held, want) || !atEdge && cut > ends[0] && len(r.Skipped) != 1 {
			t.Fatalf("cut at %d: %d events, want %d; %q", cut, len(held), len(want), r.Skipped)
		}
	}
	damaged := bytes.Clone(whole)
	damaged[ends[0]+blockHead+3] ^= 1
	if err := os.WriteFile(path, damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	held, r := numbers(t, dir)
	if want := append(run(0, 100), run(200, 500)...); !slices.Equal(held, want) || len(r.Skipped) != 1 || !strings.Contains(r.Skipped[0], "a damaged block") {
		t.Errorf("%d events, %q", len(held), r.Skipped)
	}
}

// TestBounds: a store never takes more than its bytes, and nothing much older than its days; the oldest goes first.
func TestBounds(t *testing.T) {
	dir := t.TempDir()
	o := options(dir)
	o.Bytes = 300 << 10
	stats := fill(t, o, 0, 60000, 500)
	held, _ := numbers(t, dir)
	if !slices.Equal(held, run(held[0], 60000)) || held[0] == 0 || stats.Bytes > o.Bytes || stats.Bytes < o.Bytes/2 || onDisk(t, dir) != stats.Bytes {
		t.Errorf("events %d to %d; %d of %d bytes, %d on disk", held[0], held[len(held)-1], stats.Bytes, o.Bytes, onDisk(t, dir))
	}
	if got, want := stats.Oldest.UnixNano(), plain(held[0]).At; got != want {
		t.Errorf("the oldest is said to be of %d, and is of %d", got, want)
	}

	dir = t.TempDir()
	o = options(dir)
	o.Days = 1
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	const hours = 100
	for i := range hours {
		e := plain(1)
		e.At, e.Frame = start+int64(i)*int64(time.Hour), uint64(i)
		s.Take(e)
		s.Flush()
		settle(s)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	least := uint64(hours)
	if _, err := Play(t.Context(), dir, catalog.All, func(e *rules.Event) { least = min(least, e.Frame) }); err != nil {
		t.Fatal(err)
	}
	if kept := hours - least; kept < 24 || kept > 24+24/parts+2 {
		t.Errorf("%d hours are kept of a day", kept)
	}
}

func onDisk(t *testing.T, dir string) (sum int64) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		sum += info.Size()
	}
	return sum
}

// TestSlowDisk: while the disk does not come back, Take returns all the same, what finds no room is counted, and no more
// than all blocks are in memory. Afterwards what was kept is written, and it goes on.
func TestSlowDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "events")
	o := options(dir)
	stuck, goOn := make(chan bool), make(chan bool)
	o.Failed = func(err error) {
		if err != nil {
			close(stuck)
			<-goOn
		}
	}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	s.Take(plain(0)) // is lost, and the disk's goroutine hangs over it
	s.Flush()
	<-stuck
	n := 1
	for ; s.Stats().Dropped < 100; n++ {
		s.Take(plain(n))
	}
	if s.block != nil || len(s.free) != 0 || len(s.full) != blocks-1 {
		t.Errorf("%d blocks wait", len(s.full))
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	kept := n - 99 // one was lost by the disk, 99 found no room
	close(goOn)
	settle(s)
	s.Take(plain(n))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	got, _ := numbers(t, dir)
	if want := append(run(1, kept), n); !slices.Equal(got, want) || s.Stats().Taken != uint64(len(want)) || s.Stats().Dropped != 100 {
		t.Errorf("%d events, want %d; %+v", len(got), len(want), s.Stats())
	}
}

// TestDiskFails: a disk that takes nothing is said once, what it does not take is counted, and once it takes again that
// is said, too.
func TestDiskFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "events")
	o := options(dir)
	var said []error
	o.Failed = func(err error) { said = append(said, err) }
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	step := func(i int) {
		s.Take(plain(i))
		s.Flush()
		settle(s)
	}
	step(0)
	step(1)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	step(2)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if held, _ := numbers(t, dir); !slices.Equal(held, []int{2}) || len(said) != 2 || said[0] == nil || said[1] != nil || s.Stats().Dropped != 2 {
		t.Errorf("%v held, %v said, %+v", held, said, s.Stats())
	}
}

// TestHuge: a message with more points than a block can hold is left out and counted, and harms no other.
func TestHuge(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(options(dir))
	if err != nil {
		t.Fatal(err)
	}
	s.Take(plain(0))
	huge := plain(1)
	for i := range maxRaw / 8 {
		huge.Msg.Points = append(huge.Msg.Points, protocols.Point{Addr: uint32(i * i), N: 1, Has: protocols.HasValue, Value: math.Sqrt(float64(i))})
	}
	s.Take(huge)
	s.Take(plain(2))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if held, _ := numbers(t, dir); !slices.Equal(held, []int{0, 2}) || s.Stats().Dropped != 1 {
		t.Errorf("%v, %+v", held, s.Stats())
	}
}

// TestStops: playing ends when it is asked to.
func TestStops(t *testing.T) {
	dir := t.TempDir()
	fill(t, options(dir), 0, 1000, 100)
	ctx, stop := context.WithCancel(t.Context())
	n := 0
	_, err := Play(ctx, dir, catalog.All, func(*rules.Event) { n++; stop() })
	if !errors.Is(err, context.Canceled) || n != 100 {
		t.Errorf("%d events, %v", n, err)
	}
}

// TestWarm: an event of a shape that is known allocates nothing.
func TestWarm(t *testing.T) {
	var enc encoder
	enc.begin()
	var dst []byte
	var all []*rules.Event
	for i := range 70 {
		all = append(all, plain(i))
	}
	for _, e := range all {
		dst = enc.append(dst, e)
	}
	if n := testing.AllocsPerRun(100, func() {
		enc.begin()
		dst = dst[:0]
		for _, e := range all {
			if e.Msg == nil || e.Msg.From == protocols.Client {
				dst = enc.append(dst, e)
			}
		}
	}); n > 70 { // a new block says each thing once more: addresses are made into bytes there
		t.Errorf("%v allocations for a block", n)
	}
	if n := testing.AllocsPerRun(100, func() {
		dst = dst[:0]
		for _, e := range all {
			dst = enc.append(dst, e)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
