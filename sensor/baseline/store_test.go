package baseline

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/rules"
)

func export(t *testing.T, b *Baseline) string {
	t.Helper()
	var out bytes.Buffer
	if err := b.Export(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestRestart: what is open after a restart is what was closed, also in the middle of learning.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	b := learned(t, dir)
	want := export(t, b)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = openIn(t, dir, rules.Learn)
	if got := export(t, b); got != want {
		t.Errorf("after a restart\n got %s\nwant %s", got, want)
	}
	b.play(30*hour, answer.with(func(s *step) { s.points = values(200, 1, 2) }), poll.with(func(s *step) { s.client = "10.0.0.11" }))
	want = export(t, b)
	if err := b.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := b.db.Close(); err != nil { // as if killed
		t.Fatal(err)
	}
	b = openIn(t, dir, rules.Learn)
	if got := export(t, b); got != want {
		t.Errorf("after a kill\n got %s\nwant %s", got, want)
	}
	if n := len(b.Waiting()); n != 5 { // host, link, station, op, points
		t.Errorf("%d items wait, want 5", n)
	}
	b.Approve("test", time.Unix(0, 31*hour))
	want = export(t, b)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = openIn(t, dir, rules.Enforce)
	defer b.Close()
	if got := export(t, b); got != want {
		t.Errorf("after the approval\n got %s\nwant %s", got, want)
	}
	if e := b.play(32*hour, answer.with(func(s *step) { s.points = values(200, 1, 2) })); e.Facts.Novel != 0 {
		t.Errorf("approved points are new: %s", words(e.Facts.Novel))
	}
}

func TestExportImport(t *testing.T) {
	b := learned(t, "")
	text := export(t, b)
	if text != export(t, learned(t, "")) {
		t.Error("the same traffic gives another export")
	}
	dir := t.TempDir()
	c := openIn(t, dir, rules.Enforce)
	if err := c.Import(strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	if got := export(t, c); got != text {
		t.Errorf("imported\n got %s\nwant %s", got, text)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c = openIn(t, dir, rules.Enforce)
	defer c.Close()
	if e := c.play(26*hour, write); e.Facts.Novel != 0 || !e.Facts.Approved {
		t.Errorf("imported baseline calls learned traffic %s", words(e.Facts.Novel))
	}
	before := export(t, c)
	for _, bad := range []string{"{", `{"kind":"lnk","state":"approved"}`, `{"kind":"host","state":"approved"}`, `{"kind":"host","host":"10.0.0.1","state":"maybe"}`,
		`{"kind":"host","host":"10.0.0.1","state":"approved","colour":1}`, `{"kind":"points","server":"10.0.0.1","station":1,"points":"analog_in","ranges":"9-1","state":"approved"}`,
		`{"kind":"op","client":"10.0.0.1","server":"10.0.0.2","proto":"modbus","from":"nobody","op":"read","state":"approved"}`} {
		err := c.Import(strings.NewReader(text + bad + "\n"))
		if err == nil || !strings.HasPrefix(err.Error(), "line ") {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if export(t, c) != before {
		t.Error("an import that was refused changed something")
	}
}

func TestBrokenFile(t *testing.T) {
	for _, test := range []struct {
		name string
		harm func(path string) error
	}{
		{"text", func(p string) error { return os.WriteFile(p, []byte(strings.Repeat("not a database\n", 1000)), 0o600) }},
		{"short", func(p string) error { return os.Truncate(p, 100) }},
		{"cut", func(p string) error { return os.Truncate(p, 9000) }},
		{"zeros in the middle", func(p string) error {
			f, err := os.OpenFile(p, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.WriteAt(make([]byte, 20000), 8192)
			return err
		}},
	} {
		dir := t.TempDir()
		b := learned(t, dir)
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, fileName)
		if err := test.harm(path); err != nil {
			t.Fatal(err)
		}
		b, warning, err := Open(dir, Options{Phase: rules.Learn})
		if err != nil || warning == nil {
			t.Errorf("%s: error %v, warning %v", test.name, err, warning)
			continue
		}
		if _, err := os.Stat(warning.Kept); err != nil {
			t.Errorf("%s: the broken file is gone: %v", test.name, err)
		}
		if len(b.Items()) != 0 {
			t.Errorf("%s: %d items", test.name, len(b.Items()))
		}
		b.play(0, poll, answer)
		if err := b.Close(); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if b := openIn(t, dir, rules.Learn); len(b.Items()) == 0 {
			t.Errorf("%s: learning anew was not kept", test.name)
		} else {
			b.Close()
		}
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	b := openIn(t, dir, rules.Learn)
	defer b.Close()
	if _, warning, err := Open(dir, Options{}); err == nil || warning != nil || !strings.Contains(err.Error(), "another process uses it") {
		t.Errorf("a second opening: %v, %v", warning, err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open(filepath.Join(file, "state"), Options{}); err == nil {
		t.Error("a state folder below a file was opened")
	}
	if b, warning, err := Open(filepath.Join(dir, "none"), Options{ReadOnly: true}); err != nil || warning != nil || len(b.Items()) != 0 {
		t.Errorf("reading a state that is not there: %v, %v", warning, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("reading made the folder")
	}
}
