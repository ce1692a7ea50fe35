package account

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/roje-ot/roje/collector/store"
)

// A Guard stands before every route.
type Guard struct {
	Desk     *Desk
	Sessions *scs.SessionManager
	Users    store.Users
	Scope    store.Scope
	Now      func() time.Time
	Logger   *slog.Logger
	// Second are the roles that need a second factor.
	Second []store.Role
	// RefuseFeed answers who may not pull, in the form of the feed.
	RefuseFeed func(w http.ResponseWriter, status int, title, description string)
}

// Limits of a session: how long it lives unused, and at all.
const (
	idle     = time.Hour
	absolute = 12 * time.Hour
)

// NewSessions keeps sessions in kept. secure says that the console is served over TLS.
func NewSessions(kept store.Sessions, secure bool) *scs.SessionManager {
	m := scs.New()
	m.Store = kept
	m.IdleTimeout, m.Lifetime = idle, absolute
	m.Cookie.Name = "roje_session"
	if secure {
		m.Cookie.Name, m.Cookie.Secure = "__Host-roje_session", true
	}
	m.Cookie.HttpOnly, m.Cookie.SameSite, m.Cookie.Path = true, http.SameSiteLaxMode, "/"
	return m
}

// Handler serves the routes, guarded. An address that is none of them is not found, whoever asks.
func (g *Guard) Handler(routes []Route) http.Handler {
	mux := http.NewServeMux()
	for _, route := range routes {
		mux.Handle(route.Pattern, g.at(route))
	}
	origin := http.NewCrossOriginProtection()
	return headers(origin.Handler(feedSlash(g.Sessions.LoadAndSave(mux))))
}

// headers sets what every answer carries. Pages come from here alone, and are framed by nobody.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		h.Set("Cache-Control", "no-store")
		if r.TLS != nil {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}

// feedSlash adds the slash that ends every TAXII path, for people who type an address without it.
func feedSlash(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/taxii2") && !strings.HasSuffix(r.URL.Path, "/") {
			r2 := *r
			u := *r.URL
			u.Path, u.RawPath = u.Path+"/", ""
			r2.URL = &u
			r = &r2
		}
		next.ServeHTTP(w, r)
	})
}

// at lets through to a route whom it is for.
func (g *Guard) at(route Route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if route.Door == Open || route.Door == Local && isLocal(r) {
			route.Handler(w, r)
			return
		}
		u, err := g.who(r, route.Door)
		var wait Wait
		switch {
		case errors.As(err, &wait):
			w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(time.Duration(wait).Seconds()))))
			g.refuse(w, r, route.Door, http.StatusTooManyRequests, err.Error())
		case errors.Is(err, ErrWrong):
			g.refuse(w, r, route.Door, http.StatusUnauthorized, "sign in to see this")
		case errors.Is(err, ErrConsole):
			g.refuse(w, r, route.Door, http.StatusForbidden, err.Error())
		case err != nil:
			g.Logger.Error("sign-in", "path", r.URL.Path, "err", err)
			g.refuse(w, r, route.Door, http.StatusInternalServerError, "the store could not be read")
		case !route.May(u.Role):
			g.refuse(w, r, route.Door, http.StatusForbidden, "this account may not do that")
		case g.First(&u) != "" && !route.Fresh:
			if route.Door == Page {
				http.Redirect(w, r, g.First(&u), http.StatusSeeOther)
				return
			}
			g.refuse(w, r, route.Door, http.StatusForbidden, "change the one-time password, and set up the second factor that this role needs, in the console first")
		default:
			route.Handler(w, r.WithContext(context.WithValue(r.Context(), userKey{}, u)))
		}
	})
}

// who says who makes the request, by what the door takes.
func (g *Guard) who(r *http.Request, door Door) (store.User, error) {
	if door == API || door == Local || door == Feed {
		if name, password, ok := credential(r.Header); ok {
			u, err := g.Desk.SignIn(r.Context(), name, password, From(r))
			if err == nil && !byPassword(&u) {
				err = ErrConsole
			}
			return u, err
		}
	}
	if door == Feed || door == Closed {
		return store.User{}, ErrWrong
	}
	return g.Session(r.Context())
}

// ErrConsole is the answer to a password alone where that is not enough.
var ErrConsole = errors.New("this account signs in at the console only: it is sealed, or has a second factor")

// byPassword says whether the password is all that a user has to show: there is no second factor and no seal.
func byPassword(u *store.User) bool {
	p, err := proofOf(u)
	return err == nil && !p.second() && p.Glass == nil
}

// First is the page where a user has something to do before anything else, "" for who may go on.
func (g *Guard) First(u *store.User) string {
	switch {
	case u.MustChange:
		return "/password"
	case u.Subject == "" && slices.Contains(g.Second, u.Role) && byPassword(u):
		return "/second"
	}
	return ""
}

// Session returns the user whose session the request carries, or ErrWrong. A session ends with a change of the
// password, of the role or of the second factor, when the account is disabled, and when the time of a broken seal is over.
func (g *Guard) Session(ctx context.Context) (store.User, error) {
	u, err := g.kept(ctx, "user")
	if err != nil {
		return u, err
	}
	if glass, err := GlassOf(&u); err != nil || glass != nil && (glass.Opened.IsZero() || glass.Over(g.Now())) {
		return store.User{}, errors.Join(err, ErrWrong)
	}
	return u, nil
}

// kept is the user whose name the session holds under key, if nothing has changed upon which that rests.
func (g *Guard) kept(ctx context.Context, key string) (store.User, error) {
	name := g.Sessions.GetString(ctx, key)
	if name == "" {
		return store.User{}, ErrWrong
	}
	u, err := g.Users.GetUser(ctx, g.Scope, name)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return store.User{}, err
	}
	if err != nil || u.Disabled || mark(u) == "" || mark(u) != g.Sessions.GetString(ctx, "mark") {
		return store.User{}, ErrWrong
	}
	return u, nil
}

// halfLife is how long one has for the second step of a sign-in.
const halfLife = 5 * time.Minute

// BeginHalf keeps that u's password was right, where that is not enough: it opens nothing but the second step.
func (g *Guard) BeginHalf(ctx context.Context, u store.User) error {
	if err := g.put(ctx, "half", u); err != nil {
		return err
	}
	g.Sessions.Put(ctx, "half-until", g.Now().Add(halfLife).Unix())
	return nil
}

// Half returns the user who is at the second step of a sign-in, or ErrWrong.
func (g *Guard) Half(ctx context.Context) (store.User, error) {
	if g.Now().Unix() > g.Sessions.GetInt64(ctx, "half-until") {
		return store.User{}, ErrWrong
	}
	return g.kept(ctx, "half")
}

// Begin starts a session for u, under a new token.
func (g *Guard) Begin(ctx context.Context, u store.User) error {
	return g.put(ctx, "user", u)
}

// put keeps who it is under key, in a session that holds nothing else.
func (g *Guard) put(ctx context.Context, key string, u store.User) error {
	if err := g.Sessions.RenewToken(ctx); err != nil {
		return err
	}
	if err := g.Sessions.Clear(ctx); err != nil {
		return err
	}
	g.Sessions.Put(ctx, key, u.Name)
	g.Sessions.Put(ctx, "mark", mark(u))
	return nil
}

// End ends the session.
func (g *Guard) End(ctx context.Context) error { return g.Sessions.Destroy(ctx) }

// mark changes when what a session rests on changes.
func mark(u store.User) string {
	p, err := proofOf(&u)
	if err != nil {
		return "" // no session is of a user whose proof cannot be read
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{u.Hash, string(u.Role), string(p.Secret) + string(p.Sealed), u.Subject}, "\x00")))
	return hex.EncodeToString(sum[:12])
}

func (g *Guard) refuse(w http.ResponseWriter, r *http.Request, door Door, status int, why string) {
	if status == http.StatusUnauthorized && door != Page {
		w.Header().Add("WWW-Authenticate", `Basic realm="roje", charset="UTF-8"`)
		w.Header().Add("WWW-Authenticate", `Bearer realm="roje"`)
	}
	switch door {
	case Page:
		if status == http.StatusUnauthorized {
			target := "/signin"
			if r.Method == http.MethodGet && r.URL.Path != "/" && !strings.HasPrefix(r.Header.Get("Accept"), "text/event-stream") {
				target += "?" + url.Values{"next": {r.URL.RequestURI()}}.Encode()
			}
			http.Redirect(w, r, target, http.StatusSeeOther)
			return
		}
		http.Error(w, why, status)
	case Feed:
		g.RefuseFeed(w, status, http.StatusText(status), why)
	default:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(map[string]string{"error": why})
	}
}

// isLocal says whether the request comes from this machine and through no proxy.
func isLocal(r *http.Request) bool {
	if r.Header.Get("X-Forwarded-For") != "" || r.Header.Get("Forwarded") != "" {
		return false
	}
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && ap.Addr().Unmap().IsLoopback()
}
