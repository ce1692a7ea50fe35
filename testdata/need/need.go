// Package need says what a test needs beyond Go, and why it was skipped where that is missing. Tests skip through here
// only: `make test` prints the list of skips at its end, and with ROJE_REQUIRE=all a missing need is a failure.
package need

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// missing skips t, or fails it where everything is required.
func missing(t testing.TB, what, why string) {
	t.Helper()
	if os.Getenv("ROJE_REQUIRE") == "all" {
		t.Fatalf("ROJE_REQUIRE=all, and %s is missing: %s", what, why)
	}
	t.Skipf("needs %s: %s", what, why)
}

// Root is the folder of the repository.
func Root(t testing.TB) string {
	t.Helper()
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}

// Corpus returns the folder of the public captures: $ROJE_CORPUS, or shared/pcaps beside the checkout.
func Corpus(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("ROJE_CORPUS")
	if dir == "" {
		dir = filepath.Join(Root(t), "..", "shared", "pcaps")
	}
	if _, err := os.Stat(filepath.Join(dir, "truth.json")); err != nil {
		missing(t, "the capture corpus", "set ROJE_CORPUS to its folder ("+err.Error()+")")
	}
	return dir
}

// Tool returns the path of a program; hint says which Debian package brings it.
func Tool(t testing.TB, name, hint string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		missing(t, name, "install "+hint)
	}
	return path
}

// Systemd says that none can be booted in namespaces of a test's own, and why.
func Systemd(t testing.TB, why string) {
	t.Helper()
	missing(t, "a kernel on which a systemd boots in namespaces", why)
}

// Superuser skips where the test may not make network namespaces.
func Superuser(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		missing(t, "root", "it makes network namespaces and veth pairs")
	}
}

// Python returns an interpreter that can import module: $ROJE_PYTHON, or python3.
func Python(t testing.TB, module string) string {
	t.Helper()
	python := os.Getenv("ROJE_PYTHON")
	if python == "" {
		python = "python3"
	}
	path := Tool(t, python, "python3")
	if out, err := exec.Command(path, "-c", "import "+module).CombinedOutput(); err != nil {
		missing(t, "the Python package "+module, "pip install it, or point ROJE_PYTHON at an interpreter that has it: "+string(out))
	}
	return path
}

// Library skips where a C header, and so the library that it declares, is missing; hint says which Debian package
// brings it.
func Library(t testing.TB, header, hint string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join("/usr/include", header)); err != nil {
		missing(t, header, "install "+hint)
	}
}

// Long skips a test of one goroutine that takes long where short runs were asked for, as under the race detector, which
// has nothing to find in it.
func Long(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("it takes long and has one goroutine, and -short was asked for")
	}
}
