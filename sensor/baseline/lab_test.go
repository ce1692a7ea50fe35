package baseline_test

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/testdata/need"
)

// act is what the lab says of one act of attack.
type act struct {
	Act        string
	Start, End time.Time
	ActorAddr  string   `json:"actor_addr"`
	Victims    []string `json:"victim_addrs"`
	Techniques []string
}

// unseen are the acts whose own technique no rule tells yet, and why. They are found as what else they are.
var unseen = map[string]string{}

// TestLab learns the lab's normal day. Another normal day raises nothing high; each act of attack raises, on the actor
// or a victim and by the end of the act, an alert with one of its techniques.
func TestLab(t *testing.T) {
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
	state := t.TempDir()
	replayFiles(t, rules.Learn, state, filepath.Join(dir, "weeks-normal.pcap.gz"), filepath.Join(dir, "day-normal.pcapng.gz"))
	n := 0
	for _, c := range lab.Captures {
		if !strings.HasPrefix(c.File, "day-") && !strings.HasPrefix(c.File, "act-") {
			continue // all acts in one, or all that a protocol can say
		}
		alerts := replayFiles(t, rules.Enforce, state, filepath.Join(dir, c.File))
		if len(c.Acts) == 0 {
			for _, a := range alerts {
				if a.Severity >= rules.High {
					t.Errorf("%s: %s %s %s", c.File, a.Severity, a.Rule, a.Title)
				}
			}
		}
		for _, act := range c.Acts {
			n++
			if found := act.find(alerts); !found && unseen[act.Act] == "" {
				t.Errorf("%s: no alert with one of %v", act.Act, act.Techniques)
			} else if found && unseen[act.Act] != "" {
				t.Errorf("%s is seen now; take it from the list of unseen ones", act.Act)
			}
		}
	}
	if n < 40 {
		t.Errorf("only %d acts", n)
	}
}

// find tells whether an alert names the act's technique and one of its hosts while it went on.
func (a *act) find(alerts []*rules.Alert) bool {
	hosts := append([]string{a.ActorAddr}, a.Victims...)
	return slices.ContainsFunc(alerts, func(al *rules.Alert) bool {
		named := slices.ContainsFunc(hosts, func(h string) bool {
			_, err := netip.ParseAddr(h)
			return err == nil && (al.Client == h || al.Server == h) && strings.Contains(al.Title, h)
		})
		inTime := !al.Last.Before(a.Start) && !al.First.After(a.End.Add(time.Second))
		return named && inTime && slices.ContainsFunc(al.Techniques, a.tells)
	})
}

// tells says whether a technique is the act's own. That a stranger is a rogue master is true of most acts and tells
// only those that are nothing else.
func (a *act) tells(technique string) bool {
	const rogueMaster = "T0848"
	return slices.Contains(a.Techniques, technique) && (technique != rogueMaster || len(a.Techniques) == 1)
}
