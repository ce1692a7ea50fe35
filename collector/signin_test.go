package collector

import (
	"encoding/base32"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/account"
	"github.com/roje-ot/roje/collector/store"
)

// A tab is a browser's tab without the browser: it keeps cookies and follows redirects.
type tab struct {
	t      *testing.T
	base   string
	client *http.Client
	status int
	at     string // path where it is
	text   string // of the page, as a person reads it
}

func newTab(t *testing.T, base string) *tab {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &tab{t: t, base: base, client: &http.Client{Jar: jar}}
}

func (b *tab) took(resp *http.Response, err error) *tab {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	b.status, b.at, b.text = resp.StatusCode, resp.Request.URL.Path, html.UnescapeString(string(raw))
	return b
}

func (b *tab) get(path string) *tab { b.t.Helper(); return b.took(b.client.Get(b.base + path)) }

func (b *tab) post(path string, fields ...string) *tab {
	b.t.Helper()
	form := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return b.took(b.client.PostForm(b.base+path, form))
}

// want says where the tab should be, and what the page should say.
func (b *tab) want(what, at string, status int, says ...string) {
	b.t.Helper()
	if b.at != at || b.status != status {
		b.t.Errorf("%s: at %s with %d, want %s with %d", what, b.at, b.status, at, status)
	}
	for _, s := range says {
		if !strings.Contains(b.text, s) {
			b.t.Errorf("%s: the page does not say %q:\n%s", what, s, b.text)
		}
	}
}

// basic asks for the alerts of the API with a password alone.
func (b *tab) basic(name, password string) (status int, text string) {
	b.t.Helper()
	req, err := http.NewRequest(http.MethodGet, b.base+"/api/v1/alerts", nil)
	if err != nil {
		b.t.Fatal(err)
	}
	req.SetBasicAuth(name, password)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp.StatusCode, string(raw)
}

func (f *frontend) person(t *testing.T, name string, role store.Role) {
	t.Helper()
	u := store.User{Name: name, Role: role, Hash: account.Hash(testPassword), Created: f.now()}
	if err := f.db.PutUser(t.Context(), f.scope, u, "test", f.now()); err != nil {
		t.Fatal(err)
	}
}

// TestSecondFactorAtTheConsole walks what a person sees whose role needs a second factor, and that the password alone
// opens nothing then.
func TestSecondFactorAtTheConsole(t *testing.T) {
	at := time.Now()
	f, address := newFrontend(t, func(f *frontend) {
		f.now, f.signIn.SecondFactor = func() time.Time { return at }, []store.Role{store.Admin}
	})
	f.person(t, "ana", store.Admin)
	f.person(t, "eva", store.Viewer)
	b := newTab(t, address)
	b.post("/signin", "name", "ana", "password", testPassword).want("without one", "/second", 200, "Your role needs a second factor", `<svg class="qr"`)
	b.get("/users").want("another page", "/second", 200)
	if status, text := b.basic("ana", testPassword); status != 403 || !strings.Contains(text, "second factor") {
		t.Errorf("the API without one: %d %s", status, text)
	}
	if status, _ := b.basic("eva", testPassword); status != 200 {
		t.Errorf("the API for a role that needs none: %d", status)
	}
	found := regexp.MustCompile(`<code class="secret">([A-Z2-7 ]+)</code>`).FindStringSubmatch(b.text)
	if found == nil {
		t.Fatalf("no key on the page:\n%s", b.text)
	}
	secret, err := base32.StdEncoding.DecodeString(strings.ReplaceAll(found[1], " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	code := func(after time.Duration) string { return account.CodeAt(secret, at.Add(after)) }
	b.post("/second", "code", "12").want("a wrong code", "/second", 422, "The code is wrong", found[1])
	b.post("/second", "code", code(0)).want("set up", "/second", 200, "recovery codes")
	recovery := regexp.MustCompile(`<li><code class="secret">([a-z0-9-]+)</code>`).FindStringSubmatch(b.text)
	if recovery == nil {
		t.Fatalf("no recovery codes on the page:\n%s", b.text)
	}
	b.get("/users").want("set up", "/users", 200, "Second factor")
	if status, _ := b.basic("ana", testPassword); status != 403 {
		t.Errorf("the API with the password alone: %d", status)
	}

	c := newTab(t, address)
	c.get("/signin/step").want("no first step", "/signin", 200)
	c.post("/signin", "name", "ana", "password", testPassword, "next", "/sensors").want("first step", "/signin/step", 200, "recovery code")
	c.get("/sensors").want("between the steps", "/signin", 200)
	c.post("/signin/step", "code", code(30*time.Second)).want("after a look elsewhere", "/", 200)
	for _, try := range []struct{ code, at, says string }{
		{code(30 * time.Second), "/signin/step", "used before"}, {recovery[1], "/sensors", "Sensors"}, {recovery[1], "/signin/step", "used before"},
	} {
		d := newTab(t, address)
		d.post("/signin", "name", "ana", "password", testPassword)
		d.post("/signin/step", "code", try.code, "next", "/sensors")
		if d.at != try.at || !strings.Contains(d.text, try.says) {
			t.Errorf("code %s: at %s, want %s", try.code, d.at, try.at)
		}
	}
	d := newTab(t, address)
	d.post("/signin", "name", "ana", "password", testPassword)
	at = at.Add(6 * time.Minute)
	d.post("/signin/step", "code", code(0)).want("the second step too late", "/signin", 200)

	f.person(t, "second-admin", store.Admin)
	u, err := f.db.GetUser(t.Context(), f.scope, "ana")
	if err != nil {
		t.Fatal(err)
	}
	if err := account.RemoveSecond(t.Context(), f.db, f.scope, &u, "second-admin", at); err != nil {
		t.Fatal(err)
	}
	b.get("/users").want("after an administrator took it away", "/signin", 200)
}

// TestSealedAccount walks a night on which the envelope is opened. Sessions end by the machine's clock, an hour after they
// were last used, and are looked for by the test's: which therefore never goes ahead of the machine's.
func TestSealedAccount(t *testing.T) {
	at := time.Now().Add(-2 * account.GlassTime)
	f, address := newFrontend(t, func(f *frontend) { f.now = func() time.Time { return at } })
	f.person(t, "ana", store.Admin)
	f.person(t, "eva", store.Viewer)
	ana, eva, night := newTab(t, address), newTab(t, address), newTab(t, address)
	eva.post("/signin", "name", "eva", "password", testPassword).want("a viewer", "/", 200)
	ana.post("/signin", "name", "ana", "password", testPassword)
	ana.post("/users/sealed", "name", "eva").want("a person's name", "/users/sealed", 422)
	ana.post("/users/sealed", "name", "glass").want("sealed", "/users/sealed", 200, "sealed account")
	password := regexp.MustCompile(`<code class="secret">([^<]+)</code>`).FindStringSubmatch(ana.text)[1]
	for _, do := range []string{"password", "role", "second"} {
		if ana.post("/users/glass", "do", do, "role", "admin"); ana.status != 409 && ana.status != 400 {
			t.Errorf("%s of a sealed account: %d", do, ana.status)
		}
	}
	if status, _ := ana.basic("glass", password); status != 403 {
		t.Errorf("the API from the envelope: %d", status)
	}
	night.post("/signin", "name", "glass", "password", password).want("the envelope", "/signin/step", 200, "opens once")
	night.get("/users").want("without a reason", "/signin", 200)
	night.post("/signin/step", "reason", "none").want("a short reason", "/signin/step", 422, "Say why")
	eva.get("/")
	if strings.Contains(eva.text, "was opened") {
		t.Error("shown as opened before it was")
	}
	night.post("/signin/step", "reason", "storm, nobody answers the phone").want("opened", "/", 200, "was opened")
	night.get("/users").want("with the rights of an administrator", "/users", 200)
	night.post("/password", "old", password, "new", "another long password", "again", "another long password").want("another password", "/password", 409)
	eva.get("/").want("everybody sees it", "/", 200, "The sealed account glass was opened", "storm, nobody answers the phone")
	at = at.Add(account.GlassTime + time.Second)
	night.get("/users").want("after its hour", "/signin", 200)
	night.post("/signin", "name", "glass", "password", password).want("again", "/signin", 403, "must seal it anew")
	eva.get("/").want("it stays on show", "/", 200, "The sealed account glass was opened")
	ana.post("/users/glass", "do", "seal").want("sealed anew", "/users/glass", 200)
	eva.get("/")
	if strings.Contains(eva.text, "was opened") {
		t.Error("shown as opened after it was sealed anew")
	}
	night.post("/signin", "name", "glass", "password", password).want("the old envelope", "/signin", 401)
}
