package collector

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/share/specimen"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules/batch"
)

// TestCasesAndFleet works as people do: an analyst opens a case out of an alert, works on it and closes it; a campaign is
// shown and put into it; an engineer assigns a pack and sees which sensor has it; who may only read changes nothing.
func TestCasesAndFleet(t *testing.T) {
	f, address := newFrontend(t)
	ctx, now := t.Context(), time.Now()
	for i := range 3 {
		spool := specimen.Spool{Sensor: fmt.Sprint("s", i)}
		spool.Enrol(t, f.db, f.scope, now, fmt.Sprint("Site ", i))
		alerts := specimen.Alerts()
		for k := range alerts {
			if i > 0 {
				alerts[k].ID += fmt.Sprint("-", i)
			}
		}
		spool.Deliver(t, f.db, f.scope, now, alerts...)
		ms := int64(9000)
		spool.Report(t, f.db, f.scope, now, batch.Health{At: now, Phase: "enforce", Version: "1", ClockMS: &ms, Rules: &batch.RuleHealth{Rules: 5, Central: true, Pack: "grid", PackVersion: 1, PackSHA256: "aa", Refused: "a <b>bad</b> pack"}})
	}
	for _, v := range []uint64{1, 2} {
		if err := f.db.PutPack(ctx, f.scope, store.Pack{SHA256: strings.Repeat("ab"[v-1:v], 2), Kind: "rules", Name: "grid", Version: v, Who: "eve", Created: now, At: now}, []byte{1}); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := f.db.Correlate(ctx, f.scope, store.Usual, now); err != nil || n != 15 {
		t.Fatalf("looked at %d alerts, %v", n, err)
	}
	all := visitors(t, f, address)
	as := func(role store.Role) *http.Client {
		return all[slices.IndexFunc(all, func(v visitor) bool { return v.role == role && v.session })].client
	}
	page := func(role store.Role, path string) string {
		t.Helper()
		resp, err := as(role).Get(address + path)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		if _, err := copyAll(&b, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s %v", path, resp.Status, err)
		}
		return b.String()
	}
	send := func(role store.Role, path string, want int, form ...string) string {
		t.Helper()
		values := url.Values{}
		for i := 0; i < len(form); i += 2 {
			values.Set(form[i], form[i+1])
		}
		resp, err := as(role).PostForm(address+path, values)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := copyAll(io.Discard, resp.Body); err != nil || resp.StatusCode != want {
			t.Errorf("%s of %s %v: %s %v, want %d", path, role, form, resp.Status, err, want)
		}
		return resp.Header.Get("Location")
	}
	has := func(where, text string, want ...string) {
		t.Helper()
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%s says nowhere %q", where, w)
			}
		}
	}

	has("the alert", page(store.Analyst, "/alerts/a-104"), `value="incident:i-1"`, `value="alert:a-104"`)
	at := send(store.Analyst, "/cases", 303, "title", "Breaker <7>", "item", "incident:i-1")
	if at != "/cases/case-1" {
		t.Fatalf("the case is at %q", at)
	}
	send(store.Analyst, "/cases", 303, "case", "case-1", "item", "alert:a-arp")
	send(store.Analyst, "/cases", 422, "title", "")
	send(store.Analyst, "/cases", 404, "case", "case-1", "item", "alert:none")
	send(store.Analyst, "/cases", 422, "case", "case-1", "item", "sensor:s1")
	send(store.Viewer, "/cases", 403, "title", "x")
	send(store.Viewer, at, 403, "do", "take")
	send(store.Analyst, at, 303, "do", "take")
	send(store.Analyst, at, 303, "do", "note", "text", "Rang <the> control room.")
	send(store.Analyst, at, 422, "do", "note", "text", " ")
	send(store.Analyst, at, 422, "do", "dance")
	send(store.Analyst, at, 404, "do", "edit", "title", "x", "owner", "nobody")
	send(store.Analyst, at, 303, "do", "edit", "title", "Breaker <7>", "owner", "the-engineer")
	has("the case", page(store.Viewer, at), "Breaker &lt;7&gt;", "in work", "the-engineer", "Rang &lt;the&gt; control room.", "/?incident=i-1", "/alerts/a-arp", "case-add", `id="alert-a-arp"`)
	send(store.Analyst, at, 303, "do", "remove", "kind", "alert", "ref", "a-arp")
	send(store.Analyst, at, 303, "do", "close", "verdict", "benign")
	if text := page(store.Viewer, "/cases"); strings.Contains(text, "case-1") {
		t.Error("a closed case is among those that are not")
	}
	has("closed cases", page(store.Viewer, "/cases?closed=1"), "case-1", "happened, and was meant to")
	send(store.Analyst, at, 303, "do", "reopen")

	campaigns, _, err := f.db.ListCampaigns(ctx, f.scope, store.Usual.Sites, "", 9)
	if err != nil || len(campaigns) == 0 {
		t.Fatalf("%+v, %v", campaigns, err)
	}
	has("campaigns", page(store.Viewer, "/campaigns"), campaigns[0].ID, campaigns[0].Rule)
	text := page(store.Analyst, "/campaigns/"+campaigns[0].ID)
	has("a campaign", text, "Site 0", "Site 2", "3 alerts at 3 sites", `value="campaign:`+campaigns[0].ID+`"`)
	_, link, _ := strings.Cut(text, `<a href="/?rule=`)
	link, _, _ = strings.Cut(link, `"`)
	if n := strings.Count(page(store.Analyst, "/?rule="+html.UnescapeString(link)), `id="alert-`); n != 3 {
		t.Errorf("the campaign's link shows %d alerts, want 3", n)
	}
	send(store.Analyst, "/cases", 303, "case", "case-1", "item", "campaign:"+campaigns[0].ID)
	has("the case", page(store.Viewer, at), "/campaigns/"+campaigns[0].ID)

	send(store.Analyst, "/fleet/assign", 403, "pack", "bb", "target", "all")
	send(store.Engineer, "/fleet/assign", 422, "pack", "bb", "target", "everybody")
	send(store.Engineer, "/fleet/assign", 422, "pack", "none", "target", "all")
	send(store.Engineer, "/fleet/assign", 303, "pack", "bb", "target", "all")
	send(store.Engineer, "/fleet/assign", 303, "pack", "aa", "target", "site:Site 1")
	has("the fleet", page(store.Engineer, "/fleet"), "3 sensors, 3 need a look", "not yet taken (grid 2)", "runs it (grid 1)", "a &lt;b&gt;bad&lt;/b&gt; pack", "9000 ms", "site:Site 1", `name="unassign" value="rules"`)
	send(store.Engineer, "/fleet/assign", 303, "unassign", "rules", "target", "all")
	if text := page(store.Viewer, "/fleet"); strings.Contains(text, "<form method=\"post\" action=\"/fleet") || strings.Contains(text, "not yet taken") {
		t.Error("a viewer has forms, or a pack is assigned yet")
	}
	for _, language := range []string{"sq", "sr"} {
		send(store.Viewer, "/language", 303, "language", language, "next", "/")
		for _, path := range []string{"/fleet", "/campaigns", "/campaigns/" + campaigns[0].ID, "/cases", at} {
			if text := page(store.Viewer, path); !strings.Contains(text, `lang="`+language+`"`) || strings.Contains(text, "%!") {
				t.Errorf("%s in %s: %.300s", path, language, text)
			}
		}
	}
}
