package sensor

import (
	"bytes"
	"encoding/binary"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/roje-ot/roje/sensor/recall"
	"github.com/roje-ot/roje/testdata/need"
)

// cut writes a capture as two files, the second from a packet on.
func cut(t *testing.T, path string, packet int) (first, second string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := 24
	for range packet {
		at += 16 + int(binary.LittleEndian.Uint32(text[at+8:]))
	}
	dir := t.TempDir()
	return put(t, filepath.Join(dir, "1.pcap"), string(text[:at])), put(t, filepath.Join(dir, "2.pcap"), string(text[:24])+string(text[at:]))
}

// ran runs a sensor over a file to its end, and returns the rules that fired and what it logged.
func ran(t *testing.T, state, file string) (alerts, log string) {
	t.Helper()
	cfg := Config{Name: "test", State: state, Phase: "enforce", Alerts: filepath.Join(t.TempDir(), "alerts"), Replay: Recorded{Files: []string{file}}}
	cfg.setDefaults()
	var said bytes.Buffer
	if err := Run(t.Context(), cfg, "test", slog.New(slog.NewTextHandler(&said, nil))); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(cfg.Alerts)
	if err != nil {
		t.Fatal(err)
	}
	return string(text), said.String()
}

// TestRestart: a sensor that is started anew in the midst of an attack knows its first half. Where the file of what the rules
// remember is of no use, it does not, says so, and runs. Where time runs back, what it knows does not count.
func TestRestart(t *testing.T) {
	const rule, packets = "C05-industroyer2-sequence", 240
	whole := filepath.Join(need.Root(t), "testdata", "act-iec104-industroyer2.pcap")
	first, second := cut(t, whole, packets)
	for _, test := range []struct {
		name    string
		between func(path string) error
		fires   bool
		says    string
	}{
		{"remembered", func(string) error { return nil }, true, `msg="the rules remember"`},
		{"of no use", func(path string) error { return os.WriteFile(path, []byte("RJRM\x01no zstd"), 0o600) }, false, "they begin anew"},
	} {
		state := t.TempDir()
		if alerts, _ := ran(t, state, first); strings.Contains(alerts, rule) {
			t.Fatalf("the first half raises %s", alerts)
		}
		if err := test.between(filepath.Join(state, recall.FileName)); err != nil {
			t.Fatal(err)
		}
		alerts, log := ran(t, state, second)
		if got := strings.Contains(alerts, rule); got != test.fires || !strings.Contains(log, test.says) {
			t.Errorf("%s: fires: %v, want %v; log\n%s", test.name, got, test.fires, log)
		}
		if !test.fires {
			continue
		}
		if again, _ := ran(t, state, whole); !strings.Contains(again, rule) {
			t.Errorf("%s: the same capture once more, whose time runs back, raises %s", test.name, again)
		}
	}
}
