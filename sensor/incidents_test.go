package sensor

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roje-ot/roje/testdata/need"
)

// TestBudgetConfig: a budget that makes no sense, or a name that is none of its, is an error.
func TestBudgetConfig(t *testing.T) {
	for text, want := range map[string]string{
		"{site: 20, asset: 5}": "", "{}": "", "{site: -1}": "cannot be less than 0", "{asset: -1}": "cannot be less than 0", "{sites: 3}": `did you mean "site"?`,
	} {
		_, err := LoadConfig(put(t, filepath.Join(t.TempDir(), "sensor.yaml"), "interfaces: [eth1]\nbudget: "+text))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// TestDayOfIncidents: the health record and the metrics say how many incidents have begun, and with which rule.
func TestDayOfIncidents(t *testing.T) {
	d := standing(t, Config{Budget: Budget{Site: 7}, Replay: Recorded{Files: []string{filepath.Join(need.Root(t), "testdata", "act-dnp3-cold-restart.pcap")}}}, slog.New(slog.DiscardHandler))
	if h := d.dayHealth(); h.Incidents != 0 || len(h.Noisy) != 0 || h.Before != nil {
		t.Errorf("at the start: %+v", h)
	}
	if err := d.serve(t.Context()); err != nil {
		t.Fatal(err)
	}
	h := d.dayHealth()
	if h.Incidents != 1 || h.Budget != 7 || len(h.Noisy) != 1 || h.Noisy[0].Rule == "" || h.Noisy[0].Incidents != 1 || h.Begin.Year() < 2026 || h.Gathered != 0 {
		t.Errorf("%+v", h)
	}
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(d.metrics); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		if name := f.GetName(); strings.HasPrefix(name, "roje_incidents") || name == "roje_alerts_gathered_total" {
			got[name] = f.Metric[0].GetGauge().GetValue() + f.Metric[0].GetCounter().GetValue()
		}
	}
	for name, want := range map[string]float64{"roje_incidents_total": 1, "roje_incidents_today": 1, "roje_incidents_budget": 7, "roje_alerts_gathered_total": 0} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %v, want %v", name, v, want)
		}
	}
}
