package sector_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/roje-ot/roje/collector/sector"
	"github.com/roje-ot/roje/collector/share/specimen"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules"
)

// remote is an operator "north" whose collector is h.
func remote(t *testing.T, h http.Handler) *sector.Remote {
	t.Helper()
	ts := httptest.NewServer(h)
	t.Cleanup(ts.Close)
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := sector.NewRemote(sector.Member{Name: "north", URL: ts.URL, Account: "feed", PasswordFile: file})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// firstReport is a report as the first version writes it; later ones must read it.
const firstReport = `{"operator":"north","state":"acts","cut":true,"runs":[{"rule":"dnp3-cold-restart","technique":"T0816","severity":"high","first":"2026-11-21T08:33:00Z","last":"2026-11-21T08:34:00Z","sites":2,"alerts":3,"released":true}]}`

// TestReports holds what is taken of what an operator's collector says, which may be anybody's.
func TestReports(t *testing.T) {
	since := time.Date(2026, 11, 15, 0, 0, 0, 0, time.UTC)
	change := func(from, to string) string {
		if !strings.Contains(firstReport, from) {
			t.Fatalf("%q is not in the report", from)
		}
		return strings.Replace(firstReport, from, to, 1)
	}
	for _, c := range []struct{ name, body, want string }{
		{"as it was first written", firstReport, ""},
		{"of a newer version", change(`"cut"`, `"more":{"a":1},"cut"`), ""},
		{"no JSON", "<html>", "invalid character"},
		{"another operator", change(`"north"`, `"south"`), `is the collector of "south"`},
		{"an unknown state", change(`"acts"`, `"everything"`), `its part is "everything"`},
		{"acts without a consent", change(`"acts"`, `"none"`), "tells of 1 acts"},
		{"a name of two lines", change(`"dnp3-cold-restart"`, `"a\nb"`), "no name"},
		{"a long name", change(`"dnp3-cold-restart"`, `"`+strings.Repeat("a", 201)+`"`), "no name"},
		{"no name", change(`"dnp3-cold-restart"`, `""`), `rule ""`},
		{"backwards", change("08:34", "08:32"), "08:33:00 to 2026-11-21 08:32:00"},
		{"before there were sensors", change("2026-11-21T08:33", "0001-11-21T08:33"), "0001-11-21"},
		{"after the last year", change("2026-11-21T08:34:00Z", "9999-12-31T23:34:00-12:00"), "10000-01-01"},
		{"not severe", change(`"high"`, `"medium"`), "medium"},
		{"an unknown severity", change(`"high"`, `"worst"`), "worst"},
		{"no sites", change(`"sites":2`, `"sites":0`), "0 sites"},
		{"more sites than alerts", change(`"alerts":3`, `"alerts":1`), "1 alerts at 2 sites"},
	} {
		r := remote(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if name, password, _ := r.BasicAuth(); name != "feed" || password != "secret" || r.URL.Path != sector.ReportPath {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			fmt.Fprint(w, c.body)
		}))
		got, err := r.Read(t.Context(), cert, since)
		if c.want != "" {
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%s: %v, want %q", c.name, err, c.want)
			}
			continue
		}
		if err != nil || len(got.Runs) != 1 || got.Runs[0].Severity != rules.High || got.Runs[0].Alerts != 3 || !got.Runs[0].Released || !got.Cut {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
		if got, err := r.Read(t.Context(), cert, since.AddDate(0, 1, 0)); err != nil || len(got.Runs) != 0 {
			t.Errorf("%s: what is too old is compared: %+v, %v", c.name, got, err)
		}
		if got, err := r.Read(t.Context(), cert, since.AddDate(0, -1, 0)); err != nil || len(got.Runs) != 0 {
			t.Errorf("%s: what is still to come is compared: %+v, %v", c.name, got, err)
		}
	}
}

// TestRemoteRefusals holds that the password goes to nobody else, and that a collector that does not answer is an error.
func TestRemoteRefusals(t *testing.T) {
	asked := make(chan string, 10)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r.URL.Path }))
	defer elsewhere.Close()
	for name, h := range map[string]http.Handler{
		"moved":   http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect),
		"refused": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }),
	} {
		r := remote(t, h)
		if _, err := r.Read(t.Context(), cert, time.Time{}); err == nil {
			t.Errorf("%s: read", name)
		}
		if err := r.Tell(t.Context(), cert, sector.Notice{}, time.Now()); err == nil {
			t.Errorf("%s: told", name)
		}
	}
	if len(asked) > 0 {
		t.Errorf("the other one was asked for %s", <-asked)
	}
}

// TestReportSchema holds what an operator's collector answers against its schema.
func TestReportSchema(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile("../../docs/schema/acts.json")
	if err != nil {
		t.Fatal(err)
	}
	db, _ := specimen.Store(t)
	now := time.Now()
	north := specimen.Consenting(t, db, "north", cert, store.CompareActs, now.Add(-time.Hour), 2)
	if _, err := db.Release(t.Context(), north, "r-north-0", store.Green, "ana", now); err != nil {
		t.Fatal(err)
	}
	for _, who := range []string{cert, "another-cert"} {
		report, err := sector.Operator{Scope: north, Store: db}.Read(t.Context(), who, now.Add(-sector.Window))
		if err != nil || (len(report.Runs) == 1) != (who == cert) {
			t.Fatalf("%s: %+v, %v", who, report, err)
		}
		raw, err := json.Marshal(report)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{string(raw), firstReport} {
			value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
			if err == nil {
				err = schema.Validate(value)
			}
			if err != nil {
				t.Errorf("%s: %v", text, err)
			}
		}
	}
	if err := schema.Validate(map[string]any{"operator": "north", "state": "acts", "runs": []any{map[string]any{"rule": "x", "client": "10.0.0.1"}}}); err == nil {
		t.Error("the schema takes an address")
	}
}
