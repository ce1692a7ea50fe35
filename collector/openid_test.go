package collector

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/account/openid"
	"github.com/roje-ot/roje/collector/account/openid/idp"
	"github.com/roje-ot/roje/collector/store"
)

// TestSignInByProvider walks what people see who sign in by an identity provider, and what the collector makes of them.
func TestSignInByProvider(t *testing.T) {
	at := time.Now()
	now := func() time.Time { return at }
	op := idp.Start(t, now)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(idp.Secret), 0o600); err != nil {
		t.Fatal(err)
	}
	f, address := newFrontend(t, func(f *frontend) {
		f.now, f.signIn.SecondFactor = now, []store.Role{store.Admin} // which the provider's people need not have
		cfg := openid.Config{Issuer: op.URL, ClientID: idp.ClientID, SecretFile: secret, Name: "North Grid", Roles: []openid.Row{{Group: "ops", Role: store.Admin}, {Group: "watch", Role: store.Viewer}}}
		var err error
		if f.provider, err = openid.New(cfg, f.scope.Operator(), "http://127.0.0.1:1"+openid.Callback, now); err != nil {
			t.Fatal(err)
		}
	})
	f.person(t, "eva", store.Viewer)
	person := func(name, sub string, groups ...string) {
		op.Give(idp.Token{Claims: map[string]any{"preferred_username": name, "sub": sub, "groups": groups}})
	}
	b := newTab(t, address)
	b.get("/signin").want("the page", "/signin", 200, `href="/signin/oidc?next=%2f"`, "North Grid")
	in := func(b *tab, next string) *tab {
		t.Helper()
		return b.viaProvider("/signin/oidc?next=" + next)
	}
	person("ana", "7", "watch")
	in(b, "/sensors").want("a viewer", "/sensors", 200, "ana")
	b.get("/users").want("with a viewer's rights", "/users", 403)
	if status, _ := b.basic("ana", ""); status != 401 {
		t.Errorf("by an empty password: %d", status)
	}
	person("ana.renamed", "7", "ops")
	in(newTab(t, address), "/users").want("promoted and renamed at the provider", "/users", 200, "ana", op.URL+" 7")
	b.get("/sensors").want("the session of the former role", "/signin", 200)
	for _, c := range []struct {
		name, sub, group, says string
	}{
		{"eva", "8", "ops", "another account"}, {"ana", "9", "ops", "another account"}, {"../x", "10", "ops", "64 letters"}, {"bob", "11", "none", "no group"},
	} {
		person(c.name, c.sub, c.group)
		in(newTab(t, address), "/").want(c.name+" as "+c.sub, "/signin/oidc/callback", 403, c.says)
	}
	users, err := f.db.ListUsers(t.Context(), f.scope)
	if err != nil || len(users) != 2 {
		t.Errorf("users %+v, %v; want ana and eva", users, err)
	}
	u := users[0]
	u.Disabled = true
	if err := f.db.PutUser(t.Context(), f.scope, u, "test", at); err != nil {
		t.Fatal(err)
	}
	person("ana", "7", "ops")
	in(newTab(t, address), "/").want("disabled here", "/signin/oidc/callback", 403, "disabled")
	newTab(t, address).get("/signin/oidc/callback?state=x&code=y").want("nobody began", "/signin/oidc/callback", 403, "Begin anew")
	acts, err := f.db.Acts(t.Context(), f.scope, "ana", 10)
	if err != nil || len(acts) != 3 || acts[2].Who != "identity provider" || acts[2].Detail != "role viewer" || acts[1].Detail != "role admin" {
		t.Errorf("acts %+v, %v", acts, err)
	}
}

// viaProvider follows a sign-in to the identity provider and back to the tab's own address.
func (b *tab) viaProvider(path string) *tab {
	b.t.Helper()
	hop := *b.client
	hop.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for next := b.base + path; ; {
		resp, err := hop.Get(next)
		if err != nil {
			b.t.Fatal(err)
		}
		to, err := resp.Location()
		if err != nil { // it ends here
			return b.took(resp, nil)
		}
		resp.Body.Close()
		if next = to.String(); strings.HasPrefix(next, "http://127.0.0.1:1/") {
			next = b.base + strings.TrimPrefix(next, "http://127.0.0.1:1")
		}
	}
}
