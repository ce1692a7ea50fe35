// Package idp is an OpenID provider on loopback, for the tests of the collector: discovery, keys, the code flow with PKCE,
// and ID tokens that are really signed.
package idp

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"
)

// ClientID and Secret are those of the one client.
const (
	ClientID = "roje"
	Secret   = "client secret"
)

// A Provider signs in everybody who comes, as its Token says.
type Provider struct {
	URL string

	t   testing.TB
	now func() time.Time
	key *rsa.PrivateKey

	mu     sync.Mutex
	codes  map[string]asked // not used yet
	token  Token
	issuer string
}

// A Token is what the provider says of the next who come.
type Token struct {
	Claims map[string]any // beside those that every token has
	// Change and Sign make it a wrong one: its header, its claims, or how it is signed. nil leaves it right.
	Change func(header, claims map[string]any)
	Sign   func(signed []byte) []byte
}

// Give has the provider give this token from now on.
func (p *Provider) Give(t Token) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.token = t
}

// Pretend has the provider say that it is another.
func (p *Provider) Pretend(issuer string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.issuer = issuer
}

func (p *Provider) said() (Token, string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.token, p.issuer
}

type asked struct{ nonce, challenge, redirect string }

// Start starts a provider, which ends with the test.
func Start(t testing.TB, now func() time.Time) *Provider {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p := &Provider{t: t, key: key, now: now, codes: map[string]asked{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.discovery)
	mux.HandleFunc("GET /keys", p.keys)
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /token", p.exchange)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p.URL = server.URL
	p.Pretend(p.URL)
	return p
}

func send(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

func (p *Provider) discovery(w http.ResponseWriter, _ *http.Request) {
	_, issuer := p.said()
	send(w, 200, map[string]any{
		"issuer": issuer, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": []string{"RS256", "HS256", "none"}, // what a client must not believe
	})
}

var b64 = base64.RawURLEncoding

func (p *Provider) keys(w http.ResponseWriter, _ *http.Request) {
	send(w, 200, map[string]any{"keys": []any{map[string]any{
		"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "k1", "n": b64.EncodeToString(p.key.N.Bytes()), "e": b64.EncodeToString(big.NewInt(int64(p.key.E)).Bytes()),
	}}})
}

// authorize sends the browser back with a code.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("client_id") != ClientID || q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" || q.Get("code_challenge") == "" || q.Get("nonce") == "" || q.Get("state") == "" {
		http.Error(w, "a request without PKCE, nonce or state", http.StatusBadRequest)
		return
	}
	code := rand.Text()
	p.mu.Lock()
	p.codes[code] = asked{q.Get("nonce"), q.Get("code_challenge"), q.Get("redirect_uri")}
	p.mu.Unlock()
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+url.Values{"code": {code}, "state": {q.Get("state")}}.Encode(), http.StatusSeeOther)
}

// exchange changes a code, which is good once, for an ID token.
func (p *Provider) exchange(w http.ResponseWriter, r *http.Request) {
	id, secret, ok := r.BasicAuth()
	if !ok {
		id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	if secret, _ = url.QueryUnescape(secret); id != ClientID || secret != Secret {
		send(w, 401, map[string]string{"error": "invalid_client"})
		return
	}
	p.mu.Lock()
	was, known := p.codes[r.PostFormValue("code")]
	delete(p.codes, r.PostFormValue("code"))
	p.mu.Unlock()
	challenge := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if !known || b64.EncodeToString(challenge[:]) != was.challenge || r.PostFormValue("redirect_uri") != was.redirect {
		send(w, 400, map[string]string{"error": "invalid_grant"})
		return
	}
	send(w, 200, map[string]any{"access_token": rand.Text(), "token_type": "Bearer", "id_token": p.idToken(was.nonce)})
}

func (p *Provider) idToken(nonce string) string {
	header := map[string]any{"alg": "RS256", "kid": "k1", "typ": "JWT"}
	give, issuer := p.said()
	now := p.now()
	claims := map[string]any{"iss": issuer, "aud": ClientID, "sub": "7", "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "nonce": nonce}
	for name, v := range give.Claims {
		claims[name] = v
	}
	if give.Change != nil {
		give.Change(header, claims)
	}
	text := func(v any) string {
		raw, err := json.Marshal(v)
		if err != nil {
			p.t.Error(err)
		}
		return b64.EncodeToString(raw)
	}
	signed := text(header) + "." + text(claims)
	sign := p.RSA
	if give.Sign != nil {
		sign = give.Sign
	}
	return signed + "." + b64.EncodeToString(sign([]byte(signed)))
}

// RSA signs as the provider does.
func (p *Provider) RSA(signed []byte) []byte {
	sum := sha256.Sum256(signed)
	sig, err := rsa.SignPKCS1v15(rand.Reader, p.key, crypto.SHA256, sum[:])
	if err != nil {
		p.t.Error(err)
	}
	return sig
}

// HMAC signs with what everybody may know: the public key's modulus, or any other text.
func (p *Provider) HMAC(secret []byte) func(signed []byte) []byte {
	return func(signed []byte) []byte {
		mac := hmac.New(sha256.New, secret)
		mac.Write(signed)
		return mac.Sum(nil)
	}
}

// Modulus is the public key's.
func (p *Provider) Modulus() []byte { return p.key.N.Bytes() }
