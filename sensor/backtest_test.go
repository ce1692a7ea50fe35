package sensor

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/testdata/need"
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
	b, err := RunBacktest(t.Context(), Backtesting{Rules: folder, Captures: []string{filepath.Join(dir, "act-dnp3-cold-restart.pcap")}, Warn: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	for rule, want := range map[string][2]int{"D01-dnp3-restart": {0, 1}, "X01-any-restart": {1, 0}} {
		if now, old := len(b.New.of(rule)), len(b.Old.of(rule)); now != want[0] || old != want[1] {
			t.Errorf("%s: %d alerts, the shipped rule %d; want %d and %d\n%s", rule, now, old, want[0], want[1], b)
		}
	}
	a := b.New.of("X01-any-restart")[0]
	if !strings.Contains(b.String(), "X01-any-restart: 1 alerts in 1.0 days\n  "+a.First.Format("2006-01-02")+": 1\n  high x1 "+a.Title) {
		t.Errorf("%s", b)
	}
}

// TestBacktestNames: over captures and over stored events, sentences call points what the lists call them.
func TestBacktestNames(t *testing.T) {
	dir, _ := labTruth(t)
	rule := put(t, filepath.Join(t.TempDir(), "named.yaml"), `
- id: X01-control
  name: test
  severity: high
  attack: [T1692.001]
  when: {proto: dnp3, from: client, op: operate}
  message: "{client} operated {targets} of {server}"
  help: {meaning: m, do: d}
  tests:
    - {fires: true, event: {proto: dnp3, from: client, op: operate}}
    - {fires: false, event: {proto: dnp3, from: client, op: read}}
`)
	state, capture := t.TempDir(), filepath.Join(dir, "demo.pcap")
	d := standing(t, Config{State: state, Phase: "off", Replay: Recorded{Files: []string{capture}}}, slog.New(slog.DiscardHandler))
	if err := d.serve(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]Backtesting{"captures": {Captures: []string{capture}}, "stored events": {Events: filepath.Join(state, "events")}} {
		o.Rules, o.Lists, o.Warn = rule, labLists(t), io.Discard
		b, err := RunBacktest(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), "relay 1, bay E06") {
			t.Errorf("%s: %s", name, b)
		}
	}
}

// TestBacktestRefuses: what cannot be tried is said with where and why.
func TestBacktestRefuses(t *testing.T) {
	dir := t.TempDir()
	bad := put(t, filepath.Join(dir, "bad.yaml"), strings.Replace(siteRule, "severity", "severty", 1))
	fails := put(t, filepath.Join(dir, "fails.yaml"), strings.Replace(siteRule, "code: 13}}", "code: 12}}", 1))
	empty := put(t, filepath.Join(dir, "empty.yaml"), "# nothing\n")
	good := put(t, filepath.Join(dir, "good.yaml"), siteRule)
	capture := []string{filepath.Join(need.Root(t), "testdata", "demo.pcap")}
	for _, c := range []struct {
		o    Backtesting
		want string
	}{
		{Backtesting{Rules: good}, "nothing to try the rules on"},
		{Backtesting{Rules: good, Captures: capture, Phase: rules.Learn}, "learns nothing"},
		{Backtesting{Rules: bad, Captures: capture}, `bad.yaml:4:3: unknown key "severty" in a rule; did you mean "severity"?`},
		{Backtesting{Rules: fails, Captures: capture}, "fails.yaml:10:7: rule X01-mine: test \"\" must fire and does not"},
		{Backtesting{Rules: empty, Captures: capture}, "holds no rule"},
		{Backtesting{Rules: filepath.Join(dir, "none"), Captures: capture}, "no such file"},
		{Backtesting{Rules: dir, Captures: capture}, "severty"},
		{Backtesting{Rules: good, Captures: []string{good}}, "not a capture file"},
		{Backtesting{Rules: good, Events: dir}, "holds none"},
		{Backtesting{Rules: good, Events: filepath.Join(dir, "none")}, "no such file"},
	} {
		c.o.Warn = io.Discard
		if _, err := RunBacktest(t.Context(), c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.o, err, c.want)
		}
	}
}
