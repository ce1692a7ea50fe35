// Package cmd holds the programs. Its test states which way imports may go.
package cmd

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/roje-ot/roje/"

// floors is the architecture: what each package must not reach, directly or through others, and why. A pattern that
// ends in "/..." stands for the folder and all below it; module-relative names come without the module's path.
var floors = []struct {
	pkg  string
	must string // must not import
	why  string
}{
	{"protocols/...", "rules/...", "floor 0 knows nothing of judgement"},
	{"protocols/...", "sensor/...", "imports only go down"},
	{"protocols/...", "collector/...", "imports only go down"},
	{"protocols/...", "net", "decoders never open a socket"},
	{"protocols/...", "log", "a fault is a value, not a log line"},
	{"protocols/...", "log/slog", "a fault is a value, not a log line"},
	{"rules/...", "sensor/...", "imports only go down"},
	{"rules/...", "collector/...", "imports only go down"},
	{"rules/...", "log/slog", "rules return, they do not log"},
	{"rules", "gopkg.in/...", "the nouns of judgement need the standard library only"},
	{"rules", "go.yaml.in/...", "the nouns of judgement need the standard library only"},
	{"rules/lang", "protocols/catalog", "the language takes the protocols as an argument"},
	{"rules/engine", "protocols/catalog", "the engine judges what it is given"},
	{"sensor/...", "collector/...", "sensor and collector never see each other"},
	{"collector/...", "sensor/...", "sensor and collector never see each other"},
	{"collector/...", "protocols/modbus", "the collector shows names, it does not decode"},
	{"collector/...", "protocols/dnp3", "the collector shows names, it does not decode"},
	{"collector/...", "protocols/iec104", "the collector shows names, it does not decode"},
	{"collector/...", "github.com/gopacket/gopacket", "the collector sees no packets"},
	{"collector/...", "github.com/cilium/ebpf", "the collector has no business in the kernel"},
	{"cmd/roje-sensor", "github.com/goburrow/modbus", "promise 1: the sensor holds no client that could speak to a device"},
	{"cmd/roje-sensor", "github.com/goburrow/serial", "promise 1: the sensor holds no client that could speak to a device"},
	{"cmd/roje-sensor", "cmd/roje-lab/...", "promise 1: the lab's masters are not in the sensor"},
	{"cmd/roje-sensor", "collector/...", "sensor and collector never see each other"},
	{"cmd/roje-collector", "sensor/...", "sensor and collector never see each other"},
	{"cmd/roje-collector", "cmd/roje-lab/...", "the lab is not part of a product"},
	{"cmd/roje-lab/...", "protocols/modbus", "the lab's encoders are a second opinion on the decoders"},
	{"cmd/roje-lab/...", "protocols/dnp3", "the lab's encoders are a second opinion on the decoders"},
	{"cmd/roje-lab/...", "protocols/iec104", "the lab's encoders are a second opinion on the decoders"},
}

// direct lists what a folder's own files must not import: reached through the standard library it does no harm.
var direct = []struct{ pkg, must, why string }{
	{"protocols/...", "os", "decoders never touch a file"},
	{"rules/...", "os", "rules never touch a file; their text is handed to them"},
	{"rules/...", "net", "rules never touch a socket"},
	{"rules/...", "log", "rules return, they do not log"},
}

type listed struct {
	path    string
	imports []string
	deps    []string
}

func list(t *testing.T) []listed {
	t.Helper()
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}}|{{join .Imports " "}}|{{join .Deps " "}}`, module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSpace(line), "|")
		all = append(all, listed{f[0], strings.Fields(f[1]), strings.Fields(f[2])})
	}
	return all
}

// covers says whether pattern, module-relative or a full path, stands for path.
func covers(pattern, path string) bool {
	folder, all := strings.CutSuffix(pattern, "/...")
	for _, p := range []string{folder, module + folder} {
		if path == p || all && strings.HasPrefix(path, p+"/") {
			return true
		}
	}
	return false
}

func ours(pattern string) bool {
	top, _, _ := strings.Cut(pattern, "/")
	return slices.Contains([]string{"protocols", "rules", "sensor", "collector", "cmd"}, top)
}

func TestFloors(t *testing.T) {
	all := list(t)
	exists := func(pattern string) bool {
		return slices.ContainsFunc(all, func(l listed) bool { return covers(pattern, l.path) })
	}
	for _, f := range floors {
		if !exists(f.pkg) || ours(f.must) && !exists(f.must) {
			t.Errorf("the row %q must not import %q names a package that no longer exists", f.pkg, f.must)
		}
		for _, l := range all {
			if !covers(f.pkg, l.path) {
				continue
			}
			for _, dep := range l.deps {
				if covers(f.must, dep) {
					t.Errorf("%s reaches %s: %s", strings.TrimPrefix(l.path, module), dep, f.why)
				}
			}
		}
	}
	for _, f := range direct {
		for _, l := range all {
			if covers(f.pkg, l.path) && slices.Contains(l.imports, f.must) {
				t.Errorf("%s imports %s: %s", strings.TrimPrefix(l.path, module), f.must, f.why)
			}
		}
	}
}

// TestCovers guards the test itself: a pattern that matched nothing would hold everything true.
func TestCovers(t *testing.T) {
	for _, c := range []struct {
		pattern, path string
		want          bool
	}{
		{"sensor/...", module + "sensor", true},
		{"sensor/...", module + "sensor/flow", true},
		{"sensor/...", module + "sensory", false},
		{"rules", module + "rules/lang", false},
		{"net", "net", true},
		{"net", "net/netip", false},
		{"github.com/gopacket/gopacket", "github.com/gopacket/gopacket", true},
	} {
		if got := covers(c.pattern, c.path); got != c.want {
			t.Errorf("covers(%q, %q) = %v, want %v", c.pattern, c.path, got, c.want)
		}
	}
}
