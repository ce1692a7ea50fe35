package account

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/roje-ot/roje/collector/store"
)

// A Desk checks names and passwords. Any goroutine may use it.
type Desk struct {
	Cover *Cover // of the keys of second factors

	users store.Users
	scope store.Scope
	now   func() time.Time
	limit limiter

	// known remembers which credentials were found right for which password hash, so that a client that sends Basic
	// credentials with every request costs one hash. Keys and values are keyed digests. Guarded by mu.
	mu    sync.Mutex
	known map[[32]byte][32]byte
	key   [32]byte
}

// NewDesk checks against users of one operator, the keys of whose second factors are under cover.
func NewDesk(users store.Users, scope store.Scope, cover *Cover, now func() time.Time) *Desk {
	d := &Desk{Cover: cover, users: users, scope: scope, now: now, known: make(map[[32]byte][32]byte)}
	rand.Read(d.key[:])
	return d
}

// ErrWrong is the one answer to any wrong name or password, and to a disabled account.
var ErrWrong = errors.New("name or password is wrong")

// A Wait is returned when there were too many failures.
type Wait time.Duration

func (w Wait) Error() string {
	return fmt.Sprintf("too many failed sign-ins; wait %v", time.Duration(w).Round(time.Second))
}

// SignIn returns the user of this name and password. from is the client's address without its port; failures are
// counted for the name at that address, and for the address.
func (d *Desk) SignIn(ctx context.Context, name, password, from string) (store.User, error) {
	keys := [2]string{"name " + strings.ToLower(name) + " at " + from, "address " + from}
	now := d.now()
	for _, key := range keys {
		if wait := d.limit.wait(key, now); wait > 0 {
			return store.User{}, Wait(wait)
		}
	}
	u, err := d.users.GetUser(ctx, d.scope, name)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return store.User{}, fmt.Errorf("sign in: %w", err)
	}
	found := err == nil
	if !found {
		u.Hash = nobody() // the same work, so that time does not tell which names exist
	}
	if !d.right(name, u.Hash, password) || !found || u.Disabled || u.Subject != "" {
		d.limit.failed(keys[0], freeForName, now)
		d.limit.failed(keys[1], freeForAddress, now)
		return store.User{}, ErrWrong
	}
	d.limit.passed(keys[0])
	return u, nil
}

var nobody = sync.OnceValue(func() string { return Hash(rand.Text()) })

func (d *Desk) right(name, hash, password string) bool {
	credential, current := d.digest(name, password), d.digest(hash)
	d.mu.Lock()
	remembered := d.known[credential] == current
	d.mu.Unlock()
	if remembered {
		return true
	}
	if !Verify(hash, password) {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.known) >= 1000 {
		clear(d.known)
	}
	d.known[credential] = current
	return true
}

func (d *Desk) digest(words ...string) (sum [32]byte) {
	mac := hmac.New(sha256.New, d.key[:])
	for _, w := range words {
		fmt.Fprintf(mac, "%d:%s", len(w), w)
	}
	mac.Sum(sum[:0])
	return sum
}

// credential reads a name and a password from a request's headers: Basic; or the same "name:password", as it is or in
// base64, as Bearer, as Token, or in X-Api-Key, for clients that offer nothing else.
func credential(h http.Header) (name, password string, ok bool) {
	text := h.Get("X-Api-Key")
	if scheme, rest, found := strings.Cut(h.Get("Authorization"), " "); found {
		switch strings.ToLower(scheme) {
		case "basic", "bearer", "token":
			text = strings.TrimSpace(rest)
		default:
			return "", "", false
		}
	}
	if text == "" {
		return "", "", false
	}
	if raw, err := base64.StdEncoding.DecodeString(text); err == nil && strings.Contains(string(raw), ":") {
		text = string(raw)
	}
	return strings.Cut(text, ":")
}

// From is the client's address without its port, as SignIn counts it.
func From(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
