package collector

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/share/specimen"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/testdata/need"
)

// aCampaign has three sites see the same act, and puts all of it into a case. Its alerts are c-0 to c-2, of 10.0.N.66.
func aCampaign(t *testing.T, db store.Store, scope store.Scope) (campaign, opened string) {
	t.Helper()
	for i := range 3 {
		a := specimen.Alerts()[0]
		a.ID, a.Rule, a.Severity, a.Client, a.Incident = fmt.Sprint("c-", i), "iec104-restart", rules.High, fmt.Sprintf("10.0.%d.66:40000", i), ""
		a.Title = fmt.Sprintf("10.0.%d.66 restarted a station", i)
		a.First = a.First.Add(time.Duration(i) * time.Minute)
		a.Last = a.First
		spool := specimen.Spool{Sensor: fmt.Sprint("c", i)}
		spool.Enrol(t, db, scope, time.Now(), fmt.Sprint("Substation ", i))
		spool.Deliver(t, db, scope, time.Now(), a)
	}
	for {
		n, err := db.Correlate(t.Context(), scope, store.Usual, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
	}
	list, _, err := db.ListCampaigns(t.Context(), scope, 3, "", 1)
	if err != nil || len(list) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	c, err := db.OpenCase(t.Context(), scope, "The restarts at 10.0.1.66", "ana", time.Now())
	if err == nil {
		err = db.AddToCase(t.Context(), scope, c.ID, store.ItemCampaign, list[0].ID, "ana", time.Now())
	}
	if err != nil {
		t.Fatal(err)
	}
	return list[0].ID, c.ID
}

// TestReleasedGroups walks the release of a campaign and a case at the console, and holds what CERTs get of it: an object
// that refers to those of its alerts, one event in MISP, nothing of an alert that was kept or is above the ceiling, and all of
// it taken back by a retraction.
func TestReleasedGroups(t *testing.T) {
	need.Long(t)
	r := start(t, Config{})
	db, scope := r.store()
	campaign, opened := aCampaign(t, db, scope)
	r.user("ana", store.Analyst, "a long password")
	r.user("kos", store.CERT, "kos cert reads here")
	r.user("mne", store.CERT, "mne cert reads here")
	u, err := db.GetUser(t.Context(), scope, "mne")
	if err != nil {
		t.Fatal(err)
	}
	u.Ceiling = store.Green
	if err := db.PutUser(t.Context(), scope, u, "test", time.Now()); err != nil {
		t.Fatal(err)
	}
	ana := newTab(t, strings.TrimSuffix(r.Console, "/"))
	ana.post("/signin", "name", "ana", "password", "a long password")
	ana.get("/campaigns/"+campaign).want("nothing released", "/campaigns/"+campaign, 200, "None of its alerts is released")
	ana.post("/campaigns/"+campaign+"/release", "tlp", "green").want("nothing released", "/campaigns/"+campaign+"/release", 409, "None of its alerts is released")
	for id, tlp := range map[string]store.TLP{"c-0": store.Green, "c-1": store.Amber} { // c-2 is kept
		if _, err := db.Release(t.Context(), scope, id, tlp, "ana", time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	for _, page := range []string{"/campaigns/" + campaign, "/cases/" + opened} {
		ana.get(page).want("before", page, 200, "2 of its alerts are released")
		ana.get(page+"?tlp=green&masked=yes").want("the preview", page, 200, "TLP:GREEN", `"object_refs"`)
		if strings.Contains(ana.text, `"10.0.2.66`) || strings.Contains(ana.text, "c-2") {
			t.Errorf("%s: the preview has the alert that is kept", page)
		}
		seen := between(ana.text, `name="seen" value="`, `"`)
		ana.post(page+"/release", "tlp", "green", "masked", "yes", "seen", "another").want("not what was seen", page+"/release", 409, "changed")
		ana.post(page+"/release", "tlp", "green", "masked", "yes", "seen", seen).want("released", page, 200, "TLP:GREEN")
	}
	get := func(name, path string) string {
		t.Helper()
		status, body := r.get(path, name, name+" cert reads here")
		if status != 200 {
			t.Fatalf("%s as %s: %d %s", path, name, status, body)
		}
		return body
	}
	const all = "/taxii2/roje/collections/b2b27a0a-9ed5-5c3f-8f0d-3a4c1ce3f2d4/objects/?limit=1000"
	for _, c := range []struct {
		name                   string
		sites, events, sighted int
	}{{"kos", 2, 4, 2}, {"mne", 1, 3, 1}} {
		var got struct {
			Objects []struct {
				ID, Type, Name, Description string
				Refs                        []string `json:"object_refs"`
				Source                      string   `json:"source_ref"`
				Target                      string   `json:"target_ref"`
			}
		}
		text := get(c.name, all)
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatal(err)
		}
		known, types := map[string]bool{}, map[string]int{}
		for _, o := range got.Objects {
			types[o.Type]++
			for _, ref := range append(o.Refs, o.Source, o.Target) {
				if ref != "" && !known[ref] {
					t.Errorf("%s: %s refers to %s, which does not stand before it", c.name, o.ID, ref)
				}
			}
			known[o.ID] = true
			if o.Type == "campaign" && o.Name != fmt.Sprintf("iec104-restart at %d sites", c.sites) || o.Type == "incident" && strings.Contains(o.Name, "10.0.1.66") {
				t.Errorf("%s: %s is called %q", c.name, o.Type, o.Name)
			}
		}
		if types["campaign"] != 1 || types["incident"] != 1 || types["grouping"] != 2 || types["sighting"] != c.sighted {
			t.Errorf("%s gets %v, want %d sightings in a campaign and an incident", c.name, types, c.sighted)
		}
		var manifest map[string]struct {
			Info string
			Tag  []struct{ Name string }
		}
		if err := json.Unmarshal([]byte(get(c.name, "/misp/manifest.json")), &manifest); err != nil || len(manifest) != c.events {
			t.Fatalf("%s: %d events, %v, want %d", c.name, len(manifest), err, c.events)
		}
		for id, e := range manifest {
			event := get(c.name, "/misp/"+id+".json")
			if strings.HasPrefix(e.Info, "iec104-restart at") && (strings.Count(event, "network-connection") != c.sighted || e.Tag[0].Name != map[string]string{"kos": "tlp:amber", "mne": "tlp:green"}[c.name]) {
				t.Errorf("%s: %s\n%s", c.name, e, event)
			}
			text += event
		}
		for _, kept := range []string{"10.0.2.66", "c-2"} {
			if strings.Contains(text, kept) {
				t.Errorf("%s gets %q, which was kept", c.name, kept)
			}
		}
		if strings.Contains(text, "10.0.1.66") != (c.name == "kos") {
			t.Errorf("%s: what is above the ceiling of one is there: %v", c.name, c.name != "kos")
		}
	}
	grown(t, ana, "/cases/"+opened, "/cases", func() string { return get("kos", all+"&match[type]=incident&match[version]=all") }, func() error {
		title := "The restarts at three sites"
		return db.SetCase(t.Context(), scope, opened, store.CaseChange{Title: &title}, "ana", time.Now())
	})
	grown(t, ana, "/campaigns/"+campaign, "/campaigns", func() string { return get("kos", all+"&match[type]=campaign&match[version]=all") }, func() error {
		_, err := db.Release(t.Context(), scope, "c-2", store.Green, "ana", time.Now())
		return err
	})
	ana.post("/cases/"+opened+"/retract").want("taken back", "/cases/"+opened, 200)
	if text := get("mne", all+"&match[type]=incident"); !strings.Contains(text, `"revoked":true`) {
		t.Errorf("after the retraction: %s", text)
	}
	if text := get("mne", "/misp/manifest.json"); !strings.Contains(text, "[retracted] The restarts") {
		t.Errorf("after the retraction: %s", text)
	}
}

// grown holds that a release says that it is out of date once there is more to say, on its page and in the list, and not before;
// that one button makes the next version of the same object; and that it is not out of date then.
func grown(t *testing.T, ana *tab, page, list string, versions func() string, grow func() error) {
	t.Helper()
	type version struct{ ID, Created, Modified string }
	read := func() []version {
		t.Helper()
		var got struct{ Objects []version }
		if err := json.Unmarshal([]byte(versions()), &got); err != nil {
			t.Fatal(err)
		}
		return got.Objects
	}
	const button = `id="release-again"`
	stale := func(when string, want bool) {
		t.Helper()
		for _, at := range []string{page, list} {
			ana.get(at).want(when, at, 200)
			if got := strings.Contains(ana.text, "out of date"); got != want {
				t.Errorf("%s: %s says that it is out of date: %v", when, at, got)
			}
		}
		ana.get(page)
		if got := strings.Contains(ana.text, button); got != want {
			t.Errorf("%s: %s has the button: %v", when, page, got)
		}
	}
	before := read()
	stale("before", false)
	if err := grow(); err != nil {
		t.Fatal(err)
	}
	stale("grown", true)
	form, _, _ := strings.Cut(ana.text, button)
	form = form[strings.LastIndex(form, "<form"):]
	fields := []string{"tlp", between(form, `name="tlp" value="`, `"`), "seen", between(form, `name="seen" value="`, `"`)}
	if strings.Contains(form, `name="masked"`) {
		fields = append(fields, "masked", "yes")
	}
	ana.post(page+"/release", fields...).want("released anew", page, 200, "TLP:GREEN")
	stale("released anew", false)
	after := read()
	if len(before) != 1 || len(after) != 2 || after[1].ID != before[0].ID || after[1].Created != before[0].Created || after[1].Modified <= before[0].Modified {
		t.Errorf("%s: versions %+v, then %+v", page, before, after)
	}
}

// between is the text that stands between two others.
func between(text, before, after string) string {
	_, rest, _ := strings.Cut(text, before)
	part, _, _ := strings.Cut(rest, after)
	return part
}
