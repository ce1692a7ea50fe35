package spool

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roje-ot/roje/rules/batch"
)

var (
	key   = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	start = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	stamp = Stamp{Wall: start.Add(time.Hour), Mono: time.Minute}
)

func open(t testing.TB, cfg Config) *Spool {
	t.Helper()
	s, err := Open(cfg)
	if err == nil {
		err = s.Bind("north", "s1")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func item(lane batch.Lane, n int) Item {
	return Item{Kind: batch.KindAlert, Lane: lane, At: start.Add(time.Duration(n) * time.Second), Body: fmt.Appendf(nil, `{"id":"%d-%06d"}`, lane, n)}
}

func add(t testing.TB, s *Spool, items ...Item) {
	t.Helper()
	if err := s.Append(items...); err != nil {
		t.Fatal(err)
	}
}

// next opens what is due in a lane; nil where nothing is.
func next(t testing.TB, s *Spool, lane batch.Lane, limit Limit) (*batch.Envelope, []batch.Record) {
	t.Helper()
	raw, err := s.Next(lane, limit, key, stamp)
	if err != nil {
		t.Fatal(err)
	}
	if raw == nil {
		return nil, nil
	}
	e, rest, err := batch.Decode(raw)
	if err == nil {
		err = e.Verify(key.Public().(ed25519.PublicKey))
	}
	if err != nil || len(rest) > 0 {
		t.Fatalf("%d bytes left, %v", len(rest), err)
	}
	records, err := e.Records()
	if err != nil {
		t.Fatal(err)
	}
	return e, records
}

func ack(t testing.TB, s *Spool, e *batch.Envelope) {
	t.Helper()
	if err := s.Ack(e.Epoch, e.Lane, e.To); err != nil {
		t.Fatal(err)
	}
}

func TestRecordsComeBackInOrder(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir})
	for i := range 10 {
		add(t, s, item(batch.Routine, i), item(batch.Urgent, i))
	}
	epoch := s.Stats().Epoch
	var prev batch.Hash
	for i := 0; i < 10; i += 4 {
		if err := s.Close(); err != nil { // between any two steps
			t.Fatal(err)
		}
		s = open(t, Config{Dir: dir})
		e, records := next(t, s, batch.Routine, Limit{Records: 4})
		want := batch.Header{Sensor: "s1", Operator: "north", Key: e.Key, Epoch: epoch, Lane: batch.Routine, Base: 1, From: uint64(i + 1), To: uint64(min(i+4, 10)),
			First: item(0, i).At, Last: item(0, min(i+3, 9)).At, Sealed: stamp.Wall, Mono: stamp.Mono, Codec: "zstd", Raw: e.Raw, Sum: e.Sum, Prev: prev}
		if e.Header != want {
			t.Errorf("header:\n got %+v\nwant %+v", e.Header, want)
		}
		for j, r := range records {
			if want := item(batch.Routine, i+j); string(r.Body) != string(want.Body) || r.Seq != uint64(i+j+1) {
				t.Errorf("record %d is %s, want %s", r.Seq, r.Body, want.Body)
			}
		}
		for range 2 {
			s.Close()
			s = open(t, Config{Dir: dir})
			add(t, s, item(batch.Inventory, i))
			if again, _ := next(t, s, batch.Routine, Limit{}); !bytes.Equal(again.Bytes, e.Bytes) {
				t.Fatal("an envelope that is not acknowledged was sealed anew")
			}
		}
		prev = e.Hash
		if err := s.Ack(e.Epoch, e.Lane, e.To-1); err != nil {
			t.Fatal(err)
		}
		if err := s.Ack("another epoch", e.Lane, e.To); err != nil {
			t.Fatal(err)
		}
		if again, _ := next(t, s, batch.Routine, Limit{}); !bytes.Equal(again.Bytes, e.Bytes) {
			t.Fatal("an envelope went away by an acknowledgement that is not its own")
		}
		ack(t, s, e)
	}
	if e, _ := next(t, s, batch.Routine, Limit{}); e != nil {
		t.Errorf("records %d to %d follow the last", e.From, e.To)
	}
	if st := s.Stats(); st.Waiting[batch.Urgent] != 10 || st.Records() != 10+6 || st.Lost != 0 {
		t.Errorf("stats %+v; want 10 urgent and 6 inventory records", st)
	}
}

func TestLimits(t *testing.T) {
	s := open(t, Config{Dir: t.TempDir()})
	big := Item{Kind: "piece", Lane: batch.Evidence, At: start, Body: []byte(`"` + strings.Repeat("x", MaxBody-2) + `"`)}
	add(t, s, big, big, item(batch.Evidence, 1))
	if e, _ := next(t, s, batch.Evidence, Limit{Bytes: 10}); e.To != 1 {
		t.Errorf("records 1 to %d; want the first alone, larger than the limit though it is", e.To)
	}
	for name, it := range map[string]Item{
		"a lane too far": {Kind: "a", Lane: batch.Lanes, Body: []byte("1")},
		"no kind":        {Body: []byte("1")},
		"no JSON":        {Kind: "a", Body: []byte("{")},
		"no body":        {Kind: "a"},
		"a large body":   {Kind: "a", Body: []byte(`"` + strings.Repeat("x", MaxBody-1) + `"`)},
	} {
		if err := s.Append(item(batch.Urgent, 1), it); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if n := s.Stats().Waiting[batch.Urgent]; n != 0 {
		t.Errorf("%d records of refused calls are there", n)
	}
}

func TestNewEnrolmentIsANewEpoch(t *testing.T) {
	s := open(t, Config{Dir: t.TempDir()})
	for i := range 6 {
		add(t, s, item(batch.Urgent, i))
	}
	first, _ := next(t, s, batch.Urgent, Limit{Records: 2})
	ack(t, s, first)
	if _, records := next(t, s, batch.Urgent, Limit{Records: 2}); len(records) != 2 {
		t.Fatalf("%d records", len(records))
	}
	if err := s.Bind("north", "s1"); err != nil || s.Stats().Epoch != first.Epoch {
		t.Errorf("the same sensor began a new epoch, or %v", err)
	}
	if err := s.Bind("north", "s2"); err != nil {
		t.Fatal(err)
	}
	e, records := next(t, s, batch.Urgent, Limit{})
	if e.Sensor != "s2" || e.Epoch == first.Epoch || e.Base != 3 || e.From != 3 || len(records) != 4 || e.Prev != (batch.Hash{}) {
		t.Errorf("header %+v with %d records; want all 4 that wait, for s2 in another epoch with base 3 and nothing before", e.Header, len(records))
	}
	for _, names := range [][2]string{{"", "s1"}, {"north", "S 1"}} {
		if err := s.Bind(names[0], names[1]); err == nil {
			t.Errorf("bound to %q", names)
		}
	}
}

func TestConcurrentAppends(t *testing.T) {
	s := open(t, Config{Dir: t.TempDir()})
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 20 {
				if err := s.Append(item(batch.Routine, w*100+i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	seen := map[string]bool{}
	drain := func() {
		for {
			e, records := next(t, s, batch.Routine, Limit{})
			if e == nil {
				return
			}
			for _, r := range records {
				seen[string(r.Body)] = true
			}
			ack(t, s, e)
		}
	}
	drain()
	wg.Wait()
	<-s.Wake()
	drain()
	if len(seen) != 160 {
		t.Errorf("%d different records, want 160", len(seen))
	}
}
