package cmd

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector"
	"github.com/roje-ot/roje/collector/sealed"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/sqlite"
	"github.com/roje-ot/roje/rules/batch/proof"
	"github.com/roje-ot/roje/sensor"
	"github.com/roje-ot/roje/sensor/enrol"
	"github.com/roje-ot/roje/sensor/ledger"
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
	program := func(args ...string) (string, error) {
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
	if out, err := program("run", "--config", at("sensor.yaml")); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	must := func(want string, args ...string) string {
		t.Helper()
		out, err := program(args...)
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
	broken := func(want string, args ...string) {
		t.Helper()
		if out, err := program(args...); err == nil || !strings.Contains(out, "the chain of records is broken") || !strings.Contains(out, want) {
			t.Errorf("%v: %v, want %q in\n%s", args, err, want, out)
		}
	}
	broken("", "ledger", "verify", at("changed"))

	// The sensor is enrolled, and then enrolled anew: its ledger goes on under other keys.
	first, data := strings.TrimSpace(key), t.TempDir()
	o := enrol.Options{Dir: filepath.Join(at("state"), "enrolment"), Name: "Substation 7", Now: time.Now}
	var id *enrol.Identity
	for range 2 {
		id = answered(t, o, data)
		o.Again = true
		startedOnce(t, at("sensor.yaml"))
	}
	newest := proof.Fingerprint(id.Key.Public().(ed25519.PublicKey))
	for _, args := range [][]string{{}, {"--key", first}, {"--key", first, "--seals", at("seals")}, {"--key", newest, "--key", first}} {
		said := must("is as it was written", append([]string{"ledger", "verify", "--state", at("state")}, args...)...)
		if strings.Count(said, "\nkey ") != 3 || !strings.Contains(said, "\nkey "+first) || !strings.HasSuffix(strings.TrimSpace(said), newest) {
			t.Errorf("%v: %s", args, said)
		}
	}
	must("", "ledger", "export", "--state", at("state"), at("export-anew"))
	must("is as it was written", "ledger", "verify", at("export-anew"), "--key", first)
	collectorHolds(t, data, id, at("state"))

	// A key of a stranger, and one whose introduction went with the keys of before.
	broken("none of those that should have", "ledger", "verify", "--state", at("state"), "--key", strings.Repeat("0", 64))
	before, err := filepath.Glob(filepath.Join(at("state"), "enrolment.was-*"))
	if err != nil || len(before) != 1 {
		t.Fatalf("%v, %v", before, err)
	}
	for _, dir := range []string{before[0], o.Dir} {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	last := answered(t, o, data)
	startedOnce(t, at("sensor.yaml"))
	broken("has not introduced", "ledger", "verify", "--state", at("state"), "--key", first)
	must("is as it was written", "ledger", "verify", "--state", at("state"), "--key", first, "--key", proof.Fingerprint(last.Key.Public().(ed25519.PublicKey)))
}

// startedOnce starts a sensor and has it end at once: its collector cannot be reached.
func startedOnce(t *testing.T, config string) {
	t.Helper()
	cfg, err := sensor.LoadConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := sensor.Run(ctx, cfg, "test", slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
}

// collectorHolds holds that the collector that enrolled a sensor anew takes its seals, those before its enrolment too, which it
// has signed with keys that the collector knows of another or of no sensor.
func collectorHolds(t *testing.T, data string, id *enrol.Identity, state string) {
	t.Helper()
	db, err := sqlite.Open(data)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	scope, err := store.For(collector.DefaultOperator)
	if err != nil {
		t.Fatal(err)
	}
	seals, err := ledger.Seals(filepath.Join(state, ledger.FileName))
	if err != nil {
		t.Fatal(err)
	}
	if wrong, err := sealed.Check(t.Context(), db, scope, id.Sensor, seals); err != nil || len(wrong) > 0 {
		t.Errorf("at the collector: %v, %v", wrong, err)
	}
}

// TestLedgerRemembers holds that what a sensor's ledger has learned goes on when the sensor runs again.
func TestLedgerRemembers(t *testing.T) {
	dir, root := t.TempDir(), need.Root(t)
	file := filepath.Join(t.TempDir(), "sensor.yaml")
	text := "state: " + dir + "\nname: station\nenrolment: " + filepath.Join(dir, "none") + "\nreplay: {files: [" + filepath.Join(root, "testdata", "act-iec104-on-off.pcap") + "]}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := sensor.LoadConfig(file)
	if err != nil {
		t.Fatal(err)
	}
	before := 0
	for run := range 2 {
		if err := sensor.Run(t.Context(), cfg, "test", slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
		store, err := ledger.OpenStore(filepath.Join(dir, ledger.FileName), 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		m, err := store.Recalled()
		if err := errors.Join(err, store.Close()); err != nil {
			t.Fatal(err)
		}
		actions := 0
		for _, c := range m.Clients {
			actions += c.Actions
		}
		if run == 0 && actions == 0 || run == 1 && actions != 2*before {
			t.Errorf("after run %d %d actions are known, after the one before %d", run+1, actions, before)
		}
		before = actions
	}
}
