package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/roje-ot/roje/collector/store/book"
	"github.com/roje-ot/roje/collector/store/sqlite"
	"github.com/roje-ot/roje/collector/store/storetest"
	"github.com/roje-ot/roje/testdata/need"
)

// content is every row of the store in a folder.
func content(t *testing.T, dir string) (rows []string) {
	t.Helper()
	db, err := sqlite.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Dump(t.Context(), func(table *book.Table, row []any) error {
		rows = append(rows, fmt.Sprintf("%s %#v", table.Name, row))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	slices.Sort(rows)
	return rows
}

// TestMigrate takes a folder's store to PostgreSQL and back by the command, and compares every row.
func TestMigrate(t *testing.T) {
	c := need.Postgres(t)
	url, full := c.URL("roje", c.Database()), t.TempDir()
	db, err := sqlite.Open(full)
	if err != nil {
		t.Fatal(err)
	}
	storetest.Fill(t, db)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	back := filepath.Join(t.TempDir(), "back")
	for _, step := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"migrate", "--to", url}, 2, `"from" not set`},
		{[]string{"migrate", "--from", "/nonexistent", "--to", url}, 1, "no collector's store"},
		{[]string{"migrate", "--from", full, "--to", url}, 0, "alerts     6"},
		{[]string{"migrate", "--from", full, "--to", url}, 1, "not empty"},
		{[]string{"migrate", "--from", url, "--to", full}, 1, "not empty"},
		{[]string{"migrate", "--from", url, "--to", back}, 0, "sessions   2"},
	} {
		code, stdout, stderr := command(t.Context(), "", step.args...)
		if code != step.code || !strings.Contains(stdout+stderr, step.want) {
			t.Errorf("%q: exit %d, %q %q; want %d with %q", step.args, code, stdout, stderr, step.code, step.want)
		}
	}
	if got, want := content(t, back), content(t, full); !reflect.DeepEqual(got, want) || len(want) == 0 {
		t.Errorf("there and back:\n got %s\nwant %s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestServeFromPostgres serves from a database that the flag names once, with the commands beside it; a backup of it is
// restored to a folder that needs no database.
func TestServeFromPostgres(t *testing.T) {
	c := need.Postgres(t)
	url, data := c.URL("roje", c.Database()), filepath.Join(t.TempDir(), "data")
	serve := func(args ...string) (end func()) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		r, w := io.Pipe()
		ended := make(chan int, 1)
		var errs bytes.Buffer
		go func() {
			ended <- run(ctx, append([]string{"serve", "--data", data, "--console", "127.0.0.1:0", "--ingest", "127.0.0.1:0"}, args...), strings.NewReader(""), w, &errs)
			w.Close()
		}()
		lines := bufio.NewScanner(r)
		for started := false; !started; started = strings.HasPrefix(lines.Text(), "ingest") {
			if !lines.Scan() {
				t.Fatalf("ended with %d: %s", <-ended, errs.String())
			}
		}
		go io.Copy(io.Discard, r)
		return func() {
			cancel()
			if code := <-ended; code != 0 {
				t.Errorf("exit %d: %s", code, errs.String())
			}
		}
	}
	expect := func(code int, want string, args ...string) {
		t.Helper()
		got, stdout, stderr := command(t.Context(), "", args...)
		if got != code || !strings.Contains(stdout+stderr, want) {
			t.Errorf("%q: exit %d, %q %q; want %d with %q", args, got, stdout, stderr, code, want)
		}
	}
	end := serve("--store", url)
	expect(0, "-", "user", "add", "ann", "--data", data)
	expect(0, "", "token", "--data", data)
	expect(1, "not found", "hold", "alert-1", "--data", data)
	expect(0, "", "backup", "--data", data, data+"-copy")
	end()
	end = serve() // it remembers where
	expect(0, "ann", "user", "list", "--data", data)
	end()
	c.Kill()
	expect(1, "connect to PostgreSQL", "user", "list", "--data", data)
	expect(0, "", "restore", "--data", data+"-2", data+"-copy")
	expect(0, "ann", "user", "list", "--data", data+"-2")
	expect(2, "", "serve", "--stor", "x")
	expect(1, "is not postgres://", "serve", "--data", data, "--store", "mysql://x")
}
