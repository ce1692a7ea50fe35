package openid

import (
	"cmp"
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/roje-ot/roje/collector/outward"
	"github.com/roje-ot/roje/collector/store"
)

// asymmetric are the signatures that are taken (RFC 7518 §3.1): by a key that the provider alone has. "none" is not among
// them, nor is any by a shared secret.
var asymmetric = []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA}

// A Provider asks an identity provider. Any goroutine may use it.
type Provider struct {
	cfg      Config
	operator string
	secret   string
	now      func() time.Time
	client   *http.Client

	mu    sync.Mutex
	found *oidc.Provider // nil until it was reached for the first time
}

// New reads the files that a configuration names. The provider is not asked before somebody signs in, so that the
// collector starts without it. redirect is where people come back to where the configuration does not say.
func New(cfg Config, operator, redirect string, now func() time.Time) (*Provider, error) {
	cfg.Redirect = cmp.Or(cfg.Redirect, redirect)
	cfg.NameClaim, cfg.GroupsClaim = cmp.Or(cfg.NameClaim, "preferred_username"), cmp.Or(cfg.GroupsClaim, "groups")
	p := &Provider{cfg: cfg, operator: operator, now: now}
	var err error
	if cfg.SecretFile != "" {
		p.secret, err = outward.Secret(cfg.SecretFile)
	}
	if err == nil {
		p.client, err = outward.Client(cfg.CAFile)
	}
	if err != nil {
		return nil, fmt.Errorf("sign-in by OpenID Connect: %w", err)
	}
	return p, nil
}

// Name is what the sign-in page calls the provider.
func (p *Provider) Name() string {
	if u, err := url.Parse(p.cfg.Issuer); err == nil && p.cfg.Name == "" {
		return u.Host
	}
	return p.cfg.Name
}

// discover asks the provider for its addresses and keys, once.
func (p *Provider) discover(ctx context.Context) (*oidc.Provider, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.found != nil {
		return p.found, nil
	}
	// what is found outlives the request: keys are fetched again when the provider changes them
	found, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), p.client), p.cfg.Issuer)
	if err != nil {
		return nil, fmt.Errorf("identity provider: %w", err)
	}
	p.found = found
	return found, nil
}

func (p *Provider) oauth(found *oidc.Provider) *oauth2.Config {
	return &oauth2.Config{ClientID: p.cfg.ClientID, ClientSecret: p.secret, Endpoint: found.Endpoint(), RedirectURL: p.cfg.Redirect, Scopes: []string{oidc.ScopeOpenID, "profile"}}
}

// A Ticket is what a session keeps between the two halves of a sign-in.
type Ticket struct {
	State, Nonce, Verifier string
	Until                  time.Time
}

// ticketLife is how long one has at the provider.
const ticketLife = 10 * time.Minute

// Begin returns the address to send a browser to.
func (p *Provider) Begin(ctx context.Context) (address string, t Ticket, err error) {
	found, err := p.discover(ctx)
	if err != nil {
		return "", t, err
	}
	t = Ticket{oauth2.GenerateVerifier(), oauth2.GenerateVerifier(), oauth2.GenerateVerifier(), p.now().Add(ticketLife)}
	return p.oauth(found).AuthCodeURL(t.State, oidc.Nonce(t.Nonce), oauth2.S256ChallengeOption(t.Verifier)), t, nil
}

// A Person is who the provider says somebody is, and what our settings say they may do.
type Person struct {
	Subject string // issuer and subject, which never change
	Name    string
	Role    store.Role
}

// The errors of Finish that a person can do something about; the others are for the log.
var (
	ErrStale   = errors.New("the sign-in at the identity provider took too long, or was begun elsewhere")
	ErrNoGroup = errors.New("this person is in no group that may sign in here")
	ErrRefused = errors.New("the identity provider refused")
)

// Finish takes what the provider sent the browser back with. ticket is the session's, which is used up by that.
func (p *Provider) Finish(ctx context.Context, ticket Ticket, form url.Values) (who Person, err error) {
	if ticket.State == "" || subtle.ConstantTimeCompare([]byte(form.Get("state")), []byte(ticket.State)) != 1 || p.now().After(ticket.Until) {
		return who, ErrStale
	}
	if no := form.Get("error"); no != "" {
		return who, fmt.Errorf("%w: %.100q", ErrRefused, no)
	}
	found, err := p.discover(ctx)
	if err != nil {
		return who, err
	}
	token, err := p.oauth(found).Exchange(oidc.ClientContext(ctx, p.client), form.Get("code"), oauth2.VerifierOption(ticket.Verifier))
	if err != nil {
		var no *oauth2.RetrieveError
		if errors.As(err, &no) { // its text has the whole answer
			err = fmt.Errorf("status %d, %.100q", no.Response.StatusCode, no.ErrorCode)
		}
		return who, fmt.Errorf("%w: the code: %w", ErrRefused, err)
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return who, fmt.Errorf("%w: it sent no ID token", ErrRefused)
	}
	verifier := found.VerifierContext(oidc.ClientContext(ctx, p.client), &oidc.Config{ClientID: p.cfg.ClientID, SupportedSigningAlgs: asymmetric, Now: p.now})
	id, err := verifier.Verify(ctx, raw)
	if err != nil {
		return who, fmt.Errorf("%w: ID token: %w", ErrRefused, err)
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(ticket.Nonce)) != 1 {
		return who, fmt.Errorf("%w: ID token: it was made for another sign-in", ErrRefused)
	}
	var claims map[string]json.RawMessage
	if err := id.Claims(&claims); err != nil {
		return who, fmt.Errorf("%w: ID token: %w", ErrRefused, err)
	}
	who.Subject = id.Issuer + " " + id.Subject
	if json.Unmarshal(claims[p.cfg.NameClaim], &who.Name) != nil || who.Name == "" || id.Subject == "" {
		return who, fmt.Errorf("%w: ID token: it has no claim %q", ErrRefused, p.cfg.NameClaim)
	}
	var groups []string
	if text := claims[p.cfg.GroupsClaim]; json.Unmarshal(text, &groups) != nil {
		groups = make([]string, 1)
		if json.Unmarshal(text, &groups[0]) != nil { // one group may come without its list
			groups = nil
		}
	}
	if who.Role, ok = p.cfg.role(groups, p.operator); !ok {
		return who, ErrNoGroup
	}
	return who, nil
}
