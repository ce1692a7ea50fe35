package spool

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/testdata/need"
)

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	held := open(t, Config{Dir: filepath.Join(dir, "held")})
	noise := filepath.Join(dir, "noise")
	if err := os.MkdirAll(noise, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(noise, FileName), bytes.Repeat([]byte("noise"), 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ dir, says string }{
		"open already":         {filepath.Join(dir, "held"), "another process has it open"},
		"no spool":             {noise, "invalid database"},
		"the folder is a file": {filepath.Join(noise, FileName), "not a directory"},
	} {
		if _, err := Open(Config{Dir: c.dir}); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want it to say %q", name, err, c.says)
		}
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	if err := held.Append(item(0, 1)); err == nil {
		t.Error("a closed spool took a record")
	}
	unbound, err := Open(Config{Dir: filepath.Join(dir, "unbound")})
	if err != nil {
		t.Fatal(err)
	}
	defer unbound.Close()
	add(t, unbound, item(batch.Urgent, 1))
	if _, err := unbound.Next(batch.Urgent, Limit{}, key, stamp); err == nil || !strings.Contains(err.Error(), "no sensor") {
		t.Errorf("sealed for nobody: %v", err)
	}
}

// TestFullDisk fills a disk of 8 MiB, by the spool and by others, and holds that nothing is half written and that the
// spool goes on once there is space.
func TestFullDisk(t *testing.T) {
	need.Superuser(t)
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=8m"); err != nil {
		t.Fatalf("mount a tmpfs: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	s := open(t, Config{Dir: dir})
	filler := filepath.Join(dir, "others")
	if err := os.WriteFile(filler, make([]byte, 4<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	body := []byte(`"` + strings.Repeat("x", 20000) + `"`)
	big := func(n int) Item {
		return Item{Kind: "piece", Lane: batch.Routine, At: start, Body: fmt.Appendf(nil, `{"n":%d,"b":%s}`, n, body)}
	}
	n := 0
	fill := func() {
		t.Helper()
		for ; ; n++ {
			err := s.Append(big(n))
			if err == nil {
				continue
			}
			if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "the disk of "+filepath.Join(dir, FileName)+" is full") {
				t.Fatalf("record %d: got %v, want an error that names the full disk", n, err)
			}
			return
		}
	}
	fill()
	filled := n
	for range 5 { // it stays an error, and writes nothing
		if err := s.Append(big(n)); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("on the full disk: %v", err)
		}
	}
	if got := s.Stats().Waiting[batch.Routine]; got != uint64(n) || n < 10 {
		t.Fatalf("%d records wait, %d were taken", got, n)
	}
	s.Close()
	s = open(t, Config{Dir: dir}) // as after a crash with the disk still full
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	fill()
	if n <= filled {
		t.Fatalf("with space again no record was taken after the first %d", filled)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT, "size=32m"); err != nil {
		t.Fatal(err)
	}
	s = open(t, Config{Dir: dir})
	var got int
	for {
		e, records := next(t, s, batch.Routine, Limit{})
		if e == nil {
			break
		}
		for _, r := range records {
			if want := big(got).Body; !bytes.Equal(r.Body, want) {
				t.Fatalf("record %d is not what was written", got)
			}
			got++
		}
		ack(t, s, e)
	}
	if got != n {
		t.Errorf("%d records came back, %d were taken", got, n)
	}
	s.Close()
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	for _, sub := range []string{"", "new"} {
		if _, err := Open(Config{Dir: filepath.Join(dir, sub)}); err == nil || !strings.Contains(err.Error(), "read-only file system") || !strings.Contains(err.Error(), dir) {
			t.Errorf("in a folder that cannot be written: got %v, want it to name the folder and the reason", err)
		}
	}
}

// BenchmarkAppend measures durable appends, by one caller and by many that share commits.
func BenchmarkAppend(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			s := open(b, Config{Dir: b.TempDir()})
			b.SetParallelism(callers)
			if callers == 1 {
				for b.Loop() {
					add(b, s, item(batch.Routine, 1))
				}
				return
			}
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := s.Append(item(batch.Routine, 1)); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
