package collector

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/account"
	"github.com/roje-ot/roje/collector/share"
	"github.com/roje-ot/roje/collector/share/specimen"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/book"
	"github.com/roje-ot/roje/collector/store/storetest"
	"github.com/roje-ot/roje/testdata/need"
)

// copyAll reads a body to its end and closes it.
func copyAll(w io.Writer, body io.ReadCloser) (int64, error) {
	n, err := io.Copy(w, body)
	return n, errors.Join(err, body.Close())
}

// A visitor is a role's way to ask: by session, or with each request.
type visitor struct {
	role    store.Role // "" is nobody
	session bool
	client  *http.Client
}

const testPassword = "a long password"

// visitors makes a user of every role and signs those in that can be.
func visitors(t *testing.T, f *frontend, address string) []visitor {
	t.Helper()
	out := []visitor{{client: &http.Client{}}}
	for _, role := range account.Everyone {
		u := store.User{Name: "the-" + string(role), Role: role, Hash: account.Hash(testPassword)}
		if err := f.db.PutUser(t.Context(), f.scope, u, "test", time.Now()); err != nil {
			t.Fatal(err)
		}
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		client := &http.Client{Jar: jar}
		resp, err := client.PostForm(address+"/signin", url.Values{"name": {u.Name}, "password": {testPassword}})
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		out = append(out, visitor{role, true, client}, visitor{role, false, &http.Client{}})
	}
	for i := range out {
		out[i].client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	return out
}

// ask sends a request as the visitor, reads the beginning of the answer and returns its status.
func (v visitor) ask(t *testing.T, method, address string) (status int, location string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	if v.role != "" && !v.session {
		req.SetBasicAuth("the-"+string(v.role), testPassword)
	}
	resp, err := v.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := bufio.NewReader(resp.Body).Peek(1); err != nil && err != io.EOF {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("Location")
}

// TestRights walks every route with every role, in both ways to say who one is, and expects that the table of routes
// is what happens.
func TestRights(t *testing.T) {
	f, address := newFrontend(t, ofCERT)
	spool := specimen.Spool{Sensor: "s1"}
	spool.Deliver(t, f.db, f.scope, time.Now(), specimen.Alerts()...)
	guard := f.guard()
	routes := f.routes(guard)
	for _, v := range visitors(t, f, address) {
		for _, route := range routes {
			method, path, found := strings.Cut(route.Pattern, " ")
			if !found {
				method, path = http.MethodGet, route.Pattern
			}
			if path == "/signout" || route.Pattern == "POST /signin" || path == "/signin/step" {
				continue // the one would end the visitor's session, the others refuse everyone who sends no password
			}
			path = strings.NewReplacer("{$}", "", "{id}", "a-104", "{name}", "the-viewer", "{collection}", "c", "{object}", "o").Replace(path)
			status, location := v.ask(t, method, address+path)
			let := status != http.StatusUnauthorized && status != http.StatusForbidden && !strings.HasPrefix(location, "/signin")
			if refusesAll(route) {
				let = let || status == http.StatusForbidden && slices.Contains(route.Roles, v.role)
			}
			want := route.Door == account.Open || route.Door == account.Local
			switch route.Door {
			case account.Page:
				want = v.session && route.May(v.role) && v.role != store.CERT
			case account.API:
				want = route.May(v.role)
			case account.Feed:
				want = !v.session && route.May(v.role)
			}
			if let != want {
				t.Errorf("%s %s as %q (session %v): status %d to %q; let in %v, want %v", method, path, v.role, v.session, status, location, let, want)
			}
		}
	}
}

// refusesAll is true for the addresses that answer everyone with 403, those who may come included.
func refusesAll(route account.Route) bool {
	return route.Door == account.Feed && !strings.HasPrefix(route.Pattern, "GET ")
}

// TestTable holds the table of routes to its own rules.
func TestTable(t *testing.T) {
	f, _ := newFrontend(t, ofCERT)
	open := map[string]bool{}
	for _, r := range f.routes(f.guard()) {
		if r.Door == account.Closed {
			t.Errorf("%s has no door", r.Pattern)
		}
		if r.Door == account.Open {
			open[r.Pattern] = true
		} else if len(r.Roles) == 0 {
			t.Errorf("%s is for nobody", r.Pattern)
		}
		if slices.Contains(r.Roles, store.CERT) != (r.Door == account.Feed) {
			t.Errorf("%s: a cert account reads the feed and nothing else", r.Pattern)
		}
		_, path, _ := strings.Cut(r.Pattern, " ")
		own := path == "/cert" || strings.HasPrefix(path, "/cert/")
		sector := path == "/sector" || path == "/api/v1/sector"
		if slices.Contains(r.Roles, store.CERTAnalyst) != (r.Door == account.Feed || r.Fresh || own || sector) {
			t.Errorf("%s: a cert-analyst reads the feed and the sector, writes to the operator, keeps the own sign-in, and nothing else", r.Pattern)
		}
		if sector && slices.ContainsFunc(r.Roles, func(role store.Role) bool {
			return !slices.Contains(account.Judges, role) && role != store.CERTAnalyst
		}) {
			t.Errorf("%s is for %v, want who judges at a CERT, and its analysts", r.Pattern, r.Roles)
		}
		if own && len(r.Roles) != 1 {
			t.Errorf("%s is for %v, want a cert-analyst alone", r.Pattern, r.Roles)
		}
		if r.Door == account.Page && strings.HasPrefix(r.Pattern, "POST ") && !r.Fresh && slices.Contains(r.Roles, store.Viewer) {
			t.Errorf("%s changes something, and a viewer may", r.Pattern)
		}
	}
	want := map[string]bool{"GET /signin": true, "POST /signin": true, "GET /signin/step": true, "POST /signin/step": true, "GET /signin/oidc": true, "GET /signin/oidc/callback": true, "GET /static/": true, "GET /api/v1/openapi.json": true, "GET /healthz": true, "GET /readyz": true, "GET /audit/checkpoint": true, "GET /audit/keys": true}
	for pattern := range open {
		if !want[pattern] {
			t.Errorf("%s is open to everybody", pattern)
		}
	}
}

// TestUnknownAddresses holds that what is not in the table does not exist, for anybody.
func TestUnknownAddresses(t *testing.T) {
	f, address := newFrontend(t)
	for _, v := range visitors(t, f, address) {
		for _, path := range []string{"/admin", "/debug/pprof/", "/static/../console.go", "/static/", "/alerts", "/alerts/a/b", "/signin/x", "/%2e%2e/etc/passwd", "/.git/HEAD"} {
			if status, location := v.ask(t, http.MethodGet, address+path); status != http.StatusNotFound && status < 300 {
				t.Errorf("%s as %q: %d %s, want nothing there", path, v.role, status, location)
			}
		}
	}
}

// TestHeaders holds what every answer carries.
func TestHeaders(t *testing.T) {
	_, address := newFrontend(t)
	for _, path := range []string{"/", "/signin", "/static/style.css", "/healthz", "/api/v1/alerts", "/taxii2/", "/nothing"} {
		resp, err := http.Get(address + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'self'", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin",
		} {
			if got := resp.Header.Get(name); !strings.Contains(got, want) || strings.Contains(got, "unsafe") {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
	}
}

// TestCrossOrigin holds that another site cannot make a signed-in browser act.
func TestCrossOrigin(t *testing.T) {
	f, address := newFrontend(t)
	spool := specimen.Spool{Sensor: "s1"}
	spool.Deliver(t, f.db, f.scope, time.Now(), specimen.Alerts()...)
	i := slices.IndexFunc(visitors(t, f, address), func(v visitor) bool { return v.role == store.Admin && v.session })
	v := visitors(t, f, address)[i]
	for _, c := range []struct {
		header, value string
		want          int
	}{
		{"Origin", "https://evil.example", 403},
		{"Sec-Fetch-Site", "cross-site", 403},
		{"Sec-Fetch-Site", "same-site", 403},
		{"Sec-Fetch-Site", "same-origin", 303},
		{"Origin", address, 303},
	} {
		req, err := http.NewRequest(http.MethodPost, address+"/alerts/a-104/status", strings.NewReader("status=ack"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set(c.header, c.value)
		resp, err := v.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.want {
			t.Errorf("%s: %s: status %d, want %d", c.header, c.value, resp.StatusCode, c.want)
		}
	}
}

// TestSessionsEnd holds that a session ends with the password, the role, and the account.
func TestSessionsEnd(t *testing.T) {
	f, address := newFrontend(t)
	for name, change := range map[string]func(*store.User){
		"password": func(u *store.User) { u.Hash = account.Hash("another password") },
		"role":     func(u *store.User) { u.Role = store.Viewer },
		"disabled": func(u *store.User) { u.Disabled = true },
	} {
		all := visitors(t, f, address)
		v := all[slices.IndexFunc(all, func(v visitor) bool { return v.role == store.Analyst && v.session })]
		if status, _ := v.ask(t, http.MethodGet, address+"/"); status != http.StatusOK {
			t.Fatalf("%s: before: %d", name, status)
		}
		u, err := f.db.GetUser(t.Context(), f.scope, "the-analyst")
		if err != nil {
			t.Fatal(err)
		}
		change(&u)
		if err := f.db.PutUser(t.Context(), f.scope, u, "test", time.Now()); err != nil {
			t.Fatal(err)
		}
		if status, location := v.ask(t, http.MethodGet, address+"/"); status != http.StatusSeeOther || location != "/signin" {
			t.Errorf("%s changed: %d to %q, want to /signin", name, status, location)
		}
	}
}

// ofOthers are texts that storetest.Fill puts into what is of other operators, and nobody here may read.
var ofOthers = []string{"wrote a register", "Site s1", "lusab", "Прекидач", "192.0.2.9"}

// TestForeignIDs walks every route with every role and the ids of another operator: nothing of it is told, not even that
// it is there, and nothing of it changes.
func TestForeignIDs(t *testing.T) {
	need.Long(t)
	f, address := newFrontend(t, ofCERT)
	storetest.Fill(t, f.db) // the operators north and south; this is the collector of a third, which may compare them if they consent
	before := ofOperators(t, f.db, "north", "south")
	if len(before) < 40 {
		t.Fatalf("only %d rows of others", len(before))
	}
	own := map[string]string{"/sensors/": "s1", "/joins/": "asked", "/statements/": "s1.20260301T080000Z"} // others are of alerts
	form := url.Values{"status": {"ack"}, "do": {"disable"}, "role": {"viewer"}, "tlp": {"green"}, "name": {"ana"}, "object": {"alert-001"}, "evidence": {"alert-001"}}
	asked := 0
	for _, v := range visitors(t, f, address) {
		for _, route := range f.routes(f.guard()) {
			method, path, found := strings.Cut(route.Pattern, " ")
			if !found {
				method, path = http.MethodGet, route.Pattern
			}
			if !strings.Contains(path, "{") || path == "/{$}" || v.role != "" && v.session == (route.Door == account.Feed) {
				continue // no id; or the visitor gets no further than the door, as TestRights holds
			}
			id := "alert-001"
			for prefix, other := range own {
				if strings.Contains(path, prefix) {
					id = other
				}
			}
			var status [2]int
			for i, ids := range [2][2]string{{id, "ana"}, {"no-such", "no-such"}} {
				at := strings.NewReplacer("{$}", "", "{id}", ids[0], "{name}", ids[1], "{collection}", share.Collection, "{object}", ids[0]).Replace(path)
				var text string
				status[i], text = v.send(t, method, address+at, form)
				for _, secret := range ofOthers {
					if strings.Contains(text, secret) {
						t.Errorf("%s %s as %q tells %q of another operator:\n%s", method, at, v.role, secret, text)
					}
				}
			}
			if asked++; status[0] != status[1] {
				t.Errorf("%s as %q: %d for what another operator has, %d for what nobody has", route.Pattern, v.role, status[0], status[1])
			}
		}
		for _, list := range []string{"/", "/sensors", "/users", "/audit?evidence=alert-001&object=alert-001", "/api/v1/alerts", "/api/v1/sensors", "/api/v1/coverage", "/sector", "/api/v1/sector", "/taxii2/roje/collections/" + share.Collection + "/objects/"} {
			_, text := v.send(t, http.MethodGet, address+list, nil)
			for _, secret := range ofOthers {
				if strings.Contains(text, secret) {
					t.Errorf("%s as %q tells %q of another operator", list, v.role, secret)
				}
			}
		}
	}
	if asked < 150 {
		t.Errorf("only %d requests were made", asked)
	}
	if after := ofOperators(t, f.db, "north", "south"); !slices.Equal(before, after) {
		t.Errorf("what is of others has changed: %d rows before, %d after", len(before), len(after))
	}
}

// send sends a form as the visitor, and returns what was answered.
func (v visitor) send(t *testing.T, method, address string, form url.Values) (status int, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if v.role != "" && !v.session {
		req.SetBasicAuth("the-"+string(v.role), testPassword)
	}
	resp, err := v.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(raw)
}

// ofOperators is every row of some operators, as text.
func ofOperators(t *testing.T, st store.Store, operators ...string) (rows []string) {
	t.Helper()
	err := st.(book.Mover).Dump(t.Context(), func(table *book.Table, row []any) error {
		if operator, ok := row[0].(string); ok && table.Scoped() && slices.Contains(operators, operator) {
			rows = append(rows, fmt.Sprintf("%s %#v", table.Name, row))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(rows)
	return rows
}
