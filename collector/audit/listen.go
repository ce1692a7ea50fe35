package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules/batch"
)

// What the entries are called that are no acts of the store.
const (
	SignIn        = "sign-in"
	SignInRefused = "sign-in-refused" // wrong name or password, or too many of them
	Denied        = "denied"          // signed in, and not allowed
	SensorRefused = "sensor-refused"  // a sensor's certificate, token, signature or chain
	Exported      = "export"          // what was released was written to files for Object
	Compared      = "compared"        // Who, a CERT, has laid the act Object beside the same one of others, as the operator lets it
	KeyAdded      = "audit-key"       // a collector signs from now on: Object is its key's hash, Detail the key
	Contradicted  = "audit-split"     // a collector has signed another log than this one
	CopyRenewed   = "audit-copy"      // a collector's copy of the log was set aside, Detail says why
)

// Signing is a store that brings sign-ins into the log.
type Signing struct {
	store.Store
	Log    *Log
	Logger *slog.Logger
}

// SignedIn implements store.Users. A sign-in is not refused because the log cannot take it.
func (s Signing) SignedIn(ctx context.Context, sc store.Scope, name string, at time.Time) error {
	if err := s.Log.Append(Entry{At: at, Operator: sc.Operator(), Who: name, What: SignIn, Object: name}); err != nil {
		s.Logger.Error("a sign-in is not in the audit log", "user", name, "err", err)
	}
	return s.Store.SignedIn(ctx, sc, name, at)
}

// mostRefused is how many refusals of a minute are entries of their own: strangers must not fill the disk.
const mostRefused = 60

// Refused brings refusals into the log. Its methods are safe for concurrent use.
type Refused struct {
	Log      *Log
	Operator string
	Now      func() time.Time
	Logger   *slog.Logger

	mu     sync.Mutex
	minute time.Time
	noted  int
	passed int // refusals of the minute that are no entries of their own
}

// Console watches what the console, the API and the feed refuse.
func (r *Refused) Console(next http.Handler) http.Handler {
	return r.watch(next, func(req *http.Request, status int) (what, who string) {
		// a browser that was never signed in is sent to the sign-in page: nobody was refused
		asked := req.Header.Get("Authorization") != "" || req.Header.Get("X-Api-Key") != "" || req.Method == http.MethodPost && strings.HasPrefix(req.URL.Path, "/signin")
		switch {
		case status == http.StatusUnauthorized && asked, status == http.StatusTooManyRequests:
			return SignInRefused, ""
		case status == http.StatusForbidden:
			return Denied, ""
		}
		return "", ""
	})
}

// Sensors watches what the ingest listener refuses.
func (r *Refused) Sensors(next http.Handler) http.Handler {
	return r.watch(next, func(req *http.Request, status int) (what, who string) {
		switch status {
		case http.StatusUnauthorized, http.StatusForbidden, http.StatusConflict, http.StatusBadRequest:
			if req.TLS != nil && len(req.TLS.PeerCertificates) > 0 {
				who = req.TLS.PeerCertificates[0].Subject.CommonName // what was shown, true or not
			}
			return SensorRefused, who
		}
		return "", ""
	})
}

// watch notes the answers that judge gives a word.
func (r *Refused) watch(next http.Handler, judge func(*http.Request, int) (what, who string)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		seen := &answer{ResponseWriter: w}
		next.ServeHTTP(seen, req)
		if what, who := judge(req, seen.status); what != "" {
			host, _, err := net.SplitHostPort(req.RemoteAddr)
			if err != nil {
				host = req.RemoteAddr
			}
			detail := fmt.Sprintf("%s %s: %d", req.Method, req.URL.Path, seen.status)
			if why := seen.why(); why != "" {
				detail += " " + why
			}
			r.note(Entry{At: r.Now(), Operator: r.Operator, Who: who, What: what, Object: host, Detail: detail})
		}
	})
}

// answer remembers the status and, of a refusal, the beginning of its body.
type answer struct {
	http.ResponseWriter
	status int
	body   []byte
}

// mostBody is how much of a refusal's body is remembered.
const mostBody = 1 << 10

// Write implements http.ResponseWriter.
func (a *answer) Write(b []byte) (int, error) {
	if a.status >= http.StatusBadRequest {
		a.body = append(a.body, b[:min(len(b), mostBody-len(a.body))]...)
	}
	return a.ResponseWriter.Write(b)
}

// why is the reason that a refusal gives to a sensor, "" if it gives none.
func (a *answer) why() string {
	var no batch.Refusal
	if json.Unmarshal(a.body, &no) != nil || no.Message == "" {
		return ""
	}
	return string(no.Code) + ": " + no.Message
}

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach what the server brought.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// note adds a refusal, or counts it where the minute has had its share.
func (r *Refused) note(e Entry) {
	r.settle()
	r.mu.Lock()
	r.noted++
	most := r.noted > mostRefused
	if most {
		r.passed++
	}
	r.mu.Unlock()
	if !most {
		r.append(e)
	}
}

// settle ends the minute, if it is over, with an entry for the refusals that were only counted.
func (r *Refused) settle() {
	now := r.Now()
	r.mu.Lock()
	over := now.Sub(r.minute) >= time.Minute
	passed, since := r.passed, r.minute
	if over {
		r.minute, r.noted, r.passed = now, 0, 0
	}
	r.mu.Unlock()
	if over && passed > 0 {
		r.append(Entry{At: now, Operator: r.Operator, What: Denied, Detail: fmt.Sprintf("%d more refusals since %s", passed, since.UTC().Format(time.RFC3339))})
	}
}

func (r *Refused) append(e Entry) {
	if err := r.Log.Append(e); err != nil {
		r.Logger.Error("a refusal is not in the audit log", "what", e.What, "err", err)
	}
}
