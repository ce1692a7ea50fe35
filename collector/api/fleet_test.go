package api

import (
	"fmt"
	"slices"
	"strings"
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

// TestPagesOfSensors holds that the lists of sensors come whole as ever, and in pages of which each sensor is on one, also when
// sensors join meanwhile.
func TestPagesOfSensors(t *testing.T) {
	address, db, scope := newServer(t)
	now := time.Now()
	join := func(id string) {
		spool := specimen.Spool{Sensor: id}
		spool.Enrol(t, db, scope, now, "site "+id)
	}
	for _, id := range []string{"s4", "s1", "s3", "s0", "s2"} {
		join(id)
	}
	for _, c := range []struct{ path, list, id, joins string }{{"fleet", "members", "sensor", "b"}, {"sensors", "sensors", "id", "a"}} {
		ask := func(query string) (ids []string, next string) {
			t.Helper()
			status, body := get(t, address+"/api/v1/"+c.path+query)
			answer := body.(map[string]any)
			if status != 200 {
				t.Fatalf("%s%s: %v", c.path, query, answer)
			}
			for _, row := range answer[c.list].([]any) {
				ids = append(ids, row.(map[string]any)[c.id].(string))
			}
			next, _ = answer["next"].(string)
			return ids, next
		}
		all, next := ask("")
		if len(all) < 5 || next != "" {
			t.Errorf("%s: whole %v, next %q", c.path, all, next)
		}
		slices.Sort(all)
		var got []string
		for cursor := "?limit=2"; ; {
			ids, next := ask(cursor)
			if got = append(got, ids...); next == "" {
				break
			}
			join(c.joins + fmt.Sprint(len(got))) // before the cursor
			if cursor = "?limit=2&cursor=" + next; len(ids) != 2 {
				t.Errorf("%s: a page of %v", c.path, ids)
			}
		}
		if !slices.Equal(got, all) {
			t.Errorf("%s: by pages %v, whole %v", c.path, got, all)
		}
		for query, want := range map[string]string{"?limit=0": "whole number", "?cursor=x": "cursor", "?cursor=" + "c29tZS1vdGhlcg": "cursor", "?limti=2": "unknown parameter"} {
			if status, body := get(t, address+"/api/v1/"+c.path+query); status != 400 || !strings.Contains(fmt.Sprint(body), want) {
				t.Errorf("%s%s: %d %v", c.path, query, status, body)
			}
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
