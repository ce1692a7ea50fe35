package sensor

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/roje-ot/roje/rules"
)

// TestBacktest: a stricter form of a shipped rule says that it would not have fired where the shipped one did.
func TestBacktest(t *testing.T) {
	dir, _ := labTruth(t)
	folder := t.TempDir()
	const text = `
- id: D01-dnp3-restart
  name: test
  severity: high
  attack: [T0816]
  when: {proto: dnp3, from: client, code: 13}
  where: station == 60000
  message: "{client} restarted {server}"
  help: {meaning: m, do: d}
  tests:
    - {fires: true, event: {proto: dnp3, code: 13, station: 60000}}
    - {fires: false, event: {proto: dnp3, code: 13, station: 1}}
- id: X01-any-restart
  name: test
  severity: high
  attack: [T0816]
  when: {proto: dnp3, from: client, code: 13}
  message: "{client} restarted {server}"
  help: {meaning: m, do: d}
  tests:
    - {fires: true, event: {proto: dnp3, code: 13, station: 1}}
    - {fires: false, event: {proto: dnp3, code: 14, station: 1}}
`
	if err := os.WriteFile(filepath.Join(folder, "changed.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := RunBacktest(t.Context(), folder, "", rules.Off, []string{filepath.Join(dir, "act-dnp3-cold-restart.pcap")}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for rule, want := range map[string][2]int{"D01-dnp3-restart": {0, 1}, "X01-any-restart": {1, 0}} {
		if now, old := len(b.New.of(rule)), len(b.Old.of(rule)); now != want[0] || old != want[1] {
			t.Errorf("%s: %d alerts, the shipped rule %d; want %d and %d\n%s", rule, now, old, want[0], want[1], b)
		}
	}
	if !strings.Contains(b.String(), "X01-any-restart: 1 alerts") {
		t.Errorf("%s", b)
	}
}
