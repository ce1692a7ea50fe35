package sensor

import (
	"encoding/json"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/sensor/ledger"
	"github.com/roje-ot/roje/sensor/maintenance"
	"github.com/roje-ot/roje/sensor/socket"
	"github.com/roje-ot/roje/testdata/need"
)

// jsonLines reads JSON Lines of a file; none where there is none.
func jsonLines[T any](t *testing.T, path string) (all []T) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var v T
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return all
}

// TestMaintenance: of an attack during maintenance, what is high or critical is raised and names the work, the rest is
// kept back and is in the list; the begin and the end are said, and the actions name the work. Without it all is raised.
func TestMaintenance(t *testing.T) {
	var files []string
	for _, name := range []string{"act-modbus-flood.pcap", "act-iec104-industroyer2.pcap", "act-dnp3-cold-restart.pcap", "act-dnp3-function-scan.pcap"} {
		files = append(files, filepath.Join(need.Root(t), "testdata", name))
	}
	run := func(works []maintenance.Window) (d *daemon, raised, withheld []rules.Alert) {
		out := filepath.Join(t.TempDir(), "alerts")
		d = standing(t, Config{Phase: "enforce", Alerts: out, Maintenance: works, Replay: Recorded{Files: files}}, slog.New(slog.DiscardHandler))
		if err := d.serve(t.Context()); err != nil {
			t.Fatal(err)
		}
		d.box.flush()
		return d, jsonLines[rules.Alert](t, out), jsonLines[rules.Alert](t, filepath.Join(d.cfg.State, withheldFile))
	}
	_, plain, none := run(nil)
	if len(plain) == 0 || len(none) > 0 {
		t.Fatalf("%d alerts, %d kept back", len(plain), len(none))
	}
	at, last := plain[0].First, plain[0].Last
	for _, a := range plain {
		if at.After(a.First) {
			at = a.First
		}
		if last.Before(a.Last) {
			last = a.Last
		}
	}
	work := maintenance.Window{Who: "anna", Why: "firmware", From: at.Add(-24 * time.Hour), Until: last.Add(time.Hour), Hosts: []string{"0.0.0.0/0"}}
	d, raised, withheld := run([]maintenance.Window{work})
	grave, said := 0, 0
	for _, a := range plain {
		if a.Severity > rules.Medium {
			grave++
		}
	}
	for _, a := range raised {
		if !strings.Contains(a.Maintenance, "by anna until ") {
			t.Errorf("%s does not name the work: %q", a.Rule, a.Maintenance)
		}
		if strings.HasPrefix(a.Rule, "sensor-maintenance-") {
			said++
		} else if a.Severity <= rules.Medium {
			t.Errorf("%s of severity %s was raised", a.Rule, a.Severity)
		}
	}
	if said != 1 || len(raised) != grave+said || len(withheld) != len(plain)-grave || len(withheld) == 0 {
		t.Errorf("%d raised, of which %d about the work itself, %d kept back; want %d grave ones of %d", len(raised), said, len(withheld), grave, len(plain))
	}
	h := d.baselineHealth()
	if h == nil || len(h.Windows) != 1 || h.Windows[0].Withheld != uint64(len(withheld)) || h.Windows[0].Raised != uint64(grave) {
		t.Errorf("%+v", h)
	}
	r := ledger.Record{Client: plain[0].Client, Server: plain[0].Server}
	if d.named(&r); !strings.Contains(r.Maintenance, "by anna") {
		t.Errorf("an action does not name the work: %q", r.Maintenance)
	}

	work.Until = at.Add(-time.Hour)
	_, raised, withheld = run([]maintenance.Window{work})
	over := 0
	for _, a := range raised {
		if a.Rule == "sensor-maintenance-over" {
			over++
		}
	}
	if over != 1 || len(raised) != len(plain)+2 || len(withheld) != 0 {
		t.Errorf("after it is over: %d raised, %d of its end, %d kept back; want %d and 2", len(raised), over, len(withheld), len(plain))
	}
}

// TestMaintenanceTeachesNothing: while work is done on all hosts nothing is learned, and what a running sensor was told of
// more work is in force at once and there after a restart.
func TestMaintenanceTeachesNothing(t *testing.T) {
	file := filepath.Join(need.Root(t), "testdata", "demo.pcap")
	var first int64
	if err := Replay(t.Context(), Replaying{Captures: []string{file}, Phase: rules.Off, seen: func(e *rules.Event) {
		if first == 0 {
			first = e.At
		}
	}}); err != nil {
		t.Fatal(err)
	}
	from := time.Unix(0, first)
	work := maintenance.Window{Who: "anna", Why: "w", From: from, Until: from.Add(24 * time.Hour), Hosts: []string{"0.0.0.0/0"}}
	d := standing(t, Config{Phase: "learn", Maintenance: []maintenance.Window{work}, Replay: Recorded{Files: []string{file}}}, slog.New(slog.DiscardHandler))
	if err := d.serve(t.Context()); err != nil {
		t.Fatal(err)
	}
	if items := d.base.Items(); d.readers[0].messages.Load() == 0 || len(items) != 0 {
		t.Errorf("%d items were learned of %d messages", len(items), d.readers[0].messages.Load())
	}
	var out strings.Builder
	work.From = from.Add(-time.Hour)
	order := MaintenanceOrder{Do: "begin", Who: "boss", Window: work}
	if err := socket.Ask(t.Context(), d.cfg.State, MaintenanceOrders, order, &out); err != nil || !strings.Contains(out.String(), " by boss") {
		t.Fatalf("%v %s", err, out.String())
	}
	if at := from.Add(-time.Minute).UnixNano(); !d.atWork(netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2"), at) {
		t.Error("it is not in force")
	}
	again, err := maintenance.Open(d.cfg.State, nil)
	if err != nil || len(again.Windows()) != 2 || !again.Windows()[0].Begun {
		t.Errorf("%v: %+v", err, again.Windows())
	}
}
