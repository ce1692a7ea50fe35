package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/testdata/need"
)

// TestGoals holds every goal that the lab's captures can say something of, and those of the corpus where it is at hand. All
// of it is judged once.
func TestGoals(t *testing.T) {
	need.Long(t)
	corpus := os.Getenv("ROJE_CORPUS")
	if corpus == "" {
		corpus = filepath.Join(need.Root(t), "..", "shared", "pcaps")
	}
	r, err := judgeAll(t.Context(), filepath.Join(need.Root(t), "testdata"), corpus)
	if err != nil {
		t.Fatal(err)
	}
	hold(t, r, "G1", "G2", "G7", "G11", "G12", "G13")
	holdRules(t, r)
	t.Run("corpus", func(t *testing.T) {
		need.Corpus(t)
		judged(t, r, "G5", "G10", "G14")
		for _, s := range r.skipped {
			if strings.Contains(s, "nobody says") || strings.Contains(s, "labels.json does not have it") {
				t.Error(s)
			}
		}
	})
}

// TestNoCorpus: that the public captures are missing is said.
func TestNoCorpus(t *testing.T) {
	var r report
	if err := r.judgePublic(t.Context(), nil, filepath.Join(t.TempDir(), "nowhere")); err != nil {
		t.Fatal(err)
	}
	if len(r.skipped) != 1 || !strings.HasPrefix(r.skipped[0], "every public data set: no corpus") {
		t.Errorf("nobody says that the corpus is missing: %q", r.skipped)
	}
}

// hold reports the goals that are not met, and those that were not judged.
func hold(t *testing.T, r *report, ids ...string) {
	t.Helper()
	var out bytes.Buffer
	r.print(&out)
	t.Log(out.String())
	for _, g := range r.failed() {
		t.Errorf("%s, %s: want %s, got %s", g.id, g.data, g.target, g.got)
	}
	judged(t, r, ids...)
	for _, v := range r.verdicts {
		if v.set == "lab act" && (len(v.attacks) != 1 || len(v.attacks[0].alerts) == 0 || v.attacks[0].order[0] != v.attacks[0].technique || v.most() > 2) {
			t.Errorf("%s: found %s with technique %s in %d incidents", v.name, v.after(), v.first(), v.most())
		}
	}
}

// judged reports the goals that nothing was said of.
func judged(t *testing.T, r *report, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if !slices.ContainsFunc(r.goals, func(g goal) bool { return g.id == id }) {
			t.Errorf("%s was not judged", id)
		}
	}
}

// TestFind: what counts as found, how soon, and what is false.
func TestFind(t *testing.T) {
	at := func(second int) time.Time { return time.Unix(int64(second), 0).UTC() }
	alert := func(first, last int, client, server, incident string) *rules.Alert {
		return &rules.Alert{Rule: "C01-x", Severity: rules.Medium, Incident: incident, Client: client, Server: server, Title: client + " sent " + server + ".", First: at(first), Last: at(last),
			Techniques: []string{"T1692.001"}}
	}
	act := deed{name: "act", start: at(100), end: at(200), hosts: []string{"10.0.0.1"}}
	for _, c := range []struct {
		name      string
		alerts    []*rules.Alert
		found     int
		incidents int
		after     time.Duration
		wrong     int
	}{
		{"nothing", nil, 0, 0, 0, 0},
		{"in time", []*rules.Alert{alert(130, 140, "10.0.0.1", "10.0.0.2", "a")}, 1, 1, 30 * time.Second, 0},
		{"as the server", []*rules.Alert{alert(130, 140, "10.0.0.2", "10.0.0.1", "a")}, 1, 1, 30 * time.Second, 0},
		{"a minute after the end", []*rules.Alert{alert(260, 260, "10.0.0.1", "10.0.0.2", "a")}, 1, 1, 160 * time.Second, 0},
		{"too late", []*rules.Alert{alert(261, 261, "10.0.0.1", "10.0.0.2", "a")}, 0, 0, 0, 1},
		{"before", []*rules.Alert{alert(80, 99, "10.0.0.1", "10.0.0.2", "a")}, 0, 0, 0, 1},
		{"it goes on into the attack", []*rules.Alert{alert(80, 100, "10.0.0.1", "10.0.0.2", "a")}, 1, 1, 0, 0},
		{"of another host whose address begins alike", []*rules.Alert{alert(130, 140, "10.0.0.10", "10.0.0.11", "a")}, 0, 0, 0, 1},
		{"two in one incident", []*rules.Alert{alert(140, 140, "10.0.0.1", "10.0.0.2", "a"), alert(130, 130, "10.0.0.1", "10.0.0.3", "a")}, 2, 1, 30 * time.Second, 0},
		{"a later part of its incident", []*rules.Alert{alert(140, 140, "10.0.0.1", "10.0.0.2", "a"), alert(900, 900, "10.0.0.4", "10.0.0.5", "a")}, 1, 1, 40 * time.Second, 0},
		{"and another incident", []*rules.Alert{alert(140, 140, "10.0.0.1", "10.0.0.2", "a"), alert(150, 150, "10.0.0.4", "10.0.0.5", "b"), alert(160, 160, "10.0.0.4", "10.0.0.5", "b")}, 1, 1, 40 * time.Second, 1},
	} {
		v := &verdict{alerts: c.alerts, days: 2, attacks: []finding{find(act, c.alerts)}}
		v.falsehoods()
		f := v.attacks[0]
		if len(f.alerts) != c.found || f.incidents != c.incidents || f.after != c.after || len(v.wrong) != c.wrong {
			t.Errorf("%s: %d alerts in %d incidents after %v, %d false", c.name, len(f.alerts), f.incidents, f.after, len(v.wrong))
		}
		if want := map[int]string{0: "none", 1: "command 0.50"}[c.wrong]; v.falsely() != want {
			t.Errorf("%s: %q, want %q", c.name, v.falsely(), want)
		}
	}
}
