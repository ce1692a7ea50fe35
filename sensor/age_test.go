package sensor

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/sensor/baseline"
	"github.com/roje-ot/roje/testdata/need"
)

// TestStaleIsSaid: what used to be there is said once a day, and counted in the health record.
func TestStaleIsSaid(t *testing.T) {
	state, out := t.TempDir(), filepath.Join(t.TempDir(), "alerts")
	file := filepath.Join(need.Root(t), "testdata", "demo.pcap")
	d := standing(t, Config{Phase: "enforce", State: state, Alerts: out, Replay: Recorded{Files: []string{file}}}, slog.New(slog.DiscardHandler))
	old := `{"kind":"host","host":"192.0.2.7","roles":["server"],"state":"approved","count":9,"first":"2001-01-01T00:00:00Z","last":"2001-02-01T00:00:00Z"}`
	d.base.Import(strings.NewReader(old))
	if err := d.serve(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.sayStale()
	d.sayStale()
	d.box.flush()
	said := 0
	for _, a := range jsonLines[rules.Alert](t, out) {
		if a.Rule == "sensor-baseline-stale" {
			said++
			if !strings.Contains(a.Title, "1 items") || !strings.Contains(a.Title, "192.0.2.7") {
				t.Errorf("%s", a.Title)
			}
		}
	}
	if h := d.baselineHealth(); said != 1 || h == nil || h.Stale != 1 {
		t.Errorf("said %d times, %+v", said, h)
	}
	if _, err := d.order(&baseline.Order{Do: "retire", Who: "anna"}, func(s string) string { return s }); err != nil || d.baselineHealth() != nil {
		t.Errorf("%v, %+v after it was retired", err, d.baselineHealth())
	}
}

// TestFullTables: what finds no room in the baseline is in the health record and in the metrics, by table.
func TestFullTables(t *testing.T) {
	d := standing(t, Config{Phase: "learn", Replay: Recorded{Files: []string{filepath.Join(need.Root(t), "testdata", "act-modbus-identify.pcap")}}}, slog.New(slog.DiscardHandler))
	if err := d.serve(t.Context()); err != nil {
		t.Fatal(err)
	}
	if h := d.baselineHealth(); h != nil && len(h.Full) > 0 {
		t.Errorf("%v is full after a minute of traffic", h.Full)
	}
	d.base.Overflow.Links = 7
	if h := d.baselineHealth(); h == nil || len(h.Full) != 1 || h.Full["links"] != 7 {
		t.Errorf("%+v", h)
	}
	metrics := make(chan prometheus.Metric, 100)
	d.collectBaseline(metrics)
	close(metrics)
	for m := range metrics {
		if m.Desc() == fullTables {
			return
		}
	}
	t.Error("no metric says so")
}
