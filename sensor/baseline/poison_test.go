package baseline_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/sensor"
	"github.com/roje-ot/roje/sensor/baseline"
	"github.com/roje-ot/roje/testdata/need"
)

// TestPoison has each act of attack of the lab happen while two weeks of test runs and two normal days are being learned. Approving what was seen
// often, reads and commands alike, approves nothing of an act: either it is alerted at once, in the learning phase, or
// the same act raises an alert once the proposal is enforced, since what it brought was rare, mixed or held.
func TestPoison(t *testing.T) {
	need.Long(t)
	dir := filepath.Join(need.Root(t), "testdata")
	text, err := os.ReadFile(filepath.Join(dir, "acts.json"))
	if err != nil {
		t.Fatal(err)
	}
	var lab struct {
		Captures []struct {
			File string
			Acts []act
		}
	}
	if err := json.Unmarshal(text, &lab); err != nil {
		t.Fatal(err)
	}
	days := t.TempDir()
	learnOnly(t, days, filepath.Join(dir, "weeks-normal.pcap.gz"), filepath.Join(dir, "day-normal.pcapng.gz"), filepath.Join(dir, "day-normal-2.pcap.gz"))
	acts, atOnce, later := 0, 0, 0
	for _, c := range lab.Captures {
		if !strings.HasPrefix(c.File, "act-") {
			continue
		}
		state := t.TempDir()
		if err := os.CopyFS(state, os.DirFS(days)); err != nil {
			t.Fatal(err)
		}
		alerts := learnOnly(t, state, filepath.Join(dir, c.File))
		var enforced []*rules.Alert
		for _, act := range c.Acts {
			acts++
			if act.find(alerts) {
				atOnce++
				continue
			}
			if enforced == nil {
				approveOften(t, state)
				enforced = replayFiles(t, rules.Enforce, state, filepath.Join(dir, c.File))
			}
			if act.find(enforced) || act.noticed(enforced) {
				later++
			} else {
				t.Errorf("%s was learned and approved without a word", act.Act)
			}
		}
	}
	t.Logf("%d acts: %d alerted while learning, %d not approved", acts, atOnce, later)
}

// learnOnly learns over captures and approves nothing; it returns the alerts.
func learnOnly(t *testing.T, state string, files ...string) []*rules.Alert {
	t.Helper()
	return replayWith(t, sensor.Replaying{Captures: files, Phase: rules.Learn, State: state, Propose: true})
}

func approveOften(t *testing.T, state string) {
	t.Helper()
	b, _, err := baseline.Open(state, baseline.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d := b.Decide(baseline.Choice{Who: "engineer", Why: "test", At: time.Unix(0, 0), Classes: []baseline.Class{baseline.Reads, baseline.Commands}})
	if len(d.Approved) == 0 {
		t.Error("two days have left nothing to approve")
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}

// noticed tells whether an alert of any kind is of the actor and a victim while the act went on.
func (a *act) noticed(alerts []*rules.Alert) bool {
	return slices.ContainsFunc(alerts, func(al *rules.Alert) bool {
		return al.Client == a.ActorAddr && slices.Contains(a.Victims, al.Server) && !al.Last.Before(a.Start) && !al.First.After(a.End.Add(time.Second))
	})
}
