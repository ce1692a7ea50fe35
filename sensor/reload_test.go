package sensor

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/engine"
	"github.com/roje-ot/roje/sensor/capture"
	"github.com/roje-ot/roje/testdata/need"
)

// A turnstile is a source that does something before certain packets.
type turnstile struct {
	capture.Source
	n  int
	at map[int]func()
}

func (s *turnstile) Next(p *capture.Packet) error {
	if f := s.at[s.n]; f != nil {
		f()
	}
	s.n++
	return s.Source.Next(p)
}

// standing makes a daemon over recorded files that is open and does not run yet.
func standing(t *testing.T, cfg Config, log *slog.Logger) *daemon {
	t.Helper()
	cfg.Name, cfg.State = "test", cmp.Or(cfg.State, t.TempDir())
	cfg.setDefaults()
	d := &daemon{cfg: cfg, log: log, version: "test", began: time.Now()}
	d.metrics = &metrics{d: d}
	for _, open := range d.parts() {
		closing, err := open()
		if closing != nil {
			t.Cleanup(func() {
				if err := closing(); err != nil {
					t.Error(err)
				}
			})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// played runs a daemon over files, with something done before certain packets, and returns its alerts by id and how many
// messages it decoded.
func played(t *testing.T, files []string, at func(*daemon) map[int]func()) (map[string]rules.Alert, uint64) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "alerts")
	d := standing(t, Config{Replay: Recorded{Files: files}, Alerts: out}, slog.New(slog.DiscardHandler))
	d.readers[0].source = &turnstile{Source: d.readers[0].source, at: at(d)}
	if err := d.serve(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.box.lines.Flush()
	f, err := os.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	alerts := map[string]rules.Alert{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var a rules.Alert
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
			t.Fatal(err)
		}
		alerts[a.ID] = a
	}
	return alerts, d.readers[0].messages.Load()
}

// TestReloadInStream: rules are read anew while packets come, again and again, and the alerts and their counts are those
// of a run in which nothing was touched; no message is lost.
func TestReloadInStream(t *testing.T) {
	dir := filepath.Join(need.Root(t), "testdata")
	files := []string{filepath.Join(dir, "demo.pcap"), filepath.Join(dir, "act-modbus-flood.pcap"), filepath.Join(dir, "act-iec104-industroyer2.pcap")}
	want, messages := played(t, files, func(*daemon) map[int]func() { return nil })
	reloads := 0
	got, n := played(t, files, func(d *daemon) map[int]func() {
		at := map[int]func(){}
		for packet := 300; packet < 4500; packet += 1000 {
			done := make(chan error, 1)
			at[packet] = func() { // the stream goes on meanwhile
				go func() {
					_, kept, err := d.reloadRules()
					if err == nil && kept != len(d.rules.book.Rules) {
						t.Errorf("%d rules go on", kept)
					}
					done <- err
				}()
			}
			at[packet+900] = func() {
				if err := <-done; err != nil {
					t.Error(err)
				}
				reloads++
			}
		}
		return at
	})
	if reloads < 3 || len(want) < 5 {
		t.Fatalf("%d reloads, %d alerts: too few to tell", reloads, len(want))
	}
	if n != messages {
		t.Errorf("%d messages, %d without a reload", n, messages)
	}
	for id, a := range want {
		if !reflect.DeepEqual(got[id], a) {
			t.Errorf("%s: %+v\nwithout a reload %+v", a.Rule, got[id], a)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d alerts, %d without a reload", len(got), len(want))
	}
}

const siteRule = `
- id: X01-mine
  name: test
  severity: high
  attack: [T0816]
  when: {proto: dnp3, code: 13}
  message: "{client}"
  help: {meaning: m, do: d}
  tests:
    - {fires: true, event: {code: 13}}
    - {fires: false, event: {code: 14}}
`

func put(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// hears is a log handler that passes on the messages.
type hears struct {
	slog.Handler
	said chan string
}

func (h hears) Enabled(context.Context, slog.Level) bool { return true }

func (h hears) Handle(_ context.Context, r slog.Record) error {
	h.said <- r.Message
	return nil
}

// TestReload: what is wrong is refused, and the rules before go on; the log, the health record and the metrics say it.
// What is right is taken, on SIGHUP and on POST /rules/reload.
func TestReload(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, "rules")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	mine := put(t, filepath.Join(folder, "mine.yaml"), siteRule)
	word := put(t, filepath.Join(dir, "site.yaml"), "disable: [{rule: D01-dnp3-restart, reason: r, author: a}]\nexceptions: [{rule: X01-mine, where: code == 13, until: 2020-01-01, reason: r, author: a}]")
	log := hears{slog.DiscardHandler, make(chan string, 1000)}
	d := standing(t, Config{Rules: folder, RulesSite: word, Replay: Recorded{Files: []string{filepath.Join(need.Root(t), "testdata", "demo.pcap")}}}, slog.New(log))
	wait := func(want string) {
		t.Helper()
		late := time.After(time.Minute)
		for {
			select {
			case said := <-log.said:
				if strings.Contains(said, want) {
					return
				}
			case <-late:
				t.Fatalf("nobody says %q", want)
			}
		}
	}
	wait("is over and does not apply")
	before := d.rules.health()
	if before.Expired != 1 || before.Refused != "" {
		t.Errorf("%+v", before)
	}
	post := func(host string, header ...string) (int, string) {
		r := httptest.NewRequest("POST", "http://"+host+"/rules/reload", nil)
		if len(header) > 0 {
			r.Header.Set(header[0], header[1])
		}
		w := httptest.NewRecorder()
		d.reloadAction().ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}

	judging := func() *engine.Engine {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.judge
	}
	judge := judging()
	put(t, mine, strings.Replace(siteRule, "severity", "severty", 1))
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	wait("those before go on")
	if judging() != judge {
		t.Error("the engine was exchanged for rules that are wrong")
	}
	after := d.rules.health()
	if after.Rules != before.Rules || !after.Since.Equal(before.Since) || !strings.Contains(after.Refused, `mine.yaml:4:3: unknown key "severty" in a rule; did you mean "severity"?`) {
		t.Errorf("%+v", after)
	}
	if code, text := post("127.0.0.1:9"); code != http.StatusUnprocessableEntity || !strings.Contains(text, "severty") {
		t.Errorf("%d %s", code, text)
	}
	if refused := gauge1(t, d, "roje_rules_refused"); refused != 1 {
		t.Errorf("roje_rules_refused is %v", refused)
	}

	put(t, mine, siteRule+strings.Replace(siteRule, "X01-mine", "X02-more", 1))
	if code, text := post("localhost"); code != http.StatusOK || !strings.Contains(text, " rules, of which ") {
		t.Errorf("%d %s", code, text)
	}
	if after = d.rules.health(); after.Rules != before.Rules+1 || after.Refused != "" || judging() == judge {
		t.Errorf("%+v", after)
	}
	wait("rules reloaded")
	if refused := gauge1(t, d, "roje_rules_refused"); refused != 0 {
		t.Errorf("roje_rules_refused is %v", refused)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	wait("rules reloaded")
	for _, c := range [][]string{{"evil.example"}, {"127.0.0.1", "Sec-Fetch-Site", "cross-site"}, {"127.0.0.1", "Origin", "http://evil.example"}} {
		if code, _ := post(c[0], c[1:]...); code != http.StatusForbidden {
			t.Errorf("%v: %d", c, code)
		}
	}
}

// gauge1 reads one metric of the rules.
func gauge1(t *testing.T, d *daemon, name string) float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(ofRules{d}); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.Metric[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("no %s", name)
	return 0
}

type ofRules struct{ d *daemon }

func (o ofRules) Describe(out chan<- *prometheus.Desc) { prometheus.DescribeByCollect(o, out) }
func (o ofRules) Collect(out chan<- prometheus.Metric) { o.d.rules.collect(out) }

// TestSuppressedIsSaid: what an exception of the site keeps back is no alert, and the health record counts it, also after
// a reload.
func TestSuppressedIsSaid(t *testing.T) {
	dir := filepath.Join(need.Root(t), "testdata")
	word := put(t, filepath.Join(t.TempDir(), "site.yaml"), `exceptions: [{rule: D01-dnp3-restart, where: code == 13, until: 2150-01-01, reason: r, author: a}]`)
	out := filepath.Join(t.TempDir(), "alerts")
	d := standing(t, Config{RulesSite: word, Alerts: out, Replay: Recorded{Files: []string{filepath.Join(dir, "act-dnp3-cold-restart.pcap")}}}, slog.New(slog.DiscardHandler))
	if err := d.serve(t.Context()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(out)
	if err != nil || strings.Contains(string(text), "D01-dnp3-restart") {
		t.Errorf("%v %s", err, text)
	}
	want := d.rules.health().Suppressed["D01-dnp3-restart"]
	if want == 0 {
		t.Fatal("nothing was suppressed")
	}
	if _, _, err := d.reloadRules(); err != nil {
		t.Fatal(err)
	}
	if got := d.rules.health().Suppressed["D01-dnp3-restart"]; got != want {
		t.Errorf("%d after a reload, %d before", got, want)
	}
}
