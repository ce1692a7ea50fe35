package ring

import (
	"encoding/binary"
	"errors"
	"os"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/roje-ot/roje/sensor/capture"
	"github.com/roje-ot/roje/sensor/capture/bench/frames"
	"github.com/roje-ot/roje/sensor/capture/filter"
	"github.com/roje-ot/roje/testdata/need"
)

// flood is how many frames TestNoLoss lets arrive.
const flood = 10_000_000

// loaded opens a ring with a filter that keeps the frames' port, and a source of frames.
func loaded(t *testing.T, cfg Config, every int) (*Ring, *filter.Filter, *frames.Source) {
	t.Helper()
	span, _ := need.Veth(t)
	f, err := filter.Load(filter.Config{UDP: []uint16{frames.Port}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	cfg.Interface, cfg.Filter = span, f
	r := open(t, cfg)
	r.poison = false // the reader would spend its time on it
	source, err := frames.New(span, 128, every)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { source.Close() })
	return r, f, source
}

// A tally is what a reader saw of numbered frames.
type tally struct {
	read, missed, next uint64
	shown              atomic.Uint64 // read, every now and then
}

func (c *tally) take(p *capture.Packet, step uint64) {
	n := frames.Number(p.Data)
	c.missed += (n - c.next) / step
	c.next = n + step
	c.read++
	if c.read%1024 == 0 {
		c.shown.Store(c.read)
	}
}

// TestNoLoss: not one of ten million frames is missing, by their numbers, while they arrive as fast as the kernel can
// make them and the ring is of the size that ships.
func TestNoLoss(t *testing.T) {
	n := uint64(flood)
	if testing.Short() {
		n /= 10
	}
	r, f, source := loaded(t, Config{Retire: 10}, 1)
	var seen tally
	done := make(chan error, 1)
	stop := make(chan struct{})
	go func() { done <- readUntil(r, &seen, 1, stop) }()
	// In bursts that the ring holds even if the reader gets no time at all: on a machine that is shared, who runs when is
	// no property of the ring. Between them it is the reader's turn.
	const burst = 200_000
	sent := uint64(0)
	for sent < n {
		k, err := source.Send(burst)
		if err != nil {
			t.Fatal(err)
		}
		sent += k
		for sent-seen.shown.Load() > burst/2 {
			unix.Nanosleep(&unix.Timespec{Nsec: 1e6}, nil)
		}
	}
	close(stop)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	counts, err := f.Counts()
	if err != nil {
		t.Fatal(err)
	}
	if seen.read != sent || seen.missed != 0 || r.Losing() {
		t.Errorf("%d frames arrived, %d read, %d numbers missing", sent, seen.read, seen.missed)
	}
	if counts.Seen != sent || counts.Kept != sent || counts.Seen != counts.Kept+counts.Other {
		t.Errorf("%d frames arrived: %+v", sent, counts)
	}
}

// readUntil reads until stop is closed and the ring is empty.
func readUntil(r *Ring, c *tally, step uint64, stop chan struct{}) error {
	var p capture.Packet
	for {
		switch err := r.Next(&p); {
		case err == nil:
			c.take(&p, step)
		case !errors.Is(err, capture.ErrIdle):
			return err
		default:
			select {
			case <-stop:
				return nil
			default:
			}
		}
	}
}

// TestOverload fills a ring of 1 MiB that nobody reads, then reads, fills it again, and so on: the sums stay exact, and
// what the ring dropped is what is missing in the numbers.
func TestOverload(t *testing.T) {
	for _, every := range []int{1, 100} {
		r, f, source := loaded(t, Config{Blocks: 16, BlockSize: 1 << 16, Retire: 10}, every)
		var seen tally
		for range 8 {
			if _, err := source.Send(100_000); err != nil {
				t.Fatal(err)
			}
			if counts, err := f.Counts(); err != nil || counts.Kept-r.Read()-r.Waiting() > counts.Kept {
				t.Fatalf("kept %d, read %d, waiting %d: %v", counts.Kept, r.Read(), r.Waiting(), err)
			}
			drain(t, r, func(p *capture.Packet) {
				if binary.BigEndian.Uint16(p.Data[36:]) == frames.Port {
					seen.take(p, uint64(every))
				}
			})
		}
		sent, err := source.Sent()
		if err != nil {
			t.Fatal(err)
		}
		counts, err := f.Counts()
		if err != nil {
			t.Fatal(err)
		}
		dropped := counts.Kept - r.Read() - r.Waiting()
		if counts.Seen != sent || counts.Seen != counts.Kept+counts.Other || r.Waiting() != 0 {
			t.Errorf("1 in %d: %d frames arrived: %+v, %d waiting", every, sent, counts, r.Waiting())
		}
		if every > 1 {
			continue
		}
		last := sent - seen.next // those behind the last one that was read
		if dropped == 0 || !r.Losing() || dropped != seen.missed+last {
			t.Errorf("kept %d, read %d, so %d were dropped; %d numbers are missing", counts.Kept, r.Read(), dropped, seen.missed+last)
		}
	}
}

// TestFanout: two rings share an interface, and each frame is on exactly one of them.
func TestFanout(t *testing.T) {
	span, _ := need.Veth(t)
	f, err := filter.Load(filter.Config{UDP: []uint16{frames.Port}})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	group := uint16(os.Getpid())
	a := open(t, Config{Interface: span, Filter: f, Blocks: 16, Retire: 10, Fanout: group})
	b := open(t, Config{Interface: span, Filter: f, Blocks: 16, Retire: 10, Fanout: group})
	source, err := frames.New(span, 128, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	const n = 50_000
	sent, err := source.Send(n)
	if err != nil {
		t.Fatal(err)
	}
	on := map[uint64]int{}
	flows := map[uint32]*Ring{}
	for _, r := range []*Ring{a, b} {
		drain(t, r, func(p *capture.Packet) {
			on[frames.Number(p.Data)]++
			from := binary.BigEndian.Uint32(p.Data[26:])
			if other := flows[from]; other != nil && other != r {
				t.Fatalf("the flow from %x is on both rings", from)
			}
			flows[from] = r
		})
	}
	if uint64(len(on)) != sent || a.Read()+b.Read() != sent || a.Read() == 0 || b.Read() == 0 {
		t.Errorf("%d frames, %d different ones read: %d and %d", sent, len(on), a.Read(), b.Read())
	}
}
