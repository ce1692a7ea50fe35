package modbus

import (
	"bufio"
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// vectors reads a file of annotated bytes. A line that begins with client or server opens a PDU and says its
// transaction identifier and unit, or "raw" for bytes that bring their own framing; the lines below it are
// hex digits, then what they mean behind a semicolon.
func vectors(t testing.TB, path string) (list []segment) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var s *segment
	var head []string
	var pdu []byte
	flush := func() {
		if s == nil {
			return
		}
		if head[1] == "raw" {
			s.b = pdu
		} else {
			tid, err := strconv.ParseUint(head[1], 0, 16)
			if err != nil {
				t.Fatalf("%s: %v: %v", path, head, err)
			}
			unit, err := strconv.ParseUint(head[2], 0, 8)
			if err != nil {
				t.Fatalf("%s: %v: %v", path, head, err)
			}
			s.b = adu(uint16(tid), byte(unit), pdu...)
		}
		list = append(list, *s)
		s, pdu = nil, nil
	}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		text, _, _ := strings.Cut(lines.Text(), ";")
		switch text = strings.TrimSpace(text); {
		case text == "" || text[0] == '#':
		case strings.HasPrefix(text, "client "), strings.HasPrefix(text, "server "):
			flush()
			head = strings.Fields(text)
			s = &segment{dir: fromClient}
			if head[0] == "server" {
				s.dir = fromServer
			}
		default:
			pdu = append(pdu, unhexed(t, text)...)
		}
	}
	flush()
	return list
}

func TestVectors(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			got := strings.Join(texts(t, ports, vectors(t, path)...), "\n") + "\n"
			golden := strings.TrimSuffix(path, ".txt") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, strings.Split(got, "\n"), strings.Split(string(want), "\n"))
		})
	}
}

// TestVectorsCoverTheTable: every function with a decoder of its own stands in the vectors, in both directions.
func TestVectorsCoverTheTable(t *testing.T) {
	files, _ := filepath.Glob("testdata/*.txt")
	var seen [2][128]bool
	for _, path := range files {
		for _, s := range vectors(t, path) {
			if len(s.b) > headerLen && s.b[2]|s.b[3] == 0 && s.b[headerLen]&0x80 == 0 {
				seen[s.dir][s.b[headerLen]] = true
			}
		}
	}
	for fc := range rows {
		if rows[fc].request != nil && !(seen[fromClient][fc] && seen[fromServer][fc]) {
			t.Errorf("function %d (%s) has no vector in both directions", fc, rows[fc].name)
		}
	}
}
