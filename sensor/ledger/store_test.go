package ledger

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/roje-ot/roje/rules"
)

// recordOf is the i-th of many records: one a minute.
func recordOf(i int) *Record {
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(i) * time.Minute)
	done, value, ms, station := began.Add(20*time.Millisecond), float64(i), 20.0, uint32(5)
	return &Record{ID: fmt.Sprintf("%016x", i), Proto: "iec104", Client: "10.0.0.1:40000", Server: "10.0.0.2:2404", Station: &station, Code: 45, Name: "C_SC_NA_1",
		Point: &rules.Point{Kind: "binary_out", Addr: uint32(i % 50), N: 1, Value: &value}, Value: &value, Model: Direct, Executed: &began, Confirmed: &done,
		Outcome: Outcomes[i%len(Outcomes)], LatencyMS: &ms, Frames: []uint64{uint64(i), uint64(i + 1)}}
}

// keep makes a store of n records, committed as groups of 500, and returns its path.
func keep(t testing.TB, n int, budget int64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), FileName)
	s := &Store{path: path, budget: budget, now: time.Now}
	for first := 0; first < n; first += 500 {
		var group [][]byte
		for i := first; i < min(n, first+500); i++ {
			group = append(group, mustJSON(t, recordOf(i)))
		}
		if err := s.commit(group); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func count(path string, q Query) (n int, err error) {
	err = Search(path, q, func([]byte) error { n++; return nil })
	return n, err
}

func TestStoreSearch(t *testing.T) {
	path := filepath.Join(t.TempDir(), FileName)
	for half := range 2 { // closed and opened again
		s, err := OpenStore(path, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 350 {
			if err := s.Keep(recordOf(350*half + i)); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	day := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		q    Query
		want int
	}{
		{Query{}, 700}, {Query{Outcome: Refused}, 100}, {Query{Point: "7"}, 14}, {Query{Point: "binary_out:7"}, 14}, {Query{Point: "analog_out:7"}, 0},
		{Query{Master: "10.0.0.1"}, 700}, {Query{Master: "10.0.0.9"}, 0}, {Query{Station: "5"}, 700}, {Query{Station: "10.0.0.2:2404"}, 700}, {Query{Proto: "dnp3"}, 0},
		{Query{Since: day.Add(time.Hour), Until: day.Add(2 * time.Hour)}, 60},
		{Query{Since: day.Add(time.Hour), Until: day.Add(2 * time.Hour), Point: "7", Outcome: Outcomes[107%7]}, 1},
	} {
		if err := c.q.Check(); err != nil {
			t.Errorf("%+v: %v", c.q, err)
		}
		if n, err := count(path, c.q); n != c.want || err != nil {
			t.Errorf("%+v: %d records, %v; want %d", c.q, n, err, c.want)
		}
	}
	for _, q := range []Query{{Outcome: "fine"}, {Point: "breaker"}} {
		if q.Check() == nil {
			t.Errorf("%+v is taken", q)
		}
	}
}

// TestStoreShowsTampering holds that a record that was removed or changed shows, wherever it was.
func TestStoreShowsTampering(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(records, meta *bolt.Bucket) error
		want bool
	}{
		{"nothing", func(*bolt.Bucket, *bolt.Bucket) error { return nil }, true},
		{"the first removed", func(r, _ *bolt.Bucket) error { return r.Delete(numbered(1)) }, false},
		{"one in the middle removed", func(r, _ *bolt.Bucket) error { return r.Delete(numbered(50)) }, false},
		{"the last removed", func(r, _ *bolt.Bucket) error { return r.Delete(numbered(100)) }, false},
		{"all removed", func(r, _ *bolt.Bucket) error {
			for i := range uint64(100) {
				if err := r.Delete(numbered(i + 1)); err != nil {
					return err
				}
			}
			return nil
		}, false},
		{"one changed", func(r, _ *bolt.Bucket) error {
			return r.Put(numbered(50), bytes.Replace(r.Get(numbered(50)), []byte("10.0.0.1"), []byte("10.0.0.9"), 1))
		}, false},
	} {
		path := keep(t, 100, Budget)
		db, err := bolt.Open(path, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		err = db.Update(func(tx *bolt.Tx) error { return c.do(tx.Bucket(bucketRecords), tx.Bucket(bucketMeta)) })
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
		if _, err := count(path, Query{}); errors.Is(err, ErrChain) == c.want {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func numbered(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// TestStoreBudget holds that the file stays within its budget, with the newest records, and that the chain holds from
// there.
func TestStoreBudget(t *testing.T) {
	const budget = 4 << 20
	path := keep(t, 30000, budget)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	var oldest, newest uint64
	if err := Read(path, func(n uint64, _ []byte) error {
		if oldest == 0 {
			oldest = n
		}
		newest = n
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	kept := newest - oldest + 1
	if info.Size() > budget || newest != 30000 || oldest == 1 {
		t.Errorf("the file has %d bytes of %d, with records %d to %d", info.Size(), budget, oldest, newest)
	}
	t.Logf("%d bytes hold %d records, %d each: the default budget holds %d, %d a day for a year", info.Size(), kept, info.Size()/int64(kept), Budget/(info.Size()/int64(kept)), Budget/(info.Size()/int64(kept))/365)
}

func mustJSON(t testing.TB, r *Record) []byte {
	t.Helper()
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
