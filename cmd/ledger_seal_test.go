package cmd

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/roje-ot/roje/testdata/need"
)

// TestLedgerVerify runs a sensor over recorded commands, and holds that its ledger, and what is exported of it, verify
// offline, and that a change shows.
func TestLedgerVerify(t *testing.T) {
	dir, root := t.TempDir(), need.Root(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	build := exec.Command("go", "build", "-o", at("roje-sensor"), "./cmd/roje-sensor")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	sensor := func(args ...string) (string, error) {
		var stderr bytes.Buffer
		cmd := exec.CommandContext(t.Context(), at("roje-sensor"), args...)
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		return string(out) + stderr.String(), err
	}
	config := "state: " + at("state") + "\nreplay: {files: [" + filepath.Join(root, "testdata", "act-iec104-on-off.pcap") + ", " + filepath.Join(root, "testdata", "act-dnp3-operate-unselected.pcap") + "]}\n"
	if err := os.WriteFile(at("sensor.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := sensor("run", "--config", at("sensor.yaml")); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	must := func(want string, args ...string) string {
		t.Helper()
		out, err := sensor(args...)
		if err != nil || !strings.Contains(out, want) {
			t.Fatalf("%v: %v, want %q in\n%s", args, err, want, out)
		}
		return out
	}
	said := must("is as it was written", "ledger", "verify", "--state", at("state"))
	if !strings.Contains(said, " 0 records are not sealed yet") || strings.Contains(said, "records 0 to 0") {
		t.Errorf("after an orderly end: %s", said)
	}
	seals := must(`"signature"`, "ledger", "seals", "--state", at("state"))
	if err := os.WriteFile(at("seals"), []byte(seals), 0o600); err != nil {
		t.Fatal(err)
	}
	must("is as it was written", "ledger", "verify", "--state", at("state"), "--seals", at("seals"))
	must("", "ledger", "export", "--state", at("state"), at("export"))
	must("is as it was written", "ledger", "verify", at("export"), "--seals", at("seals"))
	_, key, _ := strings.Cut(said, "\nkey ")
	must("is as it was written", "ledger", "verify", at("export"), "--key", strings.TrimSpace(key))
	text, err := os.ReadFile(at("export"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at("changed"), bytes.Replace(text, []byte(`"outcome":"`), []byte(`"outcome":"un`), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := sensor("ledger", "verify", at("changed")); err == nil || !strings.Contains(out, "the chain of records is broken") {
		t.Errorf("a changed export: %v\n%s", err, out)
	}
}
