package spool

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/testdata/need"
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

// losses reads the vital lane to its end and returns the losses in it.
func losses(t testing.TB, s *Spool) (all []batch.Loss) {
	t.Helper()
	for {
		e, records := next(t, s, batch.Vital, Limit{})
		if e == nil {
			return all
		}
		for _, r := range records {
			if r.Kind == batch.KindLoss {
				var l batch.Loss
				if err := json.Unmarshal(r.Body, &l); err != nil {
					t.Fatal(err)
				}
				all = append(all, l)
			}
		}
		ack(t, s, e)
	}
}

func TestFullSpoolDropsTheLeastImportantFirst(t *testing.T) {
	dir := t.TempDir()
	item := func(lane batch.Lane, n int) Item { // larger than what an envelope costs
		it := item(lane, n)
		it.Body = fmt.Appendf(nil, `{"id":"%d-%06d","pad":"%s"}`, lane, n, strings.Repeat("x", 1000))
		return it
	}
	one := item(batch.Urgent, 0)
	cost := size(&one)
	s := open(t, Config{Dir: dir, Budget: 10 * cost})
	for lane := batch.Urgent; lane < batch.Lanes; lane++ {
		for i := range 2 {
			add(t, s, item(lane, i))
		}
	}
	health := item(batch.Vital, 0)
	add(t, s, health, health)
	waiting := func() [batch.Lanes]uint64 { return s.Stats().Waiting }
	for _, step := range []struct {
		lane batch.Lane
		n    int
		want [batch.Lanes]uint64
	}{
		{batch.Routine, 0, [...]uint64{2, 2, 2, 2, 2}},
		{batch.Routine, 1, [...]uint64{2, 2, 3, 2, 1}},
		{batch.Evidence, 2, [...]uint64{2, 2, 3, 2, 1}}, // the older of its own lane goes
		{batch.Urgent, 3, [...]uint64{2, 5, 3, 0, 0}},
		{batch.Inventory, 1, [...]uint64{2, 5, 3, 0, 0}}, // it goes itself
		{batch.Urgent, 3, [...]uint64{2, 8, 0, 0, 0}},
		{batch.Urgent, 3, [...]uint64{2, 8, 0, 0, 0}},
	} {
		for i := range step.n {
			add(t, s, item(step.lane, 100+i))
		}
		if got := waiting(); got != step.want {
			t.Errorf("after %d more of lane %s: waiting %v, want %v", step.n, step.lane, got, step.want)
		}
	}
	s.Close()
	s = open(t, Config{Dir: dir, Budget: 10 * cost})
	st := s.Stats()
	var told uint64
	got := map[batch.Lane]batch.Loss{}
	for _, l := range losses(t, s) {
		told += l.Count
		got[l.Lane] = l
		if l.Epoch != st.Epoch || l.First.After(l.Last) {
			t.Errorf("loss %+v", l)
		}
	}
	for lane, want := range map[batch.Lane][3]uint64{batch.Urgent: {1, 3, 3}, batch.Routine: {1, 3, 3}, batch.Inventory: {1, 3, 3}, batch.Evidence: {1, 4, 4}} {
		if l := got[lane]; [3]uint64{l.From, l.To, l.Count} != want {
			t.Errorf("lane %s: lost %d to %d, %d; want %v", lane, l.From, l.To, l.Count, want)
		}
	}
	if told != st.Lost || told != 13 {
		t.Errorf("records tell of %d lost, the spool of %d; want 13", told, st.Lost)
	}
	if again := losses(t, s); again != nil {
		t.Errorf("told again: %+v", again)
	}
}

// TestEveryRecordIsDeliveredOrNamed runs random stories, restarts in between, and holds the spool to its promise.
func TestEveryRecordIsDeliveredOrNamed(t *testing.T) {
	for seed := range uint64(4) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		dir := t.TempDir()
		budget := int64(2000 + rnd.IntN(20000))
		s := open(t, Config{Dir: dir, Budget: budget})
		var appended [batch.Lanes]int
		delivered := map[string]int{}
		high := map[string]uint64{}
		prev := map[string]batch.Hash{}
		lost := map[batch.Lane]uint64{}
		deliver := func(lane batch.Lane) bool {
			e, records := next(t, s, lane, Limit{Records: 1 + rnd.IntN(40)})
			if e == nil {
				return false
			}
			stream := fmt.Sprint(e.Epoch, lane)
			if e.Prev != prev[stream] || e.From <= high[stream] || e.From < e.Base {
				t.Fatalf("seed %d: envelope %d to %d of base %d does not follow %d", seed, e.From, e.To, e.Base, high[stream])
			}
			prev[stream], high[stream] = e.Hash, e.To
			for _, r := range records {
				if r.Kind != batch.KindLoss {
					delivered[string(r.Body)]++
					continue
				}
				var l batch.Loss
				if err := json.Unmarshal(r.Body, &l); err != nil {
					t.Fatal(err)
				}
				lost[l.Lane] += l.Count
			}
			ack(t, s, e)
			return true
		}
		for range 250 {
			lane := batch.Lane(rnd.IntN(batch.Lanes))
			switch rnd.IntN(12) {
			case 0:
				s.Close()
				s = open(t, Config{Dir: dir, Budget: budget})
			case 1, 2, 3:
				deliver(lane)
			case 4:
				if _, err := s.Next(lane, Limit{}, key, stamp); err != nil { // sealed, and not delivered for now
					t.Fatal(err)
				}
			case 5:
				if rnd.IntN(10) == 0 {
					if err := s.Renew(); err != nil {
						t.Fatal(err)
					}
				}
			default:
				var items []Item
				for range 1 + rnd.IntN(8) {
					items = append(items, item(lane, appended[lane]))
					appended[lane]++
				}
				add(t, s, items...)
			}
		}
		for again := true; again; {
			again = false
			for lane := range batch.Lane(batch.Lanes) {
				again = deliver(lane) || again
			}
		}
		var all uint64
		for lane, n := range appended {
			got := uint64(0)
			for i := range n {
				switch c := delivered[string(item(batch.Lane(lane), i).Body)]; c {
				case 1:
					got++
				case 0:
				default:
					t.Errorf("seed %d: lane %d record %d was delivered %d times", seed, lane, i, c)
				}
			}
			if got+lost[batch.Lane(lane)] != uint64(n) {
				t.Errorf("seed %d: lane %d: %d appended, %d delivered, %d named as lost", seed, lane, n, got, lost[batch.Lane(lane)])
			}
			all += lost[batch.Lane(lane)]
		}
		if st := s.Stats(); st.Records() != 0 || st.Bytes != 0 || st.Lost != all {
			t.Errorf("seed %d: in the end %+v, lost %d", seed, st, all)
		}
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

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	held := open(t, Config{Dir: filepath.Join(dir, "held")})
	noise := filepath.Join(dir, "noise")
	if err := os.MkdirAll(noise, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(noise, FileName), bytes.Repeat([]byte("noise"), 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ dir, says string }{
		"open already":         {filepath.Join(dir, "held"), "another process has it open"},
		"no spool":             {noise, "invalid database"},
		"the folder is a file": {filepath.Join(noise, FileName), "not a directory"},
	} {
		if _, err := Open(Config{Dir: c.dir}); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want it to say %q", name, err, c.says)
		}
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	if err := held.Append(item(0, 1)); err == nil {
		t.Error("a closed spool took a record")
	}
	unbound, err := Open(Config{Dir: filepath.Join(dir, "unbound")})
	if err != nil {
		t.Fatal(err)
	}
	defer unbound.Close()
	add(t, unbound, item(batch.Urgent, 1))
	if _, err := unbound.Next(batch.Urgent, Limit{}, key, stamp); err == nil || !strings.Contains(err.Error(), "no sensor") {
		t.Errorf("sealed for nobody: %v", err)
	}
}

// TestFullDisk fills a disk of 8 MiB, by the spool and by others, and holds that nothing is half written and that the
// spool goes on once there is space.
func TestFullDisk(t *testing.T) {
	need.Superuser(t)
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=8m"); err != nil {
		t.Fatalf("mount a tmpfs: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	s := open(t, Config{Dir: dir})
	filler := filepath.Join(dir, "others")
	if err := os.WriteFile(filler, make([]byte, 4<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	body := []byte(`"` + strings.Repeat("x", 20000) + `"`)
	big := func(n int) Item {
		return Item{Kind: "piece", Lane: batch.Routine, At: start, Body: fmt.Appendf(nil, `{"n":%d,"b":%s}`, n, body)}
	}
	n := 0
	fill := func() {
		t.Helper()
		for ; ; n++ {
			err := s.Append(big(n))
			if err == nil {
				continue
			}
			if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "the disk of "+filepath.Join(dir, FileName)+" is full") {
				t.Fatalf("record %d: got %v, want an error that names the full disk", n, err)
			}
			return
		}
	}
	fill()
	filled := n
	for range 5 { // it stays an error, and writes nothing
		if err := s.Append(big(n)); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("on the full disk: %v", err)
		}
	}
	if got := s.Stats().Waiting[batch.Routine]; got != uint64(n) || n < 10 {
		t.Fatalf("%d records wait, %d were taken", got, n)
	}
	s.Close()
	s = open(t, Config{Dir: dir}) // as after a crash with the disk still full
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	fill()
	if n <= filled {
		t.Fatalf("with space again no record was taken after the first %d", filled)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT, "size=32m"); err != nil {
		t.Fatal(err)
	}
	s = open(t, Config{Dir: dir})
	var got int
	for {
		e, records := next(t, s, batch.Routine, Limit{})
		if e == nil {
			break
		}
		for _, r := range records {
			if want := big(got).Body; !bytes.Equal(r.Body, want) {
				t.Fatalf("record %d is not what was written", got)
			}
			got++
		}
		ack(t, s, e)
	}
	if got != n {
		t.Errorf("%d records came back, %d were taken", got, n)
	}
	s.Close()
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	for _, sub := range []string{"", "new"} {
		if _, err := Open(Config{Dir: filepath.Join(dir, sub)}); err == nil || !strings.Contains(err.Error(), "read-only file system") || !strings.Contains(err.Error(), dir) {
			t.Errorf("in a folder that cannot be written: got %v, want it to name the folder and the reason", err)
		}
	}
}

// BenchmarkAppend measures durable appends, by one caller and by many that share commits.
func BenchmarkAppend(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			s := open(b, Config{Dir: b.TempDir()})
			b.SetParallelism(callers)
			if callers == 1 {
				for b.Loop() {
					add(b, s, item(batch.Routine, 1))
				}
				return
			}
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := s.Append(item(batch.Routine, 1)); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
