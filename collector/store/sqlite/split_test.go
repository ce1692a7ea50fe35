package sqlite

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/book"
	"github.com/roje-ot/roje/collector/store/storetest"
)

// content is every row of a store, as text.
func content(t *testing.T, db *DB) (all []string) {
	t.Helper()
	if err := db.Dump(t.Context(), func(table *book.Table, row []any) error {
		all = append(all, fmt.Sprintf("%s %#v", table.Name, row))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

// mixedUp makes a folder as it was before operators had files of their own, out of a filled one.
func mixedUp(t *testing.T) (dir string, rows []string) {
	from, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	storetest.Fill(t, from)
	rows = content(t, from)
	dir = t.TempDir()
	path := filepath.Join(dir, FileName)
	if err := blank(path); err != nil {
		t.Fatal(err)
	}
	raw, err := sql.Open("sqlite", dsn(path, ""))
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if err := from.Dump(t.Context(), func(table *book.Table, row []any) error {
		_, err := raw.Exec(table.Write(), row...)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return dir, rows
}

// TestSplit holds that a folder in which all operators were in one file becomes one with a file for each, with every row,
// whoever opens it first and wherever that was interrupted; and that what was moved is in use as before.
func TestSplit(t *testing.T) {
	for name, before := range map[string]func(t *testing.T, dir string){
		"at once": func(*testing.T, string) {},
		"a copy was begun": func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, Folder, "south.db.new"), []byte("half"), 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"a copy was made, and its rows are still there": func(t *testing.T, dir string) {
			raw, err := sql.Open("sqlite", dsn(filepath.Join(dir, FileName), ""))
			if err != nil {
				t.Fatal(err)
			}
			defer raw.Close()
			raw.SetMaxOpenConns(1)
			if err := copyPart(raw, "south", filepath.Join(dir, Folder, "south.db")); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, want := mixedUp(t)
			if err := os.MkdirAll(filepath.Join(dir, Folder), 0o700); err != nil {
				t.Fatal(err)
			}
			before(t, dir)
			var dbs [3]*DB
			var wg sync.WaitGroup
			for i := range dbs { // as several commands may
				wg.Go(func() {
					db, err := Open(dir)
					if err != nil {
						t.Error(err)
						return
					}
					dbs[i] = db
				})
			}
			wg.Wait()
			if t.Failed() {
				return
			}
			for _, db := range dbs {
				defer db.Close()
				if got := content(t, db); !reflect.DeepEqual(got, want) {
					t.Errorf("split:\n got %s\nwant %s", strings.Join(got, "\n"), strings.Join(want, "\n"))
				}
			}
			apart(t, dbs[0], "north", "south")
			storetest.GoOn(t, dbs[1])
		})
	}
}

// apart holds that each file has rows of its operator only, and the common one of none.
func apart(t *testing.T, db *DB, want ...string) {
	t.Helper()
	operators, files := db.all()
	if !slices.Equal(operators[1:], want) {
		t.Fatalf("operators %q, want %q", operators[1:], want)
	}
	for i, f := range files {
		for k := range book.Tables {
			table := &book.Tables[k]
			if !table.Scoped() {
				continue
			}
			var n int
			if err := f.read.QueryRow("SELECT count(*) FROM "+table.Name+" WHERE operator <> ?", operators[i]).Scan(&n); err != nil || n > 0 {
				t.Errorf("file of %q, table %s: %d rows of others, %v", operators[i], table.Name, n, err)
			}
		}
	}
}

// TestFilesApart holds that each operator's data is in a file of its own, that a look at one that has none makes none, and
// that one without its file has lost what is its, and nobody else's.
func TestFilesApart(t *testing.T) {
	dir := t.TempDir()
	db, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	storetest.Fill(t, db)
	if users, err := db.ListUsers(t.Context(), storetest.For(t, "nobody")); err != nil || len(users) > 0 {
		t.Errorf("of an operator that is not there: %+v, %v", users, err)
	}
	apart(t, db, "north", "south")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, Folder, "south.db")); err != nil {
		t.Fatal(err)
	}
	if db, err = Open(dir); err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for operator, want := range map[string]int{"north": 2, "south": 0} {
		if users, err := db.ListUsers(t.Context(), storetest.For(t, operator)); err != nil || len(users) != want {
			t.Errorf("%s has %d users, %v; want %d", operator, len(users), err, want)
		}
	}
	if c, err := db.CountAlerts(t.Context(), storetest.For(t, "north"), store.Filter{}); err != nil || c.Total != 3 {
		t.Errorf("%d alerts, %v; want 3", c.Total, err)
	}
}
