package sensor

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/testdata/need"
)

// captures are the files that roje-lab made.
func captures(t testing.TB) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"*.pcap*", "*/*.pcap*"} {
		found, err := filepath.Glob(filepath.Join(need.Root(t), "testdata", pattern))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	if len(all) == 0 {
		t.Fatal("testdata holds no capture")
	}
	return all
}

// schema compiles one of the published schemas.
func schema(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	s, err := jsonschema.NewCompiler().Compile(filepath.Join(need.Root(t), "docs", "schema", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSchema holds every line that a replay of the lab's captures writes against the published schemas, in every phase.
// Of the lines of a long capture every tenth is checked beyond the first thousand, and each that has a fault.
func TestSchema(t *testing.T) {
	need.Long(t)
	files := captures(t)
	state := t.TempDir()
	for _, phase := range []rules.Phase{rules.Off, rules.Learn, rules.Enforce} {
		dir := t.TempDir()
		at := func(name string) string { return filepath.Join(dir, name) }
		r := Replaying{Captures: files, Events: at("event"), Alerts: at("alert"), Ledger: at("ledger"), Coverage: at("coverage"), Assets: at("asset"),
			State: state, Phase: phase, Warn: io.Discard}
		if err := Replay(t.Context(), r); err != nil {
			t.Fatalf("phase %v: %v", phase, err)
		}
		for _, name := range []string{"event", "alert", "ledger", "coverage", "asset"} {
			lines := checkLines(t, at(name), schema(t, name))
			t.Logf("phase %v: %d lines of %s", phase, lines, name)
			if lines == 0 && phase != rules.Learn {
				t.Errorf("phase %v wrote no %s", phase, name)
			}
		}
	}
}

func checkLines(t *testing.T, path string, s *jsonschema.Schema) int {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<24)
	n := 0
	for lines.Scan() {
		n++
		if n > 1000 && n%10 != 0 && !bytes.Contains(lines.Bytes(), []byte(`"fault"`)) {
			continue
		}
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(lines.Bytes()))
		if err == nil {
			err = s.Validate(v)
		}
		if err != nil {
			t.Fatalf("%s, line %d: %v\n%s", filepath.Base(path), n, err, lines.Bytes())
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return n
}
