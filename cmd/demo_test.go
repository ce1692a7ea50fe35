package cmd

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/roje-ot/roje/testdata/need"
)

// demo builds the three programs and runs the demo with them, to its end.
func demo(t *testing.T, args ...string) {
	t.Helper()
	bin := t.TempDir()
	root := need.Root(t)
	build := exec.Command("go", "build", "-o", bin+string(filepath.Separator), "./cmd/roje-sensor", "./cmd/roje-collector", "./cmd/roje-lab")
	build.Dir = root
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	run := exec.CommandContext(t.Context(), filepath.Join(bin, "roje-lab"), append([]string{"demo", "--smoke", "--bin", bin, "--testdata", filepath.Join(root, "testdata")}, args...)...)
	out, err := run.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatalf("roje-lab demo: %v", err)
	}
}

// TestSmoke runs what `make smoke` runs: recorded traffic through an enrolled sensor to the collector.
func TestSmoke(t *testing.T) {
	if testing.Short() {
		return // the race detector has no part in programs that are built without it
	}
	demo(t)
}

// TestLive does the same with masters and outstations in network namespaces, and holds each alert to two seconds from
// its packet on the SPAN port to the collector's API.
func TestLive(t *testing.T) {
	need.Superuser(t)
	if testing.Short() {
		return
	}
	demo(t, "--live")
}
