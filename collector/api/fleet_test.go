package api

import (
	"fmt"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/share/specimen"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules"
)

// fillFleet has the same act at three sites, a case, and a pack for all.
func fillFleet(t *testing.T, db store.Store, scope store.Scope, now time.Time) {
	t.Helper()
	for i := range 3 {
		a := specimen.Alerts()[0]
		a.ID, a.Severity = fmt.Sprint("c-", i), rules.High
		a.Last = a.First
		other := specimen.Spool{Sensor: fmt.Sprint("c", i)}
		other.Deliver(t, db, scope, now, a)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := db.Correlate(t.Context(), scope, store.Usual, now)
	must(err)
	c, err := db.OpenCase(t.Context(), scope, "A case", "ann", now)
	must(err)
	must(db.AddToCase(t.Context(), scope, c.ID, store.ItemAlert, "c-1", "ann", now))
	must(db.NoteCase(t.Context(), scope, c.ID, "A note.", "ann", now))
	sent, err := db.SendLetter(t.Context(), scope, store.Letter{At: now, From: "cert", Kind: store.LetterEvidence, Alert: "c-1", TLP: store.Green, Text: "The frames, please."})
	must(err)
	must(db.AnswerLetter(t.Context(), scope, sent.ID, store.LetterAnswer{State: store.LetterDeclined}, "ann", now))
	until := now.Add(time.Hour)
	must(db.PutPack(t.Context(), scope, store.Pack{SHA256: "aa", Kind: "rules", Name: "grid", Version: 1, Created: now, Expires: &until, Sensors: []string{"site"}, Who: "ann", At: now}, []byte("x")))
	must(db.Assign(t.Context(), scope, store.TargetAll, "aa", "ann", now))
}

// TestFleet holds that what was filled in is what the calls give.
func TestFleet(t *testing.T) {
	address, db, scope := newServer(t)
	now := time.Now()
	spool := specimen.Spool{Sensor: "s1"}
	spool.Enrol(t, db, scope, now, "site")
	fillFleet(t, db, scope, now)
	for path, want := range map[string]string{
		"fleet":                 "members.0.packs.0.state=lags",
		"packs":                 "assignments.0.target=all",
		"campaigns":             "campaigns.0.sites=3",
		"campaigns/campaign-1":  "seen.2.sensor=c2",
		"cases":                 "cases.0.title=A case",
		"letters":               "letters.0.state=declined",
		"sector":                "campaigns.0.seen.1.sites=2",
		"cases/case-1":          "items.0.ref=c-1",
		"campaigns/campaign-99": "error=not found",
		"cases/a-104":           "error=not found",
		"campaigns?limit=x":     `error=limit: "x" is not a whole number from 1 to 1000`,
		"cases?state=open":      `error=unknown parameter "state"; there are cursor, limit`,
	} {
		_, body := get(t, address+"/api/v1/"+path)
		if got := leaves(body, ""); !got[want] {
			t.Errorf("%s: nowhere %s in %v", path, want, got)
		}
	}
}

// leaves are the values of a JSON text with where they are.
func leaves(v any, at string) map[string]bool {
	all := map[string]bool{}
	add := func(name string, child any) {
		for leaf := range leaves(child, at+"."+name) {
			all[leaf] = true
		}
	}
	switch v := v.(type) {
	case map[string]any:
		for name, child := range v {
			add(name, child)
		}
	case []any:
		for i, child := range v {
			add(fmt.Sprint(i), child)
		}
	default:
		if at != "" {
			at = at[1:]
		}
		all[fmt.Sprintf("%s=%v", at, v)] = true
	}
	return all
}
