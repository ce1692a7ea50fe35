package api

import (
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/roje-ot/roje/collector/account"
	"github.com/roje-ot/roje/collector/sector"
	"github.com/roje-ot/roje/collector/share/specimen"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/batch"
)

// newServer serves the calls to everybody; who may call is the guard's matter, and tested there.
func newServer(t *testing.T) (string, store.Store, store.Scope) {
	db, scope := specimen.Store(t)
	log := slog.New(slog.DiscardHandler)
	s := &Server{Store: db, Scope: scope, Logger: log, Metrics: NewMetrics(db, scope, log).Handler(), Now: time.Now,
		Sector: &sector.Finder{CERT: scope.Operator(), Logger: log}}
	for _, name := range []string{"north", "south"} {
		s.Sector.Operators = append(s.Sector.Operators, sector.Operator{Scope: specimen.Consenting(t, db, name, scope.Operator(), store.CompareActs, time.Now(), 2), Store: db})
	}
	mux := http.NewServeMux()
	for _, r := range s.Routes() {
		mux.HandleFunc(r.Pattern, r.Handler)
	}
	ts := httptest.NewServer(mux)
	t.Cleanup(ts.Close)
	return ts.URL, db, scope
}

func get(t *testing.T, address string) (int, any) {
	t.Helper()
	resp, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := jsonschema.UnmarshalJSON(resp.Body)
	if err != nil {
		t.Fatalf("%s: %v", address, err)
	}
	return resp.StatusCode, body
}

// TestDocument holds the OpenAPI document against the routes, and every answer against the document.
func TestDocument(t *testing.T) {
	address, db, scope := newServer(t)
	now := time.Now()
	spool := specimen.Spool{Sensor: "s1"}
	spool.Deliver(t, db, scope, now, specimen.Alerts()...)
	spool.Enrol(t, db, scope, now, "site")
	spool.Report(t, db, scope, now, batch.Health{At: now, Phase: "learn", Packets: 7})
	capture := bring(t, db, scope, &spool, now)
	fillFleet(t, db, scope, now)
	_, document := get(t, address+"/api/v1/openapi.json")
	doc := document.(map[string]any)
	paths := doc["paths"].(map[string]any)
	var routed []string
	for _, r := range (&Server{Metrics: http.NotFoundHandler(), Sector: &sector.Finder{}}).Routes() {
		if path, ok := strings.CutPrefix(r.Pattern, "GET /api/v1/"); ok && path != "openapi.json" {
			routed = append(routed, "/api/v1/"+path)
			if r.Door != account.API {
				t.Errorf("%s has another door than the API's", r.Pattern)
			}
		}
	}
	slices.Sort(routed)
	if got := slices.Sorted(maps.Keys(paths)); !slices.Equal(got, routed) {
		t.Errorf("documented %v, routed %v", got, routed)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("openapi.json", doc); err != nil {
		t.Fatal(err)
	}
	for path := range paths {
		if strings.HasSuffix(path, ".pcapng") {
			readCapture(t, address+strings.ReplaceAll(path, "{id}", "a-104"), capture)
			continue
		}
		pointer := "openapi.json#/paths/" + strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(path) + "/get/responses/200/content/application~1json/schema"
		schema, err := compiler.Compile(pointer)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		id := "a-104"
		for part, of := range map[string]string{"coverage": "s1.20260302T000000Z", "campaigns": "campaign-1", "cases": "case-1"} {
			if strings.Contains(path, part) {
				id = of
			}
		}
		status, body := get(t, address+strings.ReplaceAll(path, "{id}", id))
		if status != http.StatusOK {
			t.Errorf("%s: status %d", path, status)
		}
		if err := schema.Validate(body); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if err := schema.Validate(map[string]any{"alerts": "none", "sensors": 1, "statements": 1, "members": 1, "packs": 1, "campaigns": 1, "cases": 1, "letters": 1, "operators": 1}); err == nil {
			t.Errorf("%s: its schema takes anything", path)
		}
	}
}

// TestFilters holds what each parameter does, by how many specimens it leaves.
func TestFilters(t *testing.T) {
	address, db, scope := newServer(t)
	spool := specimen.Spool{Sensor: "s1"}
	spool.Deliver(t, db, scope, time.Now(), specimen.Alerts()...)
	if err := db.SetStatus(t.Context(), scope, "a-arp", store.Acked, "ann", time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Release(t.Context(), scope, "a-104", store.Green, "ann", time.Now()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		query  string
		status int
		want   int
	}{
		{"", 200, 5}, {"severity=high", 200, 2}, {"severity=high,notice", 200, 3}, {"severity=high&severity=notice", 200, 3}, {"min_severity=medium", 200, 4},
		{"status=ack", 200, 1}, {"status=new,ack", 200, 5}, {"rule=arp-binding-changed", 200, 1}, {"sensor=s1", 200, 5}, {"sensor=s2", 200, 0},
		{"proto=modbus", 200, 1}, {"incident=i-1", 200, 2}, {"host=10.20.0.7", 200, 2}, {"q=BREAKER", 200, 1}, {"released=true", 200, 1}, {"released=false", 200, 4},
		{"since=2026-11-21T08:33:00Z", 200, 3}, {"until=2026-11-21T08:33", 200, 2}, {"until=2026-11-20", 200, 0}, {"limit=2", 200, 2}, {"severity=", 200, 5},
		{"severity=severe", 400, 0}, {"status=open", 400, 0}, {"released=maybe", 400, 0}, {"since=today", 400, 0}, {"limit=0", 400, 0}, {"limit=1001", 400, 0},
		{"limit=x", 400, 0}, {"cursor=nonsense", 400, 0}, {"severty=high", 400, 0},
	} {
		status, body := get(t, address+"/api/v1/alerts?"+c.query)
		alerts, _ := body.(map[string]any)["alerts"].([]any)
		if status != c.status || len(alerts) != c.want {
			t.Errorf("%q: status %d with %d alerts, want %d with %d", c.query, status, len(alerts), c.status, c.want)
		}
		if status != 200 && body.(map[string]any)["error"] == nil {
			t.Errorf("%q: %v says nothing", c.query, body)
		}
	}
}

func TestPages(t *testing.T) {
	address, db, scope := newServer(t)
	spool := specimen.Spool{Sensor: "s1"}
	spool.Deliver(t, db, scope, time.Now(), specimen.Alerts()...)
	for limit := range 6 {
		var got []string
		cursor := ""
		for range 10 {
			_, body := get(t, address+"/api/v1/alerts?"+url.Values{"limit": {string(rune('1' + limit))}, "cursor": {cursor}}.Encode())
			page := body.(map[string]any)
			for _, a := range page["alerts"].([]any) {
				got = append(got, a.(map[string]any)["id"].(string))
			}
			next, more := page["next"].(string)
			if !more {
				break
			}
			cursor = next
		}
		if want := []string{"a-bare", "a-arp", "a-dnp3", "a-modbus", "a-104"}; !slices.Equal(got, want) {
			t.Errorf("limit %d: %v, want %v", limit+1, got, want)
		}
	}
}

// TestAlertIsTheContract holds that an alert of the API has every member that the sensor wrote, unchanged.
func TestAlertIsTheContract(t *testing.T) {
	address, db, scope := newServer(t)
	spool := specimen.Spool{Sensor: "s1"}
	spool.Deliver(t, db, scope, time.Now(), specimen.Alerts()...)
	for _, a := range specimen.Alerts() {
		resp, err := http.Get(address + "/api/v1/alerts/" + a.ID)
		if err != nil {
			t.Fatal(err)
		}
		var got rules.Alert
		err = json.NewDecoder(resp.Body).Decode(&got)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, a) {
			t.Errorf("got\n%+v\nwant\n%+v", got, a)
		}
	}
	if status, _ := get(t, address+"/api/v1/alerts/none"); status != http.StatusNotFound {
		t.Errorf("an alert that is not there: %d", status)
	}
	if status, _ := get(t, address+"/api/v1/nothing"); status != http.StatusNotFound {
		t.Errorf("a call that is not there: %d", status)
	}
}

func TestMetrics(t *testing.T) {
	db, scope := specimen.Store(t)
	m := NewMetrics(db, scope, slog.New(slog.DiscardHandler))
	changes := make(chan store.Change, 4)
	changes <- store.Change{What: "new", Level: rules.High}
	changes <- store.Change{What: "updated", Level: rules.High}
	changes <- store.Change{What: "new", Level: rules.Low}
	close(changes)
	m.Follow(t.Context(), changes)
	spool := specimen.Spool{Sensor: "s1"}
	spool.Enrol(t, db, scope, time.Now(), "site")
	spool.Deliver(t, db, scope, time.Now(), specimen.Alerts()...)
	spool.Report(t, db, scope, time.Now(), batch.Health{Packets: 7})
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, line := range []string{`roje_sensor_packets_total{sensor="s1"} 7`, `roje_sensor_alerts{sensor="s1"} 5`, `roje_alerts_total{severity="high"} 1`, `roje_alerts_total{severity="low"} 1`, "go_goroutines "} {
		if !strings.Contains(w.Body.String(), line) {
			t.Errorf("no line %s in\n%s", line, w.Body)
		}
	}
}
