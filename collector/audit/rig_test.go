package audit

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/store"
)

var start = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

// memory is the part of a store that keeps the log of one operator.
type memory struct {
	mu     sync.Mutex
	leaves [][]byte
	act    int64
	roots  [][]byte
}

func (m *memory) AppendLeaves(_ context.Context, _ store.Scope, write func(n, act int64) ([][]byte, int64, error)) error {
	m.mu.Lock()
	n, act := int64(len(m.leaves)), m.act
	m.mu.Unlock()
	leaves, act, err := write(n, act)
	if err != nil || len(leaves) == 0 {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.leaves, m.act = append(m.leaves, leaves...), act
	return nil
}

func (m *memory) AppendCheckpoint(_ context.Context, _ store.Scope, note []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.roots = append(m.roots, note)
	return nil
}

func (m *memory) Leaves(_ context.Context, _ store.Scope, n int64, limit int) ([][]byte, error) {
	return m.part(&m.leaves, n, limit), nil
}

func (m *memory) Checkpoints(_ context.Context, _ store.Scope, n int64, limit int) ([][]byte, error) {
	return m.part(&m.roots, n, limit), nil
}

func (m *memory) part(of *[][]byte, n int64, limit int) [][]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	from := min(int(n), len(*of))
	return slices.Clone((*of)[from:min(from+limit, len(*of))])
}

func scope(t testing.TB) store.Scope {
	t.Helper()
	s, err := store.For("north")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// stores are the stores of the logs that openLog has opened, by folder.
var stores sync.Map

func storeOf(dir string) *memory {
	m, _ := stores.LoadOrStore(dir, &memory{})
	return m.(*memory)
}

// openLog opens the log in dir, whose store is the same each time.
func openLog(t testing.TB, dir string) *Log {
	t.Helper()
	l, err := Open(storeOf(dir), scope(t), dir, start)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func entry(n int) Entry {
	return Entry{At: start.Add(time.Duration(n) * time.Second), Operator: "north", Who: "ann", What: "status", Object: fmt.Sprintf("alert-%d", n), Detail: "ack", Act: int64(n) + 1}
}

func add(t testing.TB, l *Log, from, n int) {
	t.Helper()
	for i := from; i < from+n; {
		step := min(1+i%4, from+n-i) // some alone, some together
		var some []Entry
		for j := range step {
			some = append(some, entry(i+j))
		}
		if err := l.Append(some...); err != nil {
			t.Fatal(err)
		}
		i += step
	}
}

func sign(t testing.TB, l *Log, at time.Time) Checkpoint {
	t.Helper()
	c, _, err := l.Sign(at)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// made is a folder with a log of 23 entries, signed at 7, at 16 and at the end.
func made(t testing.TB) (dir string, signed []Checkpoint) {
	dir = filepath.Join(t.TempDir(), FolderName)
	l := openLog(t, dir)
	for i, n := range []int{6, 9, 7} { // and the entry with the key
		size, _ := l.Size()
		add(t, l, int(size), n)
		signed = append(signed, sign(t, l, start.Add(time.Duration(i)*time.Minute)))
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, signed
}

func verify(t testing.TB, dir string, want Expect) Report {
	t.Helper()
	r, err := VerifyFolder(dir, want, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func export(t testing.TB, dir string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Export(dir, &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestVerifies holds that a log that nobody touched is found right, in its folder and exported, after a new start too.
