package sensor

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/roje-ot/roje/sensor/capture"
	"github.com/roje-ot/roje/testdata/need"
)

// A load is a capture in memory.
type load struct {
	name    string
	packets []capture.Packet
}

// loads reads the captures of the corpus that hold our protocols and have clean TCP, and those of roje-lab. IP fragments
// are left out: where one is lost the whole packet is, and these tests lose packets one by one.
func loads(t testing.TB) []load {
	t.Helper()
	var out []load
	dir, corpus := readTruth(t)
	for _, f := range corpus {
		if f.ours() && f.clean() && !strings.Contains(f.Path, ".frag.") {
			out = append(out, readLoad(t, f.Path, filepath.Join(dir, f.Path)))
		}
	}
	for _, path := range labCaptures(t) {
		out = append(out, readLoad(t, labName(t, path), path))
	}
	return out
}

// labCaptures lists what roje-lab made: acts, days, and for each protocol what its stations can say.
func labCaptures(t testing.TB) []string {
	t.Helper()
	acts, err := filepath.Glob(filepath.Join(need.Root(t), "testdata", "*.pcap*"))
	if err != nil || len(acts) == 0 {
		t.Fatal("no captures of roje-lab", err)
	}
	exchanges, err := filepath.Glob(filepath.Join(need.Root(t), "testdata", "*", "*.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	return append(acts, exchanges...)
}

// labName is the path of a capture from the root of the repository.
func labName(t testing.TB, path string) string {
	name, err := filepath.Rel(need.Root(t), path)
	if err != nil {
		t.Fatal(err)
	}
	return filepath.ToSlash(name)
}

// readLoad reads one capture, up to where it is damaged.
func readLoad(t testing.TB, name, path string) load {
	t.Helper()
	file, err := capture.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	l := load{name: name}
	var p capture.Packet
	for err = file.Next(&p); err == nil; err = file.Next(&p) {
		q := p
		q.Data = append([]byte(nil), p.Data...)
		l.packets = append(l.packets, q)
	}
	var damage *capture.Damage
	if errors.As(err, &damage) {
		t.Logf("%s: %v", name, err)
	}
	return l
}
