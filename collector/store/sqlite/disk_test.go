package sqlite

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/book"
	"github.com/roje-ot/roje/collector/store/storetest"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/testdata/need"
)

// TestFullDisk fills a disk of 6 MiB under the store, and holds that what was not acknowledged is not there, that what was
// is, and that the store goes on once there is space.
func TestFullDisk(t *testing.T) {
	need.Superuser(t)
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=6m"); err != nil {
		t.Fatalf("mount a tmpfs: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	db, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { db.Close() }()
	filler := filepath.Join(dir, "others")
	if err := os.WriteFile(filler, make([]byte, 2<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	sc := storetest.For(t, "north")
	next, prev := uint64(1), batch.Hash{}
	fill := func() error {
		for {
			b := storetest.PlainBatch("s1", next, 200, prev)
			got, err := db.Ingest(t.Context(), sc, "s1", []store.Batch{b}, storetest.Start)
			if err != nil {
				return err
			}
			if got.New != 200 || got.Ack[batch.Routine] != b.To {
				t.Fatalf("receipt %+v for records %d to %d", got, b.From, b.To)
			}
			next, prev = b.To+1, b.Hash
		}
	}
	count := func() uint64 {
		t.Helper()
		c, err := db.CountAlerts(t.Context(), sc, store.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		return uint64(c.Total)
	}
	for range 3 {
		if err := fill(); !errors.Is(err, store.ErrFull) {
			t.Fatalf("on the full disk: got %v, want %v", err, store.ErrFull)
		}
	}
	filled := next
	if n := count(); n != next-1 || n == 0 {
		t.Fatalf("%d alerts are stored, %d were acknowledged", n, next-1)
	}
	if err := db.Ready(t.Context()); err != nil {
		t.Logf("ready says %v", err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if err := fill(); !errors.Is(err, store.ErrFull) {
		t.Fatalf("on the disk that is full again: got %v, want %v", err, store.ErrFull)
	}
	if next <= filled || count() != next-1 {
		t.Fatalf("%d alerts are stored, %d were acknowledged, %d of them before there was space again", count(), next-1, filled-1)
	}
	if err := db.Close(); err != nil {
		t.Logf("close on a full disk: %v", err)
	}
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT, "size=32m"); err != nil {
		t.Fatal(err)
	}
	if db, err = Open(dir); err != nil {
		t.Fatal(err)
	}
	if n := count(); n != next-1 {
		t.Errorf("opened again, %d alerts are stored, %d were acknowledged", n, next-1)
	}
	var verdict string
	if err := north(t, db).read.QueryRow("PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("integrity: %s, %v", verdict, err)
	}
}

// TestFolderThatCannotBeWritten holds that the error names the folder and the reason.
func TestFolderThatCannotBeWritten(t *testing.T) {
	need.Superuser(t)
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=16m"); err != nil {
		t.Fatalf("mount a tmpfs: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	db, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.PutUser(t.Context(), storetest.For(t, "north"), store.User{Name: "ana"}, "setup", storetest.Start); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil { // busy, if Close left a file open
		t.Fatal(err)
	}
	for _, sub := range []string{"", "new"} {
		if _, err := Open(filepath.Join(dir, sub)); err == nil || !strings.Contains(err.Error(), "read-only file system") || !strings.Contains(err.Error(), dir) {
			t.Errorf("in a folder that cannot be written: got %v, want it to name the folder and the reason", err)
		}
	}
}

// TestPagesUseAnIndex holds that no statement of a page sorts or reads all of a table.
func TestPagesUseAnIndex(t *testing.T) {
	db, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	storetest.Plans(t, db.Book, func(name string, s book.Statement) {
		steps, err := book.List(t.Context(), db.Reader(storetest.For(t, "north")), "EXPLAIN QUERY PLAN "+s.Query, s.Args,
			func(scan func(into ...any) error) (step string, err error) {
				var skip int
				return step, scan(&skip, &skip, &skip, &step)
			})
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range steps {
			if strings.HasPrefix(step, "SCAN") || strings.Contains(step, "TEMP B-TREE") || strings.HasPrefix(step, "SEARCH") && !strings.Contains(step, "INDEX") && !strings.Contains(step, "PRIMARY KEY") {
				t.Errorf("%s: %s\n%s", name, s.Query, strings.Join(steps, "\n"))
				break
			}
		}
	})
}
