package console

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/roje-ot/roje/collector/account"
	"github.com/roje-ot/roje/collector/account/openid"
)

// ticketKey is where a session holds the ticket of a sign-in at the identity provider, and nextKey where it goes on to.
const (
	ticketKey = "openid-ticket"
	nextKey   = "openid-next"
)

// providerName is what the sign-in page calls the identity provider, "" where there is none.
func (s *Server) providerName() string {
	if s.Provider == nil {
		return ""
	}
	return s.Provider.Name()
}

// toProvider sends a browser to the identity provider.
func (s *Server) toProvider(w http.ResponseWriter, r *http.Request) {
	if s.Provider == nil {
		http.NotFound(w, r)
		return
	}
	address, ticket, err := s.Provider.Begin(r.Context())
	var text []byte
	if err == nil {
		text, err = json.Marshal(ticket)
	}
	if err == nil {
		err = s.Guard.Sessions.RenewToken(r.Context())
	}
	if err == nil {
		err = s.Guard.Sessions.Clear(r.Context())
	}
	if err != nil {
		s.Logger.Error("sign-in at the identity provider", "err", err)
		s.signInFailed(w, r, http.StatusBadGateway, "signin.noprovider")
		return
	}
	s.Guard.Sessions.Put(r.Context(), ticketKey, text)
	s.Guard.Sessions.Put(r.Context(), nextKey, local(r.FormValue("next")))
	http.Redirect(w, r, address, http.StatusSeeOther)
}

// fromProvider takes a browser back from the identity provider.
func (s *Server) fromProvider(w http.ResponseWriter, r *http.Request) {
	if s.Provider == nil {
		http.NotFound(w, r)
		return
	}
	var ticket openid.Ticket
	if text := s.Guard.Sessions.PopBytes(r.Context(), ticketKey); text != nil { // good once
		if err := json.Unmarshal(text, &ticket); err != nil {
			s.broken(w, r, err)
			return
		}
	}
	next := local(s.Guard.Sessions.PopString(r.Context(), nextKey))
	who, err := s.Provider.Finish(r.Context(), ticket, r.URL.Query())
	if err == nil {
		u, e := account.Welcome(r.Context(), s.Store, s.Scope, who.Subject, who.Name, who.Role, s.Now())
		if err = e; err == nil {
			s.enter(w, r, u, next)
			return
		}
	}
	s.Logger.Warn("sign-in at the identity provider refused", "from", account.From(r), "subject", who.Subject, "name", who.Name, "err", err)
	for _, c := range []struct {
		err    error
		status int
		key    string
	}{
		{openid.ErrStale, http.StatusForbidden, "signin.stale"},
		{openid.ErrNoGroup, http.StatusForbidden, "signin.nogroup"},
		{openid.ErrRefused, http.StatusForbidden, "signin.refused"},
		{account.ErrTaken, http.StatusForbidden, "signin.taken"},
		{account.ErrName, http.StatusForbidden, "users.badname"},
		{account.ErrWrong, http.StatusForbidden, "signin.disabled"},
	} {
		if errors.Is(err, c.err) {
			s.signInFailed(w, r, c.status, c.key)
			return
		}
	}
	s.signInFailed(w, r, http.StatusBadGateway, "signin.noprovider")
}

func (s *Server) signInFailed(w http.ResponseWriter, r *http.Request, status int, key string) {
	v := signInView{view: s.view(r), Next: "/", Provider: s.providerName()}
	v.Error = v.T(key)
	s.render(w, r, status, "signin.html", v)
}
