package ledger

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

var fakes = []*protocols.Protocol{dnp3Fake, iec104Fake, modbusFake}

// selected is a select and an execute of command 7, each confirmed.
func selected(at float64) []step {
	return []step{asdu(at, 6, 1, 1), asdu(at+1, 7, 1, 1), asdu(at+2, 6, 0, 1), asdu(at+3, 7, 0, 1), later(at+30, iec104Fake)}
}

// restarted shows steps to a ledger, keeps what it has learned in a store, and returns one that has it from there.
func restarted(t *testing.T, steps []step) func(*Ledger) {
	t.Helper()
	store, err := OpenStore(filepath.Join(t.TempDir(), FileName), 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if m, err := store.Recalled(); m != nil || err != nil {
		t.Fatalf("a new store has learned %v, %v", m, err)
	}
	l := New(Config{Tell: func(*rules.Event) {}}, func(*Record) {})
	if l.Memory() != nil {
		t.Error("a new ledger has learned something")
	}
	for i := range steps {
		l.Take(steps[i].event(uint64(i + 1)))
	}
	if err := store.Remember(l.Memory()); err != nil {
		t.Fatal(err)
	}
	if l.Memory() != nil {
		t.Error("the same is to be saved twice")
	}
	if err := store.Remember(nil); err != nil {
		t.Fatal(err)
	}
	m, err := store.Recalled()
	if err != nil || m == nil {
		t.Fatal(m, err)
	}
	return func(l *Ledger) { l.Recall(m, fakes) }
}

// TestRestart holds that a ledger knows after a restart what it knew before, save what may have changed meanwhile.
func TestRestart(t *testing.T) {
	silent := []step{asdu(990, 6, 0, 1), asdu(991, 7, 0, 1), later(1010, iec104Fake)}
	for _, c := range []struct {
		name          string
		before, after []step
		want          string
	}{
		{"an effect is seen at once", repeatedly(8), switched(10), "confirmed seen"},
		{"and missed", repeatedly(8), append(switched(10), silent...), "confirmed seen, confirmed missing"},
		{"what it was before the restart is not known any more", repeatedly(8), []step{position(900, 0), asdu(990, 6, 0, 1), asdu(991, 7, 0, 1), later(1010, iec104Fake)}, "confirmed unknown"},
		{"the first value after the restart is no change", repeatedly(8), []step{position(900, 0)}, ""},
		{"a change after that is", repeatedly(8), []step{position(900, 0), position(1000, 1)}, "70 alone"},
		{"half learned", repeatedly(1), switched(10), "confirmed unknown"},
		{"half learned and then twice", repeatedly(1), append(switched(10), switched(11)...), "confirmed unknown, confirmed seen"},
		{"how the station takes a command", selected(0), []step{asdu(900, 6, 0, 1), asdu(901, 7, 0, 1).no(1)}, "no_select unknown"},
	} {
		if got := told(restarted(t, c.before), c.after); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

// TestRestartOfFigures holds that what is known of a client goes on after a restart.
func TestRestartOfFigures(t *testing.T) {
	var last rules.Act
	l := New(Config{Tell: func(e *rules.Event) { last = *e.Act }}, func(*Record) {})
	restarted(t, append(repeatedly(8), asdu(900, 6, 0, 0), asdu(901, 7, 0, 0).no(1)))(l)
	steps := switched(20)
	for i := range steps {
		l.Take(steps[i].event(uint64(i + 1)))
	}
	if got, want := fmt.Sprint(last.Actions, last.NotDone, last.NewPoints), "10 1 1"; got != want {
		t.Errorf("actions, not done, new points: %s, want %s", got, want)
	}
	last = rules.Act{}
	one := append([]step(nil), write(2000, false, 1, 9, 1), write(2001, true, 1, 9, 1), later(2020, modbusFake))
	for i := range one {
		l.Take(one[i].event(uint64(i + 1)))
	}
	if last.NewPoints != 2 {
		t.Errorf("a point that it had not commanded: %+v", last)
	}
}

// TestMemoryIsBounded holds that what is kept is what is recalled, and no more than its bounds, however much was learned.
func TestMemoryIsBounded(t *testing.T) {
	l := New(Config{Tell: func(*rules.Event) {}}, func(*Record) {})
	for i := range uint32(keptTakes + 100) {
		s := asdu(float64(i), 7, 1, 1)
		s.points[0].Addr = i
		l.Take(s.event(uint64(i + 1)))
	}
	m := l.Memory()
	if len(m.Takes) != keptTakes {
		t.Errorf("%d ways are kept", len(m.Takes))
	}
	b, err := m.encode()
	if err != nil {
		t.Fatal(err)
	}
	var again Memory
	if err := again.decode(b); err != nil || !reflect.DeepEqual(*m, again) {
		t.Errorf("what is read is not what was written: %v", err)
	}
	t.Logf("%d bytes for %d points", len(b), len(m.Takes))
}

// TestBrokenMemory holds that a memory that cannot be read is said to be so, and that the records stay readable.
func TestBrokenMemory(t *testing.T) {
	path := filepath.Join(t.TempDir(), FileName)
	store, err := OpenStore(path, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Keep(&Record{ID: "one"}); err != nil {
		t.Fatal(err)
	}
	for _, b := range []string{"", "no", "\x1f\x8b\x08"} {
		if err := store.update(func(_ *bolt.Tx, _, meta *bolt.Bucket) error { return meta.Put(keyMemory, []byte(b)) }); err != nil {
			t.Fatal(err)
		}
		if m, err := store.Recalled(); m != nil || !errors.Is(err, ErrForgotten) {
			t.Errorf("%q: %v, %v", b, m, err)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	n := 0
	if err := Read(path, func(_ uint64, text []byte) error {
		if n++; !strings.Contains(string(text), "one") {
			t.Errorf("%s", text)
		}
		return nil
	}); err != nil || n != 1 {
		t.Errorf("%d records, %v", n, err)
	}
}
