package cmd

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/roje-ot/roje/testdata/need"
)

// A newcomer's tree is this one with three things more: a folder under protocols, a row in the catalog, and a golden capture
// with the lines that are expected of it. The first and the last lie in testdata/newcomer, where nothing builds them.
type newcomer struct {
	root string // of the repository, which stays as it is
	tree string // what tests see as the repository: links to its data, and the newcomer's own
	bin  string
}

// row is what is added to the catalog, and before what.
var row = []struct{ before, add string }{
	{"\t\"github.com/roje-ot/roje/protocols/modbus\"\n", "\t\"github.com/roje-ot/roje/protocols/tank\"\n"},
	{"modbus.Protocol}", ", tank.Protocol"},
}

// newNewcomer makes every go command of the test see the newcomer's files in their places.
func newNewcomer(t *testing.T) *newcomer {
	n := &newcomer{root: need.Root(t), tree: t.TempDir(), bin: t.TempDir()}
	own := filepath.Join(n.root, "cmd", "testdata", "newcomer")
	catalog := n.read(t, "protocols/catalog/catalog.go")
	for _, r := range row {
		if strings.Count(catalog, r.before) != 1 {
			t.Fatalf("the catalog has no place for %q", r.add)
		}
		at, name := r.before, strings.TrimSuffix(r.before, "}")
		catalog = strings.Replace(catalog, at, name+r.add+strings.TrimPrefix(at, name), 1)
	}
	const root = "\t_, file, _, _ := runtime.Caller(0)\n\treturn filepath.Dir(filepath.Dir(filepath.Dir(file)))\n"
	help := n.read(t, "testdata/need/need.go")
	if !strings.Contains(help, root) {
		t.Fatal("need.Root has changed: what tests take for the repository cannot be set")
	}
	help = strings.Replace(strings.Replace(help, root, "\treturn os.Getenv(\"NEWCOMER_TREE\")\n", 1), "\t\"runtime\"\n", "", 1)
	overlay := map[string]string{
		filepath.Join(n.root, "protocols/tank/tank.go"):       filepath.Join(own, "protocols/tank/tank.go"),
		filepath.Join(n.root, "protocols/catalog/catalog.go"): n.write(t, "catalog.go", catalog),
		filepath.Join(n.root, "testdata/need/need.go"):        n.write(t, "need.go", help),
	}
	text, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOFLAGS", strings.TrimSpace(os.Getenv("GOFLAGS")+" -overlay="+n.write(t, "overlay.json", string(text))))
	t.Setenv("NEWCOMER_TREE", n.tree)
	t.Setenv("CGO_ENABLED", "0")
	for _, folder := range []string{"testdata", "sensor/testdata/golden"} {
		n.link(t, filepath.Join(n.root, folder), filepath.Join(n.tree, folder))
		n.link(t, filepath.Join(own, folder), filepath.Join(n.tree, folder))
	}
	return n
}

func (n *newcomer) read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(n.root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func (n *newcomer) write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(n.bin, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// link makes dir, with a link to each thing in from.
func (n *newcomer) link(t *testing.T, from, dir string) {
	t.Helper()
	entries, err := os.ReadDir(from)
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	for _, e := range entries {
		if err == nil {
			err = os.Symlink(filepath.Join(from, e.Name()), filepath.Join(dir, e.Name()))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// run runs a command in dir and returns what it writes.
func (n *newcomer) run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), name, args...)
	command.Dir = dir
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestNewcomer adds a protocol by one folder, one row in the catalog and one golden capture, and nothing else: then it is
// decoded, its golden and the tests over the catalog hold, the docs and the rule language have its words, its events are
// of the published schema, and the floors stand.
func TestNewcomer(t *testing.T) {
	need.Long(t)
	n := newNewcomer(t)
	n.run(t, n.root, "go", "build", "-o", n.bin+string(filepath.Separator), "./cmd/roje-sensor", "./docs/generate")
	n.run(t, n.root, "go", "vet", "./cmd/testdata/newcomer/protocols/tank")

	t.Run("replay", n.replay)
	t.Run("golden", func(t *testing.T) {
		n.run(t, n.root, "go", "test", "-c", "-vet=off", "-o", n.bin, "./sensor")
		out := n.run(t, filepath.Join(n.tree, "sensor"), filepath.Join(n.bin, "sensor.test"), "-test.v", "-test.run", "^TestGolden$|^TestNoAllocation$")
		for _, want := range []string{"--- PASS: TestGolden", "--- PASS: TestNoAllocation"} {
			if !strings.Contains(out, want) {
				t.Errorf("no %q in\n%s", want, out)
			}
		}
	})
	t.Run("catalog", func(t *testing.T) {
		n.run(t, n.root, "go", "test", "-vet=off", "-run", "TestRows|FuzzDecoders", "./protocols/catalog")
	})
	t.Run("docs", n.docs)
	t.Run("floors", func(t *testing.T) {
		if !slices.ContainsFunc(list(t), func(l listed) bool { return l.path == module+"protocols/tank" }) {
			t.Error("the floors do not see the new folder")
		}
		TestFloors(t)
	})
}

// replay holds what roje-sensor says of the golden capture.
func (n *newcomer) replay(t *testing.T) {
	events, coverage := filepath.Join(n.bin, "events"), filepath.Join(n.bin, "coverage")
	n.run(t, n.bin, filepath.Join(n.bin, "roje-sensor"), "replay", "--events", events, "--coverage", coverage, filepath.Join(n.tree, "testdata/tank/poll.pcap"))
	schema, err := jsonschema.NewCompiler().Compile(filepath.Join(n.root, "docs/schema/event.json"))
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for line := range strings.Lines(n.text(t, events)) {
		var e struct {
			Proto, Name, Turn string
			Tank              struct{ Seq int }
		}
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
		if err == nil {
			err = schema.Validate(v)
		}
		if err == nil {
			err = json.Unmarshal([]byte(line), &e)
		}
		if err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if e.Proto == "tank" {
			said = append(said, strings.TrimSpace(e.Name+" "+e.Turn))
		}
	}
	if want := []string{"read_level request", "read_level response", "read_level request", "read_level response", "read_level request", "read_level response",
		"set_limit request", "set_limit response", "unknown request", "unknown response"}; !slices.Equal(slices.DeleteFunc(said, func(s string) bool { return s == "" }), want) {
		t.Errorf("said %q\nwant %q", said, want)
	}
	if !strings.Contains(n.text(t, coverage), `"proto":"tank"`) {
		t.Error("the coverage does not name the protocol")
	}
}

func (n *newcomer) text(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// docs holds that the generated pages have what is new, and that the tables of the other protocols stay as they are.
func (n *newcomer) docs(t *testing.T) {
	dir := t.TempDir()
	n.run(t, n.bin, filepath.Join(n.bin, "generate"), dir)
	for page, words := range map[string][]string{
		"protocols.md":  {"Tank Gauge Protocol (`tank`)", "`set_limit`", "TCP 5557"},
		"rule-words.md": {"`tank.seq`"},
	} {
		made := n.text(t, filepath.Join(dir, page))
		for _, w := range words {
			if !strings.Contains(made, w) {
				t.Errorf("%s does not hold %q", page, w)
			}
		}
	}
	made := n.text(t, filepath.Join(dir, "protocols.md"))
	for line := range strings.Lines(n.read(t, "docs/protocols.md")) {
		if !strings.Contains(made, line) {
			t.Fatalf("protocols.md has lost %q", line)
		}
	}
}
