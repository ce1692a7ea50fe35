package cmd

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	acts "github.com/roje-ot/roje/cmd/roje-lab/script"
	"github.com/roje-ot/roje/collector"
	"github.com/roje-ot/roje/collector/account"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/sqlite"
	"github.com/roje-ot/roje/collector/taps"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/sensor"
	"github.com/roje-ot/roje/sensor/enrol"
)

const tapsPassword = "a reader of taps"

// A tappedSite is the collector of sensors at taps.
type tappedSite struct {
	*testing.T
	data string
	db   *sqlite.DB
}

// collect runs the collector while do runs.
func (p *tappedSite) collect(do func(collector.Started)) {
	p.Helper()
	cfg := collector.Config{Data: p.data, Console: collector.Listen{Address: "127.0.0.1:0"}, Ingest: collector.Listen{Address: "127.0.0.1:0"}}
	ctx, stop := context.WithCancel(p.Context())
	up, ended := make(chan collector.Started, 1), make(chan error, 1)
	go func() { ended <- collector.Run(ctx, cfg, quiet(), func(s collector.Started) { up <- s }) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			p.Error(err)
		}
	}()
	select {
	case s := <-up:
		do(s)
	case err := <-ended:
		ended <- nil
		p.Fatalf("the collector does not start: %v", err)
	}
}

// watch has a sensor of its own watch a capture from end to end, and say which path it is on.
func (p *tappedSite) watch(name, path, capture string) {
	p.Helper()
	state := filepath.Join(p.TempDir(), name)
	id := answered(p.T, enrol.Options{Dir: filepath.Join(state, "enrolment"), Name: name, Now: time.Now}, p.data)
	run := func(ctx context.Context, pace string) error {
		file := filepath.Join(p.TempDir(), "sensor.yaml")
		text := fmt.Sprintf("state: %s\nphase: off\ntaps: [%s]\nreplay: {files: [%s]%s}\n", state, path, capture, pace)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return err
		}
		cfg, err := sensor.LoadConfig(file)
		if err != nil {
			return err
		}
		return sensor.Run(ctx, cfg, "test", quiet())
	}
	if err := run(p.Context(), ""); err != nil {
		p.Fatal(err)
	}
	if p.said(id.Sensor, path) {
		return
	}
	// What it says of itself as it ends may not be delivered: it says so again, at the capture's first frames.
	ctx, stop := context.WithCancel(p.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, ", pace: 0.001") }()
	for late := time.Now().Add(2 * time.Minute); !p.said(id.Sensor, path); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(late) {
			p.Fatalf("sensor %s has not said that it watches %s", name, path)
		}
	}
	stop()
	if err := <-ended; err != nil {
		p.Fatal(err)
	}
}

// said tells whether the collector has heard from a sensor that it watches a path.
func (p *tappedSite) said(sensor, path string) bool {
	p.Helper()
	s, err := p.db.GetSensor(p.Context(), p.scope(), sensor)
	if err != nil {
		p.Fatal(err)
	}
	var h batch.Health
	return json.Unmarshal(s.Health, &h) == nil && slices.Contains(h.Taps, path)
}

func (p *tappedSite) scope() store.Scope {
	scope, err := store.For(collector.DefaultOperator)
	if err != nil {
		p.Fatal(err)
	}
	return scope
}

// alerts asks the collector's API for what the comparison has found, until it has found something.
func (p *tappedSite) alerts(console string) (all []rules.Alert) {
	p.Helper()
	for late := time.Now().Add(2 * time.Minute); len(all) == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(late) {
			p.Fatal("no alert says that two taps differ")
		}
		req, err := http.NewRequestWithContext(p.Context(), http.MethodGet, strings.TrimRight(console, "/")+"/api/v1/alerts?rule="+taps.Rule, nil)
		if err != nil {
			p.Fatal(err)
		}
		req.SetBasicAuth("reader", tapsPassword)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			p.Fatal(err)
		}
		var page struct{ Alerts []rules.Alert }
		err = json.NewDecoder(resp.Body).Decode(&page)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK {
			p.Fatalf("%s: %v", resp.Status, err)
		}
		all = page.Alerts
	}
	return all
}

// TestTaps records a path of the lab by two taps, with a host between them that turns one command into its opposite, and
// another path of the same addresses where nobody does, the clocks differ by a third of a second, and one tap loses frames. Four
// sensors deliver that to a collector, whose API then has one alert.
func TestTaps(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long, and the race detector sees these daemons in other tests")
	}
	p := &tappedSite{T: t, data: filepath.Join(t.TempDir(), "collector")}
	begin := time.Now().Truncate(time.Second)
	changed := acts.Path{Start: begin.Add(-10 * time.Minute), Turns: 5}
	// Earlier: what is found there would be stored first.
	honest := acts.Path{Start: begin.Add(-20 * time.Minute), Ahead: 300 * time.Millisecond, Lost: 40}
	p.collect(func(collector.Started) {
		var err error
		if p.db, err = sqlite.Open(p.data); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.db.Close() })
		u := store.User{Name: "reader", Role: store.Viewer, Hash: account.Hash(tapsPassword), Created: begin}
		if err := p.db.PutUser(t.Context(), p.scope(), u, "test", begin); err != nil {
			t.Fatal(err)
		}
		for _, path := range []struct {
			name string
			acts.Path
		}{{"honest", honest}, {"changed", changed}} { // the one that is found is complete last
			dir := t.TempDir()
			if err := path.Make(dir, 1); err != nil {
				t.Fatal(err)
			}
			p.watch(path.name+"-near", path.name, filepath.Join(dir, acts.NearFile))
			p.watch(path.name+"-far", path.name, filepath.Join(dir, acts.FarFile))
		}
	})
	var found []rules.Alert
	p.collect(func(s collector.Started) { found = p.alerts(s.Console) }) // at its start it compares what is there
	for _, a := range found {
		t.Log(a.Title)
	}
	if len(found) != 1 {
		t.Fatalf("%d alerts, want one", len(found))
	}
	a := found[0]
	if a.Severity != rules.Critical || a.Client != "10.10.1.10" || a.Server != "10.10.1.103" || a.Name != "C_SC_NA_1" || a.Incident == "" || !a.First.After(changed.Start) {
		t.Errorf("%+v", a)
	}
	for _, word := range []string{"path changed", "sensor changed-near saw", "sensor changed-far saw", "C_SC_NA_1 of address 5003 = 0", "C_SC_NA_1 of address 5003 = 1"} {
		if !strings.Contains(a.Title, word) {
			t.Errorf("%q does not say %q", a.Title, word)
		}
	}
}
