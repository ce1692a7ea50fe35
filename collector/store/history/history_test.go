package history

import (
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/api"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/book"
	"github.com/roje-ot/roje/collector/store/postgres"
	"github.com/roje-ot/roje/collector/store/sqlite"
	"github.com/roje-ot/roje/collector/store/storetest"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/testdata/need"
)

var at = flag.String("at", "", "measure the store that was left here, a folder or a postgres:// URL, with as many alerts as -alerts says")

var only = flag.String("engine", "", "measure only this one: SQLite or PostgreSQL")

var sizes = flag.String("alerts", "200000", "how many alerts the benchmark's stores have, set apart by commas and growing")

// asked is what people ask of the API.
var asked = []struct{ what, path string }{
	{"first page", "/api/v1/alerts?limit=50"},
	{"page of one sensor", "/api/v1/alerts?limit=50&sensor=sensor-77"},
	{"high and critical", "/api/v1/alerts?limit=50&severity=high,critical"},
	{"new and critical of a rule", "/api/v1/alerts?limit=50&severity=critical&status=new&rule=rule-7"},
	{"one protocol", "/api/v1/alerts?limit=50&proto=dnp3"},
	{"since long ago", "/api/v1/alerts?limit=50&since=2020-01-01T00:00:00Z"},
	{"until long ago", "/api/v1/alerts?limit=50&until=2020-01-01T00:00:00Z"},
	{"a word that is everywhere", "/api/v1/alerts?limit=50&q=register"},
	{"a word that is nearly nowhere", "/api/v1/alerts?limit=50&q=needle"},
	{"a host", "/api/v1/alerts?limit=50&q=10.3.17.117"},
	{"an incident", "/api/v1/alerts?limit=50&incident=incident-1200"},
	{"an alert's page", "/api/v1/alerts/alert-50000"},
}

// BenchmarkHistory prints the median of what each question takes at the API, by size of the store.
func BenchmarkHistory(b *testing.B) {
	for name, open := range map[string]func(testing.TB) *filled{"SQLite": inSQLite, "PostgreSQL": inPostgres} {
		if *only != "" && *only != name || *at != "" && name != "SQLite" {
			continue
		}
		st := &filled{name: *at, alerts: 1 << 62}
		if *at != "" {
			st.Store = left(b, *at)
		} else {
			st = open(b)
			fleet(b, st)
		}
		served := serve(b, st, storetest.For(b, operator))
		for _, text := range strings.Split(*sizes, ",") {
			n, err := strconv.Atoi(text)
			if err != nil {
				b.Fatal(err)
			}
			began := time.Now()
			st.grow(b, n)
			b.Logf("%s: %d alerts, filled in %v", st.name, n, time.Since(began).Round(time.Second))
			middle := book.MakeCursor("a", 1700000000000000000+int64(n/2)*10000000000)
			questions := append(slices.Clone(asked), struct{ what, path string }{"page in the middle", "/api/v1/alerts?limit=50&cursor=" + middle})
			for _, q := range questions {
				b.Run(fmt.Sprintf("%s/%d/%s", filepath.Base(st.name), n, strings.ReplaceAll(q.what, " ", "_")), func(b *testing.B) {
					median(b, func() { get(b, served, q.path) })
				})
			}
		}
	}
}

// left opens a store that an earlier run has filled.
func left(t testing.TB, place string) (st store.Store) {
	var err error
	if postgres.IsURL(place) {
		st, err = postgres.Open(t.Context(), place)
	} else {
		st, err = sqlite.Open(place)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st
}

// serve is the API over a store, for a reader who has signed in.
func serve(t testing.TB, st store.Store, sc store.Scope) http.Handler {
	mux := http.NewServeMux()
	s := &api.Server{Store: st, Scope: sc, Logger: slog.New(slog.DiscardHandler), Metrics: http.NotFoundHandler()}
	for _, r := range s.Routes() {
		mux.HandleFunc(r.Pattern, r.Handler)
	}
	return mux
}

func get(t testing.TB, h http.Handler, path string) []byte {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	if w.Code != http.StatusOK {
		t.Fatalf("%s: %d: %s", path, w.Code, w.Body)
	}
	return w.Body.Bytes()
}

// TestHistory holds that the API answers each question over a filled store, and that no statement of a page reads more
// of PostgreSQL's pages where three times as much is stored: a few more, as trees of indexes grow by a level. The first
// size is one at which each page has as many alerts to look at as it may.
func TestHistory(t *testing.T) {
	need.Long(t)
	for _, open := range []func(testing.TB) *filled{inSQLite, inPostgres} {
		st := open(t)
		sc := fleet(t, st)
		served := serve(t, st, sc)
		sizes := []int{160_000}
		if st.read != nil {
			sizes = append(sizes, 480_000)
		}
		var before map[string]int
		for _, n := range sizes {
			st.grow(t, n)
			faithful(t, st, sc)
			for _, q := range asked {
				if body := get(t, served, q.path); !json.Valid(body) {
					t.Errorf("%s, %s: %.200s", st.name, q.what, body)
				}
			}
			if st.read == nil {
				continue
			}
			reads := map[string]int{}
			for name, f := range map[string]store.Filter{
				"all": {}, "sensor": {Sensor: "sensor-77"}, "severities": {MinSeverity: rules.High}, "several": {Rule: "rule-7", MinSeverity: rules.Critical, Status: []store.Status{store.New}},
				"protocol": {Proto: "none"}, "since": {Since: storetest.Start.AddDate(50, 0, 0)}, "text": {Text: "nowhere"}, "host by time": {Host: "nowhere", Order: store.ByTime},
			} {
				said, err := book.AlertPage(t.Context(), st.book, sc, f)
				if err != nil {
					t.Fatal(err)
				}
				for _, s := range said {
					reads[name] += st.read(t, s)
				}
			}
			for name, pages := range reads {
				if most := before[name] + before[name]/2 + 60; pages == 0 || before != nil && pages > most {
					t.Errorf("%s, %s: with %d alerts a page reads %d of the database's pages, before that %d", st.name, name, n, pages, before[name])
				}
			}
			t.Logf("%s, %d alerts: %v", st.name, n, reads)
			before = reads
		}
	}
}
