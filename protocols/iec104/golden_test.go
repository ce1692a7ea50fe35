package iec104

import (
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/protocols"
)

var update = flag.Bool("update", false, "rewrite the golden lines of testdata")

// at is the arrival of every frame of the vectors: CP24Time2a gets its hour from it.
var at = time.Date(2026, 7, 13, 14, 31, 0, 0, time.UTC).UnixNano()

// A vector is one frame of a testdata file: who sent it, its octets, and the lines that the decoder must say.
type vector struct {
	file, conn string
	dir        protocols.Dir
	bytes      []byte
	want       string
	first      bool // the first of its connection
}

// vectors reads a file of annotated hex. "--- title" begins a connection, ">" and "<" a frame of end 0 and end 1,
// "hex | note" its octets, "= line" what is to be said of it.
func vectors(t testing.TB, path string) (all []vector) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	conn, first := "", true
	for _, line := range strings.Split(string(text), "\n") {
		switch {
		case line == "" || line[0] == '#':
		case strings.HasPrefix(line, "--- "):
			conn, first = line[4:], true
		case line == ">" || line == "<":
			v := vector{file: filepath.Base(path), conn: conn, first: first}
			if line == "<" {
				v.dir = 1
			}
			all, first = append(all, v), false
		case strings.HasPrefix(line, "= "):
			v := &all[len(all)-1]
			v.want += line[2:] + "\n"
		default:
			digits, _, _ := strings.Cut(line, "|")
			b, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(digits), " ", ""))
			if err != nil {
				t.Fatalf("%s: %q: %v", path, line, err)
			}
			v := &all[len(all)-1]
			v.bytes = append(v.bytes, b...)
		}
	}
	return all
}

func vectorFiles(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no vectors", err)
	}
	return files
}

func fresh() protocols.Decoder { return New(protocols.Hint{Server: 1, Known: true}) }

func TestVectors(t *testing.T) {
	for _, path := range vectorFiles(t) {
		var dec protocols.Decoder
		var m protocols.Message
		var said []string
		for i, v := range vectors(t, path) {
			if v.first {
				dec = fresh()
			}
			if skip, n := dec.Split(v.dir, v.bytes, true); skip != 0 || n != len(v.bytes) {
				t.Errorf("%s vector %d: split %d, %d of %d octets", path, i, skip, n, len(v.bytes))
			}
			dec.Decode(protocols.Frame{Dir: v.dir, At: at, Bytes: v.bytes}, &m)
			got := string(m.AppendText(nil)) + "\n"
			said = append(said, got)
			if got != v.want && !*update {
				t.Errorf("%s vector %d (% x)\n got %s\nwant %s", path, i, v.bytes, got, v.want)
			}
		}
		if *update {
			rewrite(t, path, said)
		}
	}
}

// rewrite puts what was said behind each vector's octets.
func rewrite(t *testing.T, path string, said []string) {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	open := false
	flush := func() {
		if open {
			for _, line := range strings.Split(strings.TrimSuffix(said[0], "\n"), "\n") {
				out = append(out, "= "+line)
			}
			said, open = said[1:], false
		}
	}
	for _, line := range strings.Split(strings.TrimRight(string(text), "\n"), "\n") {
		if strings.HasPrefix(line, "= ") {
			continue
		}
		if line == "" {
			flush()
		}
		if line == ">" || line == "<" {
			open = true
		}
		out = append(out, line)
	}
	flush()
	if err := os.WriteFile(path, []byte(strings.Join(out, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Every type that the standards define has a vector, so that none is decoded untested.
func TestVectorsCoverAllTypes(t *testing.T) {
	seen := map[byte]bool{}
	for _, path := range vectorFiles(t) {
		for _, v := range vectors(t, path) {
			if v.conn == "" && len(v.bytes) > header {
				seen[v.bytes[header]] = true
			}
		}
	}
	for i := range rows {
		if !seen[rows[i].id] {
			t.Errorf("no vector of %s", rows[i].name)
		}
	}
}
