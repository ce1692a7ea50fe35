package sensor

import (
	"encoding/json"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/sensor/baseline"
	"github.com/roje-ot/roje/sensor/socket"
	"github.com/roje-ot/roje/testdata/need"
)

// rehearsing is a daemon that has learned the traffic of demo.pcap, reads it once more and then an attack that it learns
// too, with a candidate of all that it had learned before.
func rehearsing(t *testing.T, state string) *daemon {
	t.Helper()
	dir := filepath.Join(need.Root(t), "testdata")
	files := []string{filepath.Join(dir, "demo.pcap"), filepath.Join(dir, "act-iec104-industroyer2.pcap")}
	if err := Replay(t.Context(), Replaying{Captures: files[:1], Phase: rules.Learn, Propose: true, State: state}); err != nil {
		t.Fatal(err)
	}
	return standing(t, Config{Phase: "learn", State: state, Replay: Recorded{Files: files}}, slog.New(slog.DiscardHandler))
}

// TestRehearsal: what would be raised is counted by family and not raised; a running sensor says it, also to its health
// record, and counts on after a restart.
func TestRehearsal(t *testing.T) {
	state := t.TempDir()
	d := rehearsing(t, state)
	asked := func(o RehearsalOrder) string {
		t.Helper()
		var out strings.Builder
		if err := socket.Ask(t.Context(), state, RehearsalOrders, o, &out); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	begun := false
	d.readers[0].source = &turnstile{Source: d.readers[0].source, at: map[int]func(){100: func() {
		if text := asked(RehearsalOrder{}); !strings.HasPrefix(text, "nothing of [engineered reads commands mixed] was seen often enough") {
			t.Errorf("%s", text)
		}
		asked(RehearsalOrder{Begin: true, Who: "anna", Classes: []baseline.Class{baseline.Reads, baseline.Commands, baseline.Mixed, baseline.Rarely}})
		begun = d.rehearsal.base != nil
	}}}
	if err := d.serve(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !begun {
		t.Fatal("there is no candidate")
	}
	h := d.baselineHealth()
	if h == nil || h.Shadow == nil || !h.Shadow.Ready || h.Shadow.Alerts["access"] == 0 || h.Shadow.Incidents == 0 || h.Shadow.ADay == 0 {
		got, _ := json.Marshal(h)
		t.Fatalf("%s: want alerts of the family access", got)
	}
	if text := asked(RehearsalOrder{}); !strings.Contains(text, "would have raised") || !strings.Contains(text, "  access, such as: ") {
		t.Errorf("%s", text)
	}
	if d.base.Phase() != rules.Learn || len(d.base.Waiting()) == 0 {
		t.Error("something was approved")
	}
	again := &daemon{cfg: d.cfg, log: d.log}
	if _, err := again.openRehearsal(); err != nil {
		t.Fatal(err)
	}
	if got := again.rehearsal.tally.health(true); got.Incidents != h.Shadow.Incidents || got.Alerts["access"] != h.Shadow.Alerts["access"] {
		t.Errorf("after a restart %+v, before %+v", got, h.Shadow)
	}
}

// TestRehearsalCost: a message that the candidate knows costs no allocation, and one that is enforced is not rehearsed.
func TestRehearsalCost(t *testing.T) {
	d := rehearsing(t, t.TempDir())
	d.rehearsal.tally.Classes = []baseline.Class{baseline.Reads, baseline.Commands, baseline.Mixed, baseline.Rarely}
	var polls int
	worst := -1.0
	know := d.readers[0].pipeline.Judge
	d.readers[0].pipeline.Judge = func(e *rules.Event) {
		know(e)
		if polls++; polls == 200 {
			d.mu.Unlock() // it is the reader's
			if err := d.prepareRehearsal(); err != nil {
				t.Error(err)
			}
			d.mu.Lock()
		}
		if polls > 700 && worst < 0 && e.What == rules.Message && e.Msg.Proto.Name == "modbus" && e.Msg.Op == protocols.Read && e.Msg.From == protocols.Client {
			worst = testing.AllocsPerRun(100, func() { d.rehearsal.rehearse(e) })
			if f := d.rehearsal.event.Facts; f.Novel != 0 || !f.Approved || f.Phase != rules.Enforce {
				t.Errorf("an ordinary request was judged %+v", f)
			}
		}
	}
	if err := d.serve(t.Context()); err != nil {
		t.Fatal(err)
	}
	if worst != 0 {
		t.Errorf("%v allocations for a message that is known", worst)
	}
	at := d.rehearsal.tally.Days[0].Last
	d.rehearsal.rehearse(&rules.Event{At: at + int64(time.Second), Facts: rules.Facts{Phase: rules.Enforce}})
	if d.rehearsal.tally.Days[0].Last != at {
		t.Error("what is enforced was rehearsed")
	}
}
