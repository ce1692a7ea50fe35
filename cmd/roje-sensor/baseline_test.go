package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/sensor"
	"github.com/roje-ot/roje/testdata/need"
)

// watching is a log that says when the sensor runs.
type watching struct {
	slog.Handler
	begun chan struct{}
}

func (w watching) Enabled(context.Context, slog.Level) bool { return true }

func (w watching) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "watching" {
		close(w.begun)
	}
	return nil
}

// learnedState is a state folder that has learned and approved nothing, and the capture that it learned from.
func learnedState(t *testing.T) (state, capture string) {
	t.Helper()
	state, capture = t.TempDir(), filepath.Join(need.Root(t), "testdata", "demo.pcap")
	if err := sensor.Replay(t.Context(), sensor.Replaying{Captures: []string{capture}, Phase: rules.Learn, Propose: true, State: state}); err != nil {
		t.Fatal(err)
	}
	return state, capture
}

// running runs a sensor in state until it is stopped: over a capture that it reads so slowly that it does not end.
func running(t *testing.T, state, capture string) (stop func()) {
	t.Helper()
	config := write(t, "sensor.yaml", fmt.Sprintf("name: test\nphase: learn\nstate: %s\nreplay: {files: [%s], pace: 0.000001}\n", state, capture))
	cfg, err := sensor.LoadConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	log := watching{slog.DiscardHandler, make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- sensor.Run(ctx, cfg, "test", slog.New(log)) }()
	select {
	case <-log.begun:
	case err := <-ended:
		t.Fatalf("the sensor has ended: %v", err)
	case <-time.After(2 * time.Minute):
		t.Fatal("the sensor does not begin")
	}
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// TestBaselineWhileRunning: the commands do the same on a sensor that runs and on the folder of one that does not.
func TestBaselineWhileRunning(t *testing.T) {
	state, capture := learnedState(t)
	var stdout, stderr bytes.Buffer
	do := func(want string, code int, args ...string) {
		t.Helper()
		stdout.Reset()
		stderr.Reset()
		got := execute(t.Context(), append([]string{"baseline", "--state", state}, args...), &stdout, &stderr)
		if got != code || !strings.Contains(stdout.String()+stderr.String(), want) {
			t.Errorf("%v: %d %q %q, want %d %q", args, got, stdout.String(), stderr.String(), code, want)
		}
	}
	do("rare: ", 0, "propose")
	stop := running(t, state, capture)
	do("rare: ", 0, "propose")
	do("approved ", 0, "approve", "--commands", "--mixed", "--rare", "--who", "anna", "--why", "T-1")
	do("anna", 0, "versions")
	do("say what is rejected", 2, "reject")
	do("no item \"nothing\" waits", 1, "reject", "--item", "nothing")
	do("there is no version 7", 1, "rollback", "--to", "7")
	do("is not an IP address", 2, "relearn", "plc")
	file := filepath.Join(t.TempDir(), "export")
	do("", 0, "export", file)
	do(`"kind":"host"`, 0, "show")
	_, rest, _ := strings.Cut(stdout.String(), `"host":"`)
	host, _, _ := strings.Cut(rest, `"`)
	do("", 0, "relearn", host)
	do("", 0, "import", file, "--who", "anna")
	stop()
	do("import of "+file, 0, "versions")
	do("", 0, "rollback", "--to", "2", "--who", "boss", "--why", "T-2")
	do("back to version 2: T-2", 0, "versions")
}

// TestMaintenanceCommands: work is begun, listed and ended, while a sensor runs and while none does.
func TestMaintenanceCommands(t *testing.T) {
	state, capture := learnedState(t)
	var out bytes.Buffer
	do := func(want string, code int, args ...string) {
		t.Helper()
		out.Reset()
		if got := execute(t.Context(), append([]string{"maintenance", "--state", state}, args...), &out, &out); got != code || !strings.Contains(out.String(), want) {
			t.Errorf("%v: %d %q, want %d %q", args, got, out.String(), code, want)
		}
	}
	do("name a command", 2)
	do("say where", 2, "begin", "--for", "1h", "--why", "w")
	do("is neither a day", 2, "begin", "--until", "noon", "--why", "w")
	do("either --for or --until", 2, "begin", "--until", "2150-01-01T00:00:00Z", "--for", "1h", "--why", "w")
	do("by anna until", 0, "begin", "--for", "4h", "--host", "10.0.0.1", "--why", "firmware", "--who", "anna")
	id, _, _ := strings.Cut(out.String(), " ")
	stop := running(t, state, capture)
	do(id, 0, "list")
	do("by boss (as ", 0, "begin", "--for", "1h", "--link", "10.0.0.1 > 10.0.0.2", "--why", "relay test", "--who", "boss")
	do("no maintenance \"nothing\"", 1, "end", "nothing")
	do(id, 0, "end", id)
	stop()
	do("10.0.0.1 > 10.0.0.2", 0, "list")
	do("no maintenance", 1, "end", id)
}
