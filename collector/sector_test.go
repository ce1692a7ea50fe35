package collector

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/account"
	"github.com/roje-ot/roje/collector/sector"
	"github.com/roje-ot/roje/collector/share/specimen"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/sqlite"
	"github.com/roje-ot/roje/testdata/need"
)

// ofCERT makes a frontend that of a CERT, which may compare north, south and east if they consent.
func ofCERT(f *frontend) {
	f.sector = &sector.Finder{CERT: f.scope.Operator(), AtLeast: 2, Logger: discard}
	for _, name := range []string{"north", "south", "east"} {
		if s, err := store.For(name); err == nil {
			f.sector.Operators = append(f.sector.Operators, sector.Operator{Scope: s, Store: f.db})
		}
	}
}

// TestSector holds that a campaign over two operators is shown to who may see it at a CERT, and at no address anything of a
// third that has not consented, which saw the same act; and that an operator's collector has no such page.
func TestSector(t *testing.T) {
	need.Long(t)
	f, address := newFrontend(t, ofCERT)
	at := time.Now().Add(-time.Hour)
	cert := f.scope.Operator()
	specimen.Consenting(t, f.db, "north", cert, store.CompareActs, at, 2)
	south := specimen.Consenting(t, f.db, "south", cert, store.CompareReleased, at.Add(time.Minute), 2)
	specimen.Consenting(t, f.db, "east", "", "", at.Add(30*time.Second), 7)
	if _, err := f.db.Release(t.Context(), south, "r-south-1", store.Green, "ana", time.Now()); err != nil {
		t.Fatal(err)
	}
	w := &sector.Watcher{Finder: f.sector, Store: f.db, Scope: f.scope, Log: discard}
	if n, err := w.Look(t.Context(), time.Now()); n != 1 || err != nil {
		t.Fatalf("%d alerts, %v", n, err)
	}
	alerts, _, err := f.db.ListAlerts(t.Context(), f.scope, store.Filter{}, "", 10)
	if err != nil || len(alerts) != 1 {
		t.Fatalf("%d alerts in the queue, %v", len(alerts), err)
	}
	raised := alerts[0].ID
	if _, err := f.db.Release(t.Context(), f.scope, raised, store.Amber, "ana", time.Now()); err != nil {
		t.Fatal(err)
	}
	asked := 0
	for _, v := range visitors(t, f, address) {
		for _, route := range f.routes(f.guard()) {
			method, path, found := strings.Cut(route.Pattern, " ")
			if found && method != http.MethodGet || path == "/live" {
				continue
			}
			path = strings.NewReplacer("{$}", "", "{id}", raised, "{name}", "ana", "{collection}", "b2b27a0a-9ed5-5c3f-8f0d-3a4c1ce3f2d4", "{object}", "o", "{file}", "manifest.json").Replace(path)
			status, text := v.send(t, http.MethodGet, address+path, nil)
			asked++
			shows := status == http.StatusOK && (path == "/sector" || path == "/api/v1/sector")
			if shows != strings.Contains(text, "south") {
				t.Errorf("%s as %q: status %d, says who of the operators has released: %v", path, v.role, status, !shows)
			}
			for _, kept := range []string{"r-east", "site-east", "site-north", "site-south", "r-north", "stranger", "9 sites", "11 sites"} {
				if strings.Contains(text, kept) {
					t.Errorf("%s as %q says %q", path, v.role, kept)
				}
			}
			if path != "/api/v1/sector" || status != http.StatusOK {
				continue
			}
			var p sector.Picture
			if err := json.Unmarshal([]byte(text), &p); err != nil || len(p.Campaigns) != 1 || len(p.Campaigns[0].Seen) != 2 || p.Campaigns[0].Alerts != 3 || p.Operators[2].State != sector.None {
				t.Errorf("as %q: %s, %v", v.role, text, err)
			}
		}
	}
	if asked < 300 {
		t.Errorf("only %d requests were made", asked)
	}

	plain, _ := newFrontend(t)
	if slices.ContainsFunc(plain.routes(plain.guard()), func(r account.Route) bool { return strings.HasSuffix(r.Pattern, "/sector") }) {
		t.Error("an operator's collector has a page of the sector")
	}
}

// TestSectorFeed holds that the CERT's own accounts, those of operators too, pull a campaign of the sector that was released to
// them, and no operator's name with it.
func TestSectorFeed(t *testing.T) {
	f, address := newFrontend(t, ofCERT)
	for _, name := range []string{"north", "south"} {
		specimen.Consenting(t, f.db, name, f.scope.Operator(), store.CompareActs, time.Now().Add(-time.Hour), 1)
	}
	w := &sector.Watcher{Finder: f.sector, Store: f.db, Scope: f.scope, Log: discard}
	if n, err := w.Look(t.Context(), time.Now()); n != 1 || err != nil {
		t.Fatalf("%d alerts, %v", n, err)
	}
	program := visitor{store.CERT, false, &http.Client{}}
	if err := f.db.PutUser(t.Context(), f.scope, store.User{Name: "the-cert", Role: store.CERT, Hash: account.Hash(testPassword), Created: time.Now()}, "test", time.Now()); err != nil {
		t.Fatal(err)
	}
	const objects = "/taxii2/roje/collections/b2b27a0a-9ed5-5c3f-8f0d-3a4c1ce3f2d4/objects/?match[type]=sighting"
	if _, text := program.send(t, http.MethodGet, address+objects, nil); strings.Contains(text, "dnp3-cold-restart") {
		t.Errorf("before the release: %s", text)
	}
	alerts, _, err := f.db.ListAlerts(t.Context(), f.scope, store.Filter{}, "", 1)
	if err == nil {
		_, err = f.db.Release(t.Context(), f.scope, alerts[0].ID, store.Amber, "ana", time.Now())
	}
	if err != nil {
		t.Fatal(err)
	}
	_, text := program.send(t, http.MethodGet, address+objects, nil)
	if !strings.Contains(text, "2 operators saw the same act, dnp3-cold-restart (T0816") || strings.Contains(text, "north\"") || strings.Contains(text, "south") {
		t.Errorf("after the release: %s", text)
	}
}

// TestSectorRemote holds that a CERT compares an operator whose collector is elsewhere, by the account that it has there, and what
// that account's consent lets it; and that the operator is told once of its own acts and of no others.
func TestSectorRemote(t *testing.T) {
	f, address := newFrontend(t) // the collector of north-grid
	at := time.Now().Add(-time.Hour)
	specimen.Consenting(t, f.db, f.scope.Operator(), "", "", at, 2)
	feed := store.User{Name: "feed", Role: store.CERT, Hash: account.Hash(testPassword), Created: at}
	put := func(cert string, what store.Compare) {
		t.Helper()
		feed.CERT, feed.Compare = cert, what
		if err := f.db.PutUser(t.Context(), f.scope, feed, "test", time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	put("", "")
	own, _ := specimen.Store(t)
	south := specimen.Consenting(t, own, "south", "grid-cert", store.CompareActs, at, 1)
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte(testPassword+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	remote, err := sector.NewRemote(sector.Member{Name: f.scope.Operator(), URL: address, Account: "feed", PasswordFile: password})
	if err != nil {
		t.Fatal(err)
	}
	mine, err := store.For("grid-cert")
	if err != nil {
		t.Fatal(err)
	}
	finder := &sector.Finder{CERT: "grid-cert", AtLeast: 2, Operators: []sector.Source{remote, sector.Operator{Scope: south, Store: own}}, Logger: discard}
	look := func(state string, campaigns int) {
		t.Helper()
		p, err := finder.Look(t.Context(), time.Now())
		if err != nil || len(p.Campaigns) != campaigns || p.Operators[0].State != state {
			t.Errorf("%+v, %v; want %s and %d campaigns", p, err, state, campaigns)
		}
	}
	post := func(body string) int {
		t.Helper()
		req, err := http.NewRequest(http.MethodPost, address+sector.NoticePath, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth("feed", testPassword)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	look(sector.None, 0)
	notice := sector.Notice{Rule: "dnp3-cold-restart", Technique: "T0816", First: at, Last: at.Add(time.Minute), Others: 1}
	text := func(n sector.Notice) string {
		raw, err := json.Marshal(n)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	if status := post(text(notice)); status != http.StatusForbidden {
		t.Errorf("a notice without a consent: %d", status)
	}
	put("grid-cert", store.CompareReleased)
	look("released", 0)
	put("grid-cert", store.CompareActs)
	look("acts", 1)
	another := notice
	another.Rule = "another-rule"
	for body, want := range map[string]int{text(another): 404, "{": 400, "{}": 400, strings.Replace(text(notice), `"others":1`, `"others":0`, 1): 400} {
		if status := post(body); status != want {
			t.Errorf("%s: %d, want %d", body, status, want)
		}
	}
	letters := func() []store.Letter {
		t.Helper()
		all, _, err := f.db.ListLetters(t.Context(), f.scope, store.LetterFilter{}, "", 10)
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	if got := letters(); len(got) != 0 {
		t.Errorf("letters before there is anything to tell: %+v", got)
	}
	for i := range 2 {
		w := &sector.Watcher{Finder: finder, Store: own, Scope: mine, Log: discard}
		if n, err := w.Look(t.Context(), time.Now()); n != 1-i || err != nil {
			t.Fatalf("%d alerts, %v", n, err)
		}
	}
	post(text(notice))
	if got := letters(); len(got) != 1 || got[0].From != sector.Sender("grid-cert") || got[0].Alert != "r-north-grid-0" || !strings.Contains(got[0].Text, "1 other operator that") {
		t.Errorf("letters %+v", got)
	}
	feed.Role = store.CERTAnalyst
	put("grid-cert", store.CompareActs)
	look(sector.None, 0) // a person would see by it what is only to be seen with others
	if status := post(text(notice)); status != http.StatusForbidden {
		t.Errorf("a notice by a person: %d", status)
	}
	feed.Role, feed.Disabled = store.CERT, true
	put("grid-cert", store.CompareActs)
	look(sector.Unread, 0)
}

// TestConsentPage holds that an administrator gives a CERT's account the consent, and takes it back, at the console.
func TestConsentPage(t *testing.T) {
	f, address := newFrontend(t)
	f.person(t, "eve", store.Admin)
	f.person(t, "kos", store.CERTAnalyst)
	f.person(t, "ana", store.Analyst)
	eve := newTab(t, address)
	eve.post("/signin", "name", "eve", "password", testPassword)
	for _, c := range []struct {
		user, cert, what string
		status           int
		says             string
		consents         int
	}{
		{"kos", "", "acts", 400, "Name the CERT", 0},
		{"kos", "grid-cert", "everything", 400, "Name the CERT", 0},
		{"ana", "grid-cert", "acts", 400, "Only a CERT", 0},
		{"kos", "grid-cert", "acts", 200, "grid-cert: compares all acts", 1},
		{"kos", "grid-cert", "released", 200, "grid-cert: compares what is released to it", 1},
		{"kos", "grid-cert", "", 200, "compares nothing", 0},
	} {
		page := "/users/" + c.user
		eve.post(page, "do", "compare", "cert", c.cert, "what", c.what).want(c.user+" "+c.what, page, c.status, c.says)
		if got, err := f.db.Consents(t.Context(), f.scope, "grid-cert"); err != nil || len(got) != c.consents {
			t.Errorf("%+v: consents %+v, %v", c, got, err)
		}
	}
}

// TestSectorConfig starts a CERT's collector over the folders of two operators' collectors, and over what is none.
func TestSectorConfig(t *testing.T) {
	need.Long(t)
	folder := func(name string) string {
		dir := filepath.Join(t.TempDir(), name)
		db, err := sqlite.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		specimen.Consenting(t, db, name, "grid-cert", store.CompareActs, time.Now().Add(-time.Hour), 1)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if err := (Serving{Operator: name}).write(dir); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	north, south := folder("north"), folder("south")
	file := filepath.Join(t.TempDir(), "collector.yaml")
	for _, c := range []struct{ text, want string }{
		{"sector: {at_least: 2, operators: [{name: north, data: " + north + "}, {name: south, data: " + north + "}]}", "is the folder of operator north"},
		{"sector: {at_least: 2, operators: [{name: north, data: " + north + "}, {name: south, data: nowhere}]}", "holds no collector's data"},
		{"sector: {at_least: 2, operators: [{name: north, data: " + north + "}, {name: south, url: \"https://south.example\", account: kos, password_file: nowhere}]}", "nowhere: no such file"},
		{"sector: {at_least: 2, operators: [{nam: north}]}", `did you mean "name"`},
		{"sector: {at_least: 2, operators: [{name: north}, {name: grid-cert}]}", "own operator"},
	} {
		if err := os.WriteFile(file, []byte("data: d\noperator: grid-cert\n"+c.text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := ReadConfig(file)
		if err == nil {
			cfg.Console.Address, cfg.Ingest.Address = "127.0.0.1:0", "127.0.0.1:0"
			err = Run(t.Context(), cfg, discard, func(Started) { t.Error("started with " + c.text) })
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.text, err, c.want)
		}
	}
	r := start(t, Config{Operator: "grid-cert", Sector: sector.Config{AtLeast: 2, Operators: []sector.Member{{Name: "north", Data: north}, {Name: "south", Data: south}}}})
	scope, err := store.For("grid-cert")
	if err != nil {
		t.Fatal(err)
	}
	r.userIn(scope, "kos", store.CERTAnalyst)
	if status, text := r.get("/api/v1/sector", "kos", testPassword); status != http.StatusOK || !strings.Contains(text, `"sites":2`) {
		t.Errorf("status %d: %s", status, text)
	}
}
