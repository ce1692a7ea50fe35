package ledger

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

var testKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))

// sealedStore makes a store of some days, 50 records a day, and returns its path.
func sealedStore(t *testing.T, days int, budget int64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), FileName)
	today := time.Date(2026, 1, 1, 8, 0, 0, 0, time.UTC)
	s := &Store{path: path, budget: budget, key: testKey, now: func() time.Time { return today }}
	for day := range days {
		var group [][]byte
		for i := range 50 {
			group = append(group, mustJSON(t, recordOf(50*day+i)))
		}
		for _, texts := range [][][]byte{group[:10], group[10:]} {
			if err := s.commit(texts); err != nil {
				t.Fatal(err)
			}
		}
		today = today.Add(24 * time.Hour)
	}
	return path
}

// TestSeals holds that the head is sealed once a day, and once more at the end.
func TestSeals(t *testing.T) {
	path := sealedStore(t, 3, Budget)
	seals, err := Seals(path)
	if err != nil || len(seals) != 3 {
		t.Fatalf("%d seals of three days, %v", len(seals), err)
	}
	for i, s := range seals {
		if s.Number != uint64(50*i+10) || s.At.Day() != i+1 || s.Check() != nil {
			t.Errorf("seal %d: record %d on %v, %v", i, s.Number, s.At, s.Check())
		}
	}
	v, err := Verify(path, []string{seals[0].Fingerprint()})
	if err != nil || v.Records != 150 || v.Seals != 3 || v.Newest.Number != 110 || v.Open != 40 {
		t.Errorf("%+v, %v", v, err)
	}
	for range 2 { // as somebody starts and ends the sensor
		s, err := OpenStore(path, 0, testKey)
		if err == nil {
			err = s.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		if v, err := Verify(path, nil); err != nil || v.Open != 0 {
			t.Errorf("after the end: %+v, %v", v, err)
		}
	}
	if _, err := Verify(path, []string{strings.Repeat("0", 64)}); !errors.Is(err, ErrChain) {
		t.Errorf("another signer: %v", err)
	}
	if v, err := Verify(sealedStore(t, 300, 1<<20), nil); err != nil || v.First == 1 || v.Last != 15000 {
		t.Errorf("where the oldest made room: %+v, %v", v, err)
	}
}

// TestVerify holds that whoever changes a sealed ledger is found out.
func TestVerify(t *testing.T) {
	// rewrite makes the store as if there had only been the records of the first days.
	rewrite := func(days int) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			text, err := os.ReadFile(sealedStore(t, days, Budget))
			if err == nil {
				err = os.WriteFile(path, text, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	change := func(do func(tx *bolt.Tx) error) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			db, err := bolt.Open(path, 0o600, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(db.Update(do), db.Close()); err != nil {
				t.Fatal(err)
			}
		}
	}
	// truncate cuts records off the end, and sets the head back as somebody would who knows the store.
	truncate := func(last uint64) func(*testing.T, string) {
		return change(func(tx *bolt.Tx) error {
			records := tx.Bucket(bucketRecords)
			for n := last + 1; records.Get(be(n)) != nil; n++ {
				if err := records.Delete(be(n)); err != nil {
					return err
				}
			}
			return tx.Bucket(bucketMeta).Put(keyHead, append(be(last), records.Get(be(last))[:32]...))
		})
	}
	kept, err := Seals(sealedStore(t, 3, Budget))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		do    func(*testing.T, string)
		seals []Seal // that were kept elsewhere
		want  string // part of the error; "" for none
	}{
		{"nothing", func(*testing.T, string) {}, kept, ""},
		{"a record removed", change(func(tx *bolt.Tx) error { return tx.Bucket(bucketRecords).Delete(numbered(70)) }), nil, "record 71 does not follow"},
		{"a record changed", change(func(tx *bolt.Tx) error {
			r := tx.Bucket(bucketRecords)
			return r.Put(numbered(70), bytes.Replace(r.Get(numbered(70)), []byte("10.0.0.1"), []byte("10.0.0.9"), 1))
		}), nil, "record 70 does not follow"},
		{"cut off behind the last seal", truncate(110), nil, ""}, // nobody has said that there was more
		{"cut off before the last seal", truncate(109), nil, "record 110 was sealed"},
		{"written anew with fewer records", rewrite(2), nil, ""}, // by one who has the key
		{"written anew, and the seals were kept", rewrite(2), kept, "record 110 was sealed"},
		{"the seals removed", change(func(tx *bolt.Tx) error { return tx.DeleteBucket(bucketSeals) }), nil, "nobody has sealed it"},
		{"a seal changed", change(func(tx *bolt.Tx) error {
			b := tx.Bucket(bucketSeals)
			return b.Put(numbered(2), bytes.Replace(b.Get(numbered(2)), []byte(`"number":60`), []byte(`"number":61`), 1))
		}), nil, "not as it was signed"},
	} {
		path := sealedStore(t, 3, Budget)
		c.do(t, path)
		_, err := Verify(path, nil, c.seals...)
		if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, ErrChain) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// TestExport holds that an export stands for itself, and that no line of it can be changed, left out or added.
func TestExport(t *testing.T) {
	for _, budget := range []int64{Budget, 16 << 10} { // with the first record, and without
		var out bytes.Buffer
		if err := Export(sealedStore(t, 3, budget), &out, time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC), testKey); err != nil {
			t.Fatal(err)
		}
		v, err := VerifyExport(bytes.NewReader(out.Bytes()), nil)
		if err != nil || v.Last != 150 || v.Open != 0 || (v.First == 1) != (budget == Budget) {
			t.Fatalf("%+v, %v", v, err)
		}
		lines := strings.SplitAfter(strings.TrimSuffix(out.String(), "\n"), "\n")
		try := func(name string, with ...string) {
			if _, err := VerifyExport(strings.NewReader(strings.Join(with, "")), nil); !errors.Is(err, ErrChain) {
				t.Errorf("%s: %v", name, err)
			}
		}
		for i := range lines {
			try("left out", append(append([]string(nil), lines[:i]...), lines[i+1:]...)...)
			changed := append([]string(nil), lines...)
			changed[i] = strings.Replace(changed[i], "0", "1", 1)
			try("changed", changed...)
		}
		try("ended early", lines[:len(lines)/2]...)
		try("added to", append(append([]string(nil), lines...), "\n", lines[1])...)
		if _, err := VerifyExport(strings.NewReader(""), nil); !errors.Is(err, ErrChain) {
			t.Errorf("empty: %v", err)
		}
	}
	if err := Export(filepath.Join(t.TempDir(), "none"), io.Discard, time.Now(), testKey); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no ledger: %v", err)
	}
}

// TestHandOver holds that each seal is handed over once it is made, again where that failed, and not twice; and that those
// of a file that was put back do not follow what was handed over before.
func TestHandOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), FileName)
	today := time.Date(2026, 1, 1, 8, 0, 0, 0, time.UTC)
	made := 0
	live := func(days, records int) (s *Store) {
		s = &Store{path: path, budget: Budget, key: testKey, now: func() time.Time { return today }}
		s.sealed.Store(true) // as OpenStore
		for range days {
			for range records {
				made++
				if err := s.commit([][]byte{mustJSON(t, recordOf(made))}); err != nil {
					t.Fatal(err)
				}
			}
			today = today.Add(24 * time.Hour)
		}
		return s
	}
	var got []Seal
	hand := func(s *Store, want int) {
		t.Helper()
		before := len(got)
		if err := s.HandOver(func(list []Seal) error { got = append(got, list...); return nil }); err != nil {
			t.Fatal(err)
		}
		if n := len(got) - before; n != want {
			t.Errorf("%d seals are handed over, want %d", n, want)
		}
	}
	s := live(2, 3)
	broken := errors.New("no room")
	if err := s.HandOver(func([]Seal) error { return broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
	hand(s, 2)
	hand(s, 0)
	back, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	hand(live(2, 3), 2) // after a restart
	for i := range got[1:] {
		if err := got[i+1].Follows(&got[i]); err != nil {
			t.Error(err)
		}
	}
	if err := os.WriteFile(path, back, 0o600); err != nil {
		t.Fatal(err)
	}
	hand(live(2, 20), 2)
	if got[5].Number <= got[3].Number {
		t.Fatal("it has not gone on beyond what was there before")
	}
	if err := got[4].Follows(&got[3]); err == nil {
		t.Error("a file that was put back does not show")
	}
	if _, err := Verify(path, nil, got...); !errors.Is(err, ErrChain) {
		t.Errorf("a file that was put back: %v", err)
	}
}
