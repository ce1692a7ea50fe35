package openid

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/account/openid/idp"
	"github.com/roje-ot/roje/collector/store"
)

var start = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

const redirect = "https://collector.example" + Callback

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// answer is what the provider sends a browser back with.
func answer(t *testing.T, address string) url.Values {
	t.Helper()
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	back, err := resp.Location()
	if err != nil || !strings.HasPrefix(back.String(), redirect+"?") {
		t.Fatalf("sent to %v, %v", back, err)
	}
	return back.Query()
}

// TestFinish holds every way in which a sign-in can be wrong, beside the one in which it is right.
func TestFinish(t *testing.T) {
	now := start
	op := idp.Start(t, func() time.Time { return start })
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Issuer: op.URL, ClientID: idp.ClientID, SecretFile: file(t, idp.Secret+"\n"), Roles: []Row{
		{"south-admins", store.Admin, "south"}, {"grid-admins", store.Admin, ""}, {"grid", store.Viewer, "north"}, {"night", store.Analyst, ""},
	}}
	if err := cfg.Check(); err != nil {
		t.Fatal(err)
	}
	p, err := New(cfg, "north", redirect, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	claim := func(name string, v any) func(h, c map[string]any) {
		return func(_, c map[string]any) { c[name] = v }
	}
	alg := func(name string) func(h, c map[string]any) { return func(h, _ map[string]any) { h["alg"] = name } }
	for _, c := range []struct {
		name   string
		groups any
		change func(header, claims map[string]any)
		sign   func([]byte) []byte
		browse func(*Ticket, url.Values)
		after  time.Duration
		want   error
		role   store.Role
	}{
		{name: "right", groups: []string{"x", "grid"}, role: store.Viewer},
		{name: "the first row counts", groups: []string{"night", "grid", "grid-admins"}, role: store.Admin},
		{name: "one group without a list", groups: "night", role: store.Analyst},
		{name: "a group of another operator", groups: []string{"south-admins"}, want: ErrNoGroup},
		{name: "no group of ours", groups: []string{"x", "GRID", "grid-admins2"}, want: ErrNoGroup},
		{name: "no groups", want: ErrNoGroup},
		{name: "groups of another kind", groups: map[string]int{"grid": 1}, want: ErrNoGroup},
		{name: "another nonce", groups: []string{"grid"}, change: claim("nonce", "other"), want: ErrRefused},
		{name: "no nonce", groups: []string{"grid"}, change: claim("nonce", ""), want: ErrRefused},
		{name: "another audience", groups: []string{"grid"}, change: claim("aud", "other"), want: ErrRefused},
		{name: "among other audiences", groups: []string{"grid"}, change: claim("aud", []string{"other", idp.ClientID}), role: store.Viewer},
		{name: "expired", groups: []string{"grid"}, change: claim("exp", start.Add(-time.Minute).Unix()), want: ErrRefused},
		{name: "not valid yet", groups: []string{"grid"}, change: claim("nbf", start.Add(time.Hour).Unix()), want: ErrRefused},
		{name: "a foreign issuer", groups: []string{"grid"}, change: claim("iss", "https://idp.evil.example"), want: ErrRefused},
		{name: "no name", groups: []string{"grid"}, change: claim("preferred_username", ""), want: ErrRefused},
		{name: "no subject", groups: []string{"grid"}, change: claim("sub", ""), want: ErrRefused},
		{name: "alg none", groups: []string{"grid"}, change: alg("none"), sign: func([]byte) []byte { return nil }, want: ErrRefused},
		{name: "alg none with a signature", groups: []string{"grid"}, change: alg("none"), want: ErrRefused},
		{name: "signed with the public key as a secret", groups: []string{"grid"}, change: alg("HS256"), sign: op.HMAC(op.Modulus()), want: ErrRefused},
		{name: "signed with the client's secret", groups: []string{"grid"}, change: alg("HS256"), sign: op.HMAC([]byte(idp.Secret)), want: ErrRefused},
		{name: "another key", groups: []string{"grid"}, sign: func(b []byte) []byte {
			sum := sha256.Sum256(b)
			sig, err := rsa.SignPKCS1v15(rand.Reader, stranger, crypto.SHA256, sum[:])
			if err != nil {
				t.Error(err)
			}
			return sig
		}, want: ErrRefused},
		{name: "claims changed after they were signed", groups: []string{"grid"}, sign: func([]byte) []byte { return op.RSA([]byte("other")) }, want: ErrRefused},
		{name: "another state", groups: []string{"grid"}, browse: func(_ *Ticket, q url.Values) { q.Set("state", "other") }, want: ErrStale},
		{name: "no ticket", groups: []string{"grid"}, browse: func(t *Ticket, q url.Values) { *t = Ticket{}; q.Del("state") }, want: ErrStale},
		{name: "too late", groups: []string{"grid"}, after: ticketLife + time.Second, want: ErrStale},
		{name: "somebody else's code", groups: []string{"grid"}, browse: func(t *Ticket, _ url.Values) { t.Verifier += "x" }, want: ErrRefused},
		{name: "no code", groups: []string{"grid"}, browse: func(_ *Ticket, q url.Values) { q.Del("code") }, want: ErrRefused},
		{name: "the provider says no", groups: []string{"grid"}, browse: func(_ *Ticket, q url.Values) { q.Set("error", "access_denied") }, want: ErrRefused},
	} {
		now = start
		op.Give(idp.Token{Claims: map[string]any{"preferred_username": "ana", "groups": c.groups}, Change: c.change, Sign: c.sign})
		address, ticket, err := p.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		back := answer(t, address)
		if c.browse != nil {
			c.browse(&ticket, back)
		}
		now = now.Add(c.after)
		who, err := p.Finish(t.Context(), ticket, back)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if err == nil && (who != Person{op.URL + " 7", "ana", c.role}) {
			t.Errorf("%s: %+v, want role %s", c.name, who, c.role)
		}
		if err == nil && c.name == "right" {
			if _, err := p.Finish(t.Context(), ticket, back); !errors.Is(err, ErrRefused) {
				t.Errorf("the same code again: %v", err)
			}
		}
		if err != nil && strings.Contains(err.Error(), idp.Secret) {
			t.Errorf("%s: the error tells the secret: %v", c.name, err)
		}
	}
	op.Pretend("https://idp.evil.example")
	if p, err = New(cfg, "north", redirect, func() time.Time { return start }); err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.Begin(t.Context()); err == nil {
		t.Error("a provider whose own document says that it is another was believed")
	}
}

func TestCheck(t *testing.T) {
	good := Config{Issuer: "https://idp.example", ClientID: "roje", Roles: []Row{{"grid", store.Viewer, ""}}}
	if off := (Config{}); off.On() || off.Check() != nil {
		t.Error("nothing is not off")
	}
	for name, c := range map[string]struct {
		change func(*Config)
		says   string
	}{
		"good":                 {func(*Config) {}, ""},
		"no issuer":            {func(c *Config) { c.Issuer = "" }, "issuer"},
		"in the clear":         {func(c *Config) { c.Issuer = "http://idp.example" }, "not https"},
		"no client":            {func(c *Config) { c.ClientID = "" }, "client_id"},
		"no groups":            {func(c *Config) { c.Roles = nil }, "at least one group"},
		"an empty group":       {func(c *Config) { c.Roles = []Row{{"", store.Viewer, ""}} }, "names no group"},
		"a misspelt role":      {func(c *Config) { c.Roles = []Row{{"g", "veiwer", ""}} }, `did you mean "viewer"?`},
		"a program's role":     {func(c *Config) { c.Roles = []Row{{"g", store.CERT, ""}} }, "unknown role of people"},
		"an operator's path":   {func(c *Config) { c.Roles = []Row{{"g", store.Viewer, "../x"}} }, "operator"},
		"another callback":     {func(c *Config) { c.Redirect = "https://collector.example/" }, "does not end with"},
		"no file":              {func(c *Config) { c.SecretFile = "/nowhere/secret" }, "no such file"},
		"a provider here":      {func(c *Config) { c.Issuer = "http://127.0.0.1:8080/realms/x" }, ""},
		"groups without a key": {func(c *Config) { *c = Config{GroupsClaim: "g"} }, "client_id"},
	} {
		cfg := good
		c.change(&cfg)
		if err := cfg.Check(); (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
	for name, files := range map[string][2]string{"an empty secret": {file(t, "\n"), ""}, "no certificate": {"", file(t, "noise")}} {
		cfg := good
		cfg.SecretFile, cfg.CAFile = files[0], files[1]
		if _, err := New(cfg, "north", redirect, time.Now); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}
