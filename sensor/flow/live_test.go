package flow

import (
	"errors"
	"io"
	"path/filepath"
	"testing"

	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/sensor/capture"
	"github.com/roje-ot/roje/testdata/need"
)

// closedSum adds up what connections say when they are closed.
type closedSum struct {
	Ignore
	sum  Counters
	open map[uint64]Counters
}

func (s *closedSum) Closed(c *Conn, _ Reason) {
	s.sum.Add(&c.Count)
	delete(s.open, c.ID)
}

// TestTouched looks at a table again and again while the lab's captures go by, and holds that each connection with a
// packet since the last look is among those that are shown, that its bytes are decoded, skipped or waiting, and that
// what was shown last, with what was closed, is the sum of all.
func TestTouched(t *testing.T) {
	need.Long(t)
	files, err := filepath.Glob(filepath.Join(need.Root(t), "testdata", "act-*.pcap"))
	if err != nil || len(files) == 0 {
		t.Fatal("no captures", err)
	}
	looks := 0
	for _, path := range files {
		s := &closedSum{open: map[uint64]Counters{}}
		table := New(Config{Protocols: catalog.All}, s)
		f, err := capture.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		mark := uint64(0)
		look := func() {
			looks++
			mark = table.Touched(mark, func(c *Conn) {
				if n := &c.Count; n.Seen != n.Decoded+n.Skipped+uint64(c.Waiting()) {
					t.Fatalf("%s: %v: %d seen, %d decoded, %d skipped, %d wait", path, c.Ends, n.Seen, n.Decoded, n.Skipped, c.Waiting())
				}
				s.open[c.ID] = c.Count
			})
			var sum Counters
			for _, n := range s.open {
				sum.Add(&n)
			}
			sum.Add(&s.sum)
			var want Counters
			for _, l := range table.lists.all() {
				for c := l.first; c != nil; c = c.next {
					want.Add(&c.Count)
				}
			}
			want.Add(&table.cover.Total)
			if sum.Packets != want.Packets || sum.Seen != want.Seen {
				t.Fatalf("%s: shown %+v, there are %+v", path, sum, want)
			}
		}
		var p capture.Packet
		for {
			if err := f.Next(&p); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			table.Packet(&p)
			if p.Frame%29 == 0 {
				look()
			}
		}
		look()
		f.Close()
	}
	t.Logf("%d captures, %d looks", len(files), looks)
}
