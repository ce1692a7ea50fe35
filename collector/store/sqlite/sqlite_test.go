package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/book"
	"github.com/roje-ot/roje/collector/store/storetest"
)

func open(t *testing.T) store.Store {
	db, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// north is the operator's file.
func north(t *testing.T, db *DB) *file {
	t.Helper()
	f, err := db.open("north")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestStore(t *testing.T) { storetest.Run(t, open) }

func TestOpenAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "here")
	sc := storetest.For(t, "north")
	for i := range 3 {
		db, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		users, err := db.ListUsers(t.Context(), sc)
		if err != nil || len(users) != min(i, 1) {
			t.Errorf("opened %d times before: %d users, %v", i, len(users), err)
		}
		if err := db.PutUser(t.Context(), sc, store.User{Name: "ana", Role: store.Admin}, "setup", storetest.Start); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if err := db.PutUser(t.Context(), sc, store.User{Name: "eve"}, "setup", storetest.Start); err == nil {
			t.Error("a closed store took a change")
		}
	}
	for name, want := range map[string]os.FileMode{FileName: 0o600, Folder: 0o700, Folder + "/north.db": 0o600} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: mode %v, %v; want %v", name, info.Mode(), err, want)
		}
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	dir := t.TempDir()
	db, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	north(t, db)
	db.Close()
	for _, name := range []string{Folder + "/north.db", FileName} {
		raw, err := sql.Open("sqlite", dsn(filepath.Join(dir, name), ""))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := raw.Exec("PRAGMA user_version = 999"); err != nil {
			t.Fatal(err)
		}
		raw.Close()
		if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "newer roje-collector") || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v, want an error that names it and asks for a newer roje-collector", name, err)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	noise := filepath.Join(dir, "noise")
	if err := os.MkdirAll(noise, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(noise, FileName), []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ dir, says string }{
		"the folder is a file":       {file, "not a directory"},
		"the file is not a database": {noise, "file is not a database"},
	} {
		if _, err := Open(c.dir); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want it to say %q", name, err, c.says)
		}
	}
}

func TestBackup(t *testing.T) {
	db := open(t)
	defer db.Close()
	sc := storetest.For(t, "north")
	put := func(name string) {
		t.Helper()
		if err := db.PutUser(t.Context(), sc, store.User{Name: name, Role: store.Viewer}, "ana", storetest.Start); err != nil {
			t.Fatal(err)
		}
	}
	put("before")
	copyDir := t.TempDir()
	if err := db.Backup(t.Context(), filepath.Join(copyDir, FileName)); err != nil {
		t.Fatal(err)
	}
	put("after")
	if err := db.Backup(t.Context(), filepath.Join(copyDir, FileName)); !errors.Is(err, os.ErrExist) {
		t.Errorf("over a file that exists: got %v, want %v", err, os.ErrExist)
	}
	restored, err := Open(copyDir)
	if err != nil {
		t.Fatal(err)
	}
	defer restored.Close()
	users, err := restored.ListUsers(t.Context(), sc)
	if err != nil || len(users) != 1 || users[0].Name != "before" {
		t.Errorf("restored %+v, %v; want the one user from before the backup", users, err)
	}
	if err := db.Ready(t.Context()); err != nil {
		t.Errorf("not ready after a backup: %v", err)
	}
}

// TestChangesAreIsolated holds that of the changes that share a commit one that fails takes nothing of the others.
func TestChangesAreIsolated(t *testing.T) {
	db, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	sc := storetest.For(t, "north")
	add := func(name string, end error) func(*tx) error {
		return func(t *tx) error {
			if err := book.Act(t, sc, storetest.Start, name, "test", name, ""); err != nil {
				return err
			}
			return end
		}
	}
	broken := errors.New("broken")
	hold, entered := make(chan struct{}), make(chan struct{})
	errs := make(chan error, 4)
	go func() { errs <- db.change(sc, func(*tx) error { close(entered); <-hold; return nil }) }()
	<-entered // the writer is busy: the next three wait, and two of them at least share a commit
	for _, c := range []struct {
		name string
		end  error
	}{{"one", nil}, {"two", broken}, {"three", nil}} {
		go func() { errs <- db.change(sc, add(c.name, c.end)) }()
	}
	close(hold)
	failed := 0
	for range 4 {
		if err := <-errs; errors.Is(err, broken) {
			failed++
		} else if err != nil {
			t.Error(err)
		}
	}
	acts, err := db.Acts(context.Background(), sc, "", 10)
	if err != nil || failed != 1 || len(acts) != 2 || acts[0].Who == "two" || acts[1].Who == "two" {
		t.Errorf("%d failed, acts %+v, %v; want one failed and the acts of the two others", failed, acts, err)
	}
}

// TestEveryKeyBeginsWithTheOperator reads the schema. Sessions are the named exception.
func TestEveryKeyBeginsWithTheOperator(t *testing.T) {
	tables := 0
	for _, m := range migrations {
		for _, table := range regexp.MustCompile(`(?s)CREATE TABLE (\w+) \((.*?)\n\)`).FindAllStringSubmatch(m, -1) {
			tables++
			if table[1] != "sessions" && (!strings.Contains(table[2], "PRIMARY KEY (operator, ") || !strings.HasPrefix(strings.TrimSpace(table[2]), "operator TEXT NOT NULL")) {
				t.Errorf("table %s: its key does not begin with the operator", table[1])
			}
		}
		for _, index := range regexp.MustCompile(`CREATE (?:UNIQUE )?INDEX (\w+) ON (\w+) \((\w+)`).FindAllStringSubmatch(m, -1) {
			if index[2] != "sessions" && index[3] != "operator" {
				t.Errorf("index %s begins with %s, not with the operator", index[1], index[3])
			}
		}
	}
	if tables < 10 {
		t.Errorf("only %d tables were read", tables)
	}
}

// TestTwoProcesses holds that another process, such as `roje-collector token`, can use the folder while one serves.
func TestTwoProcesses(t *testing.T) {
	dir := t.TempDir()
	sc := storetest.For(t, "north")
	var dbs [2]*DB
	for i := range dbs {
		db, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		dbs[i] = db
	}
	const each = 50
	var wg sync.WaitGroup
	for i, db := range dbs {
		wg.Go(func() {
			for n := range each {
				k := store.Token{ID: fmt.Sprintf("t-%d-%d", i, n), Who: "ana", Created: storetest.Start, Expires: storetest.Start}
				if err := db.CreateToken(t.Context(), sc, k); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for i, db := range dbs {
		acts, err := db.Acts(t.Context(), sc, "", 1000)
		if err != nil || len(acts) != 2*each {
			t.Errorf("process %d sees %d acts, %v; want %d", i, len(acts), err, 2*each)
		}
	}
}
