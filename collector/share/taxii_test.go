package share_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/share"
	"github.com/roje-ot/roje/collector/share/specimen"
	"github.com/roje-ot/roje/collector/store"
)

// A feed is a TAXII server over a store with released alerts, and its clock.
type feed struct {
	t     testing.TB
	db    store.Store
	scope store.Scope
	url   string
	now   time.Time
}

func newFeed(t testing.TB) *feed {
	db, scope := specimen.Store(t)
	f := &feed{t: t, db: db, scope: scope, now: specimen.Start.Add(time.Hour)}
	shelf, err := share.OpenShelf(filepath.Join(t.TempDir(), "shared.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shelf.Close() })
	server := &share.Server{Log: shelf, Feed: func(context.Context) string { return share.Recipient{Name: "cert"}.Feed(scope.Operator()) }, Logger: slog.New(slog.DiscardHandler), Title: "Roje",
		Refresh: func(ctx context.Context) error {
			return shelf.Follow(ctx, db, scope, share.Recipient{Name: "cert"}, func() time.Time { return f.now })
		}}
	mux := http.NewServeMux()
	for _, r := range server.Resources() {
		mux.Handle(r.Pattern, r.Handler)
	}
	ts := httptest.NewServer(mux)
	t.Cleanup(ts.Close)
	f.url = ts.URL
	spool := specimen.Spool{Sensor: "s1"}
	spool.Deliver(t, db, scope, f.now, specimen.Alerts()...)
	return f
}

func (f *feed) release(tlp store.TLP, ids ...string) {
	f.t.Helper()
	for _, id := range ids {
		if _, err := f.db.Release(f.t.Context(), f.scope, id, tlp, "ana", f.now); err != nil {
			f.t.Fatal(err)
		}
	}
}

// get asks for a path below /taxii2/ and decodes the answer.
func (f *feed) get(path string, query url.Values) (int, http.Header, map[string]any) {
	f.t.Helper()
	return f.ask(http.MethodGet, path+"?"+query.Encode(), share.MediaType)
}

func (f *feed) ask(method, path, accept string) (int, http.Header, map[string]any) {
	f.t.Helper()
	req, err := http.NewRequest(method, f.url+"/taxii2/"+path, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	var body map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		f.t.Fatalf("%s: %v", path, err)
	}
	if got := resp.Header.Get("Content-Type"); got != share.MediaType {
		f.t.Errorf("%s: content type %q, want %q", path, got, share.MediaType)
	}
	return resp.StatusCode, resp.Header, body
}

const (
	objects  = "roje/collections/" + share.Collection + "/objects/"
	manifest = "roje/collections/" + share.Collection + "/manifest/"
)

// list returns one member of every object of an answer.
func list(body map[string]any, envelope, member string) (out []string) {
	items, _ := body[envelope].([]any)
	for _, item := range items {
		o, ok := item.(map[string]any)
		if !ok {
			out = append(out, item.(string))
			continue
		}
		text, _ := o[member].(string)
		out = append(out, text)
	}
	return out
}

func TestDiscovery(t *testing.T) {
	f := newFeed(t)
	for _, c := range []struct{ path, member, want string }{
		{"", "default", "/taxii2/roje/"},
		{"", "api_roots", "[/taxii2/roje/]"},
		{"roje/", "versions", "[application/taxii+json;version=2.1]"},
		{"roje/", "max_content_length", "1.048576e+06"},
		{"roje/collections/" + share.Collection + "/", "id", share.Collection},
		{"roje/collections/" + share.Collection + "/", "can_read", "true"},
		{"roje/collections/" + share.Collection + "/", "can_write", "false"},
		{"roje/collections/" + share.Collection + "/", "media_types", "[application/stix+json;version=2.1]"},
	} {
		status, _, body := f.get(c.path, nil)
		if got := fmt.Sprint(body[c.member]); status != http.StatusOK || got != c.want {
			t.Errorf("%s: %s is %s (status %d), want %s", c.path, c.member, got, status, c.want)
		}
	}
	if _, _, body := f.get("roje/collections/", nil); !slices.Equal(list(body, "collections", "id"), []string{share.Collection}) {
		t.Errorf("collections: %v", body)
	}
}

func TestRefusals(t *testing.T) {
	f := newFeed(t)
	f.release(store.Green, "a-104")
	for _, c := range []struct {
		method, path, accept string
		status               int
	}{
		{"GET", "", "application/json", http.StatusNotAcceptable},
		{"GET", "", "application/taxii+json;version=2.0", http.StatusNotAcceptable},
		{"GET", objects, "text/html, application/stix+json;version=2.1", http.StatusNotAcceptable},
		{"GET", objects, "application/taxii+json; version=2.1;q=0", http.StatusNotAcceptable},
		{"GET", objects, "application/taxii+json; version=\"2.1\"", http.StatusOK},
		{"GET", objects, "application/taxii+json", http.StatusOK},
		{"GET", objects, "text/html, */*;q=0.1", http.StatusOK},
		{"GET", objects, "", http.StatusOK},
		{"GET", "nothing/", "", http.StatusNotFound},
		{"GET", "roje/status/1/", "", http.StatusNotFound},
		{"GET", "roje/collections/d3b07384-d113-4c6b-8f0d-000000000000/objects/", "", http.StatusNotFound},
		{"GET", objects + "indicator--d3b07384-d113-4c6b-8f0d-000000000000/", "", http.StatusNotFound},
		{"GET", objects + "indicator--d3b07384-d113-4c6b-8f0d-000000000000/versions/", "", http.StatusNotFound},
		{"GET", objects + "?limit=0", "", http.StatusBadRequest},
		{"GET", objects + "?limit=-1", "", http.StatusBadRequest},
		{"GET", objects + "?limit=ten", "", http.StatusBadRequest},
		{"GET", objects + "?added_after=yesterday", "", http.StatusBadRequest},
		{"GET", objects + "?match[version]=newest", "", http.StatusBadRequest},
		{"GET", objects + "?match[id]=" + strings.Repeat("a,", 600), "", http.StatusBadRequest},
		{"POST", objects, "", http.StatusUnsupportedMediaType},
		{"DELETE", objects + "indicator--d3b07384-d113-4c6b-8f0d-000000000000/", "", http.StatusForbidden},
	} {
		status, _, body := f.ask(c.method, c.path, c.accept)
		if status != c.status {
			t.Errorf("%s %s (Accept %q): status %d, want %d", c.method, c.path, c.accept, status, c.status)
		}
		if status != http.StatusOK && (body["title"] == nil || body["http_status"] != fmt.Sprint(status)) {
			t.Errorf("%s %s: %v is not a TAXII error", c.method, c.path, body)
		}
	}
}

func TestNothingUnreleased(t *testing.T) {
	f := newFeed(t)
	status, header, body := f.get(objects, nil)
	if status != http.StatusOK || len(body) != 0 || header.Get("X-TAXII-Date-Added-First") != "" {
		t.Fatalf("nothing is released, but: %d %v %v", status, header, body)
	}
	f.release(store.Amber, "a-modbus")
	_, _, body = f.get(objects, url.Values{"limit": {"1000"}})
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "10.30.0.20") {
		t.Error("the released alert is not there")
	}
	for _, word := range []string{"10.20.0", "C_SC_NA_1", "COLD_RESTART", "2001:db8", "s1\"", "\"i-1", "\"ana\""} {
		if strings.Contains(string(text), word) {
			t.Errorf("%q left, and nobody released it", word)
		}
	}
}

// TestPages reads the log in pages of every size in the ways that clients do, and expects the same each time.
func TestPages(t *testing.T) {
	f := newFeed(t)
	f.release(store.Green, "a-104", "a-modbus", "a-dnp3", "a-arp", "a-bare")
	_, header, body := f.get(objects, url.Values{"limit": {"1000"}})
	want := list(body, "objects", "id")
	if len(want) < 30 || body["more"] != nil || body["next"] != nil {
		t.Fatalf("whole log: %d objects, more %v, next %v", len(want), body["more"], body["next"])
	}
	first, last := header.Get("X-TAXII-Date-Added-First"), header.Get("X-TAXII-Date-Added-Last")
	ways := map[string]func(q url.Values, next string, h http.Header) url.Values{
		"next with the same query": func(q url.Values, next string, _ http.Header) url.Values {
			q.Set("next", next)
			return q
		},
		"next without added_after": func(q url.Values, next string, _ http.Header) url.Values {
			return url.Values{"next": {next}, "limit": q["limit"]}
		},
		"added_after of the last": func(q url.Values, _ string, h http.Header) url.Values {
			return url.Values{"added_after": {h.Get("X-TAXII-Date-Added-Last")}, "limit": q["limit"]}
		},
		"added_after cut to milliseconds": func(q url.Values, _ string, h http.Header) url.Values {
			at, err := time.Parse(time.RFC3339Nano, h.Get("X-TAXII-Date-Added-Last"))
			if err != nil {
				t.Fatal(err)
			}
			return url.Values{"added_after": {at.Format("2006-01-02T15:04:05.000Z")}, "limit": q["limit"]}
		},
	}
	for name, follow := range ways {
		for _, path := range []string{objects, manifest} {
			for _, limit := range []int{1, 2, 7, len(want) - 1, len(want), 1000} {
				var got []string
				q := url.Values{"limit": {fmt.Sprint(limit)}, "added_after": {"2020-01-01T00:00:00Z"}}
				for range len(want) + 1 {
					_, header, body := f.get(path, q)
					page := list(body, "objects", "id")
					got = append(got, page...)
					if len(page) > limit {
						t.Errorf("%s, limit %d: a page of %d", name, limit, len(page))
					}
					if (body["more"] == true) != (body["next"] != nil) {
						t.Errorf("%s, limit %d: more %v but next %v", name, limit, body["more"], body["next"])
					}
					if body["more"] != true {
						break
					}
					q = follow(q, body["next"].(string), header)
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s, %s, limit %d: got %d objects, want %d in the same order", name, path, limit, len(got), len(want))
				}
			}
		}
	}
	_, _, body = f.get(objects, url.Values{"added_after": {last}})
	if len(body) != 0 {
		t.Errorf("added_after the last: %v, want {}: it is exclusive", body)
	}
	_, header, _ = f.get(objects, url.Values{"added_after": {first}})
	if got := header.Get("X-TAXII-Date-Added-First"); got <= first || len(got) != len("2026-11-21T09:30:00.250000Z") {
		t.Errorf("the first after %s is %s", first, got)
	}
	_, _, body = f.get(objects, url.Values{"next": {"bm90IG91cnM"}, "limit": {"1000"}})
	if got := list(body, "objects", "id"); !slices.Equal(got, want) {
		t.Errorf("a cursor of another collection gives %d objects, want all %d", len(got), len(want))
	}
}

// TestOrder holds the log to its promise: one millisecond each, and nothing refers to what comes later.
func TestOrder(t *testing.T) {
	f := newFeed(t)
	f.release(store.Green, "a-104", "a-modbus")
	f.release(store.Amber, "a-dnp3", "a-arp")
	_, _, dates := f.get(manifest, url.Values{"limit": {"1000"}})
	added := list(dates, "objects", "date_added")
	for i, date := range added {
		at, err := time.Parse("2006-01-02T15:04:05.000000Z", date)
		if err != nil || at.Nanosecond()%1e6 != 0 {
			t.Errorf("date_added %s: not a whole millisecond with six decimals (%v)", date, err)
		}
		if i > 0 && date <= added[i-1] {
			t.Errorf("date_added %s follows %s", date, added[i-1])
		}
	}
	_, _, body := f.get(objects, url.Values{"limit": {"1000"}})
	seen := map[string]bool{}
	for _, item := range body["objects"].([]any) {
		o := item.(map[string]any)
		for name, value := range o {
			var refs []any
			switch {
			case strings.HasSuffix(name, "_ref"):
				refs = []any{value}
			case strings.HasSuffix(name, "_refs"):
				refs = value.([]any)
			case name == "extensions":
				for id := range value.(map[string]any) {
					if id != "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d" { // TLP 2.0, which OASIS defines
						refs = append(refs, id)
					}
				}
			}
			for _, ref := range refs {
				if !seen[ref.(string)] {
					t.Errorf("%s refers by %s to %s, which is not before it", o["id"], name, ref)
				}
			}
		}
		if seen[o["id"].(string)] {
			t.Errorf("%s is there twice", o["id"])
		}
		seen[o["id"].(string)] = true
	}
}

func TestMatch(t *testing.T) {
	f := newFeed(t)
	f.release(store.Green, "a-104", "a-modbus")
	_, _, body := f.get(objects, url.Values{"match[type]": {"sighting"}})
	sightings := list(body, "objects", "id")
	if len(sightings) != 2 {
		t.Fatalf("sightings: %v", sightings)
	}
	id := sightings[0]
	f.now = f.now.Add(time.Minute)
	f.release(store.Amber, "a-104")
	if _, err := f.db.Retract(t.Context(), f.scope, "a-104", "ana", f.now.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	f.now = f.now.Add(time.Hour)
	_, _, body = f.get(objects+id+"/versions/", nil)
	versions := list(body, "versions", "")
	if len(versions) != 3 || !slices.IsSorted(versions) {
		t.Fatalf("versions: %v", versions)
	}
	for _, c := range []struct {
		path  string
		query url.Values
		want  int
	}{
		{objects, url.Values{"match[id]": {id}}, 1},
		{objects, url.Values{"match[id]": {strings.Join(sightings, ",")}}, 2},
		{objects, url.Values{"match[id]": {strings.Join(sightings, ",")}, "match[type]": {"note"}}, 0},
		{objects, url.Values{"match[type]": {"sighting,note"}}, 4},
		{objects, url.Values{"match[type]": {"sighting"}, "match[version]": {"all"}}, 4},
		{objects, url.Values{"match[type]": {"sighting"}, "match[version]": {"first"}}, 2},
		{objects, url.Values{"match[type]": {"sighting"}, "match[version]": {"first,last"}}, 3},
		{objects + id + "/", url.Values{"match[version]": {"all"}}, 3},
		{objects + id + "/", url.Values{"match[version]": {versions[1]}}, 1},
		{objects + id + "/", url.Values{"match[version]": {"2020-01-01T00:00:00Z"}}, 0},
		{objects + id + "/", nil, 1},
		{objects + id + "/", url.Values{"match[spec_version]": {"2.0"}}, 0},
		{objects + id + "/", url.Values{"match[spec_version]": {"2.0,2.1"}}, 1},
		{manifest, url.Values{"match[type]": {"sighting"}, "match[version]": {"all"}}, 4},
	} {
		_, _, body := f.get(c.path, c.query)
		if got := list(body, "objects", "id"); len(got) != c.want {
			t.Errorf("%s %v: %d objects, want %d", c.path, c.query, len(got), c.want)
		}
	}
	_, _, body = f.get(objects+id+"/", nil)
	last := body["objects"].([]any)[0].(map[string]any)
	if last["revoked"] != true || last["modified"] != versions[2] || last["created"] != versions[0] {
		t.Errorf("after the retraction: revoked %v, created %v, modified %v; versions %v", last["revoked"], last["created"], last["modified"], versions)
	}
	_, _, body = f.get(objects, url.Values{"match[type]": {"sighting"}, "match[version]": {"all"}, "limit": {"1"}})
	_, _, body = f.get(objects, url.Values{"next": {body["next"].(string)}})
	if got := list(body, "objects", "id"); len(got) != 3 {
		t.Errorf("next keeps the filters: %v, want the other three sightings", got)
	}
}

// TestRed holds that no way leads from RED into the log.
func TestRed(t *testing.T) {
	f := newFeed(t)
	if _, err := f.db.Release(t.Context(), f.scope, "a-104", "red", "ana", f.now); err == nil {
		t.Error("the store released as red")
	}
	a, err := f.db.GetAlert(t.Context(), f.scope, "a-104")
	if err != nil {
		t.Fatal(err)
	}
	if got := share.Bundle("north-grid", store.Released{Alert: a, TLP: "red", Added: f.now, Created: f.now}); len(got) != 0 {
		t.Errorf("red gives %d objects", len(got))
	}
	if _, _, body := f.get(objects, nil); len(body) != 0 {
		t.Errorf("after a refused release: %v", body)
	}
}
