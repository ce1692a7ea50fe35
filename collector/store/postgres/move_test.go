package postgres

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/book"
	"github.com/roje-ot/roje/collector/store/sqlite"
	"github.com/roje-ot/roje/collector/store/storetest"
	"github.com/roje-ot/roje/testdata/need"
)

// content is every row of a store.
func content(t *testing.T, m book.Mover) []string {
	t.Helper()
	var all []string
	if err := m.Dump(t.Context(), func(table *book.Table, row []any) error {
		all = append(all, fmt.Sprintf("%s %#v", table.Name, row))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	slices.Sort(all) // stores may give them operator by operator, or table by table
	return all
}

// TestMove fills a SQLite store with something in every table, moves it to PostgreSQL and back, and by a backup, and
// compares every value of every row; and goes on using what was moved.
func TestMove(t *testing.T) {
	c := need.Postgres(t)
	lite, err := sqlite.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer lite.Close()
	storetest.Fill(t, lite)
	before := content(t, lite)
	for i := range book.Tables {
		if name := book.Tables[i].Name; !slices.ContainsFunc(before, func(row string) bool { return strings.HasPrefix(row, name+" ") }) {
			t.Errorf("no row of %s is among what is moved", name)
		}
	}
	there := open(t, c, c.Database())
	defer there.Close()
	rows, err := book.Move(t.Context(), lite, there)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, of := range rows {
		n += of
	}
	if n != len(before) {
		t.Errorf("%d rows are said to have moved, of %d", n, len(before))
	}
	if got := content(t, there); !reflect.DeepEqual(got, before) {
		t.Errorf("in PostgreSQL:\n got %s\nwant %s", strings.Join(got, "\n"), strings.Join(before, "\n"))
	}
	if _, err := book.Move(t.Context(), lite, there); !errors.Is(err, store.ErrExists) {
		t.Errorf("to a store that is not empty: got %v, want %v", err, store.ErrExists)
	}
	storetest.GoOn(t, there)
	after := content(t, there)

	back, err := sqlite.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer back.Close()
	if _, err := book.Move(t.Context(), there, back); err != nil {
		t.Fatal(err)
	}
	if got := content(t, back); !reflect.DeepEqual(got, after) {
		t.Errorf("back in SQLite:\n got %s\nwant %s", strings.Join(got, "\n"), strings.Join(after, "\n"))
	}
	if _, err := book.Move(t.Context(), there, back); !errors.Is(err, store.ErrExists) {
		t.Errorf("to a file that is not empty: got %v, want %v", err, store.ErrExists)
	}
	storetest.GoOn(t, back)

	dir := t.TempDir()
	path := filepath.Join(dir, sqlite.FileName)
	if err := there.Backup(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	if err := there.Backup(t.Context(), path); !errors.Is(err, os.ErrExist) {
		t.Errorf("a backup over another: got %v, want %v", err, os.ErrExist)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 2 { // the file, and the folder with those of the operators
		t.Errorf("beside the backup: %v, %v", left, err)
	}
	restored, err := sqlite.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer restored.Close()
	if got := content(t, restored); !reflect.DeepEqual(got, after) {
		t.Errorf("the backup differs:\n got %s\nwant %s", strings.Join(got, "\n"), strings.Join(after, "\n"))
	}
}

// TestMoveIsWholeOrNot holds that a move that fails leaves the store empty.
func TestMoveIsWholeOrNot(t *testing.T) {
	c := need.Postgres(t)
	lite, err := sqlite.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer lite.Close()
	pg := open(t, c, c.Database())
	defer pg.Close()
	broken := errors.New("broken")
	for name, to := range map[string]book.Mover{"sqlite": lite, "postgres": pg} {
		err := to.Load(t.Context(), func(put func(*book.Table, []any) error) error {
			for i := range 1500 {
				if err := put(&book.Tables[0], []any{"north", fmt.Sprint("c", i), int64(i)}); err != nil {
					return err
				}
			}
			return broken
		})
		if rows := content(t, to); !errors.Is(err, broken) || len(rows) != 0 {
			t.Errorf("%s: %v, and %d rows are there; want none", name, err, len(rows))
		}
	}
}
