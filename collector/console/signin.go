package console

import (
	"errors"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/roje-ot/roje/collector/account"
	"github.com/roje-ot/roje/collector/store"
)

type signInView struct {
	view
	Name, Next string
	Provider   string // name of the identity provider, "" if there is none
}

func (s *Server) signInPage(w http.ResponseWriter, r *http.Request) {
	s.render(w, r, http.StatusOK, "signin.html", signInView{view: s.view(r), Next: local(r.FormValue("next")), Provider: s.providerName()})
}

func (s *Server) signIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, formMost)
	name, next := strings.TrimSpace(r.PostFormValue("name")), local(r.PostFormValue("next"))
	host := account.From(r)
	v := signInView{view: s.view(r), Name: name, Next: next, Provider: s.providerName()}
	u, err := s.Guard.Desk.SignIn(r.Context(), name, r.PostFormValue("password"), host)
	status := http.StatusUnauthorized
	var wait account.Wait
	switch {
	case errors.As(err, &wait):
		status = http.StatusTooManyRequests
		w.Header().Set("Retry-After", strconv.Itoa(seconds(wait)))
		v.Error = v.T("signin.wait", seconds(wait))
	case errors.Is(err, account.ErrWrong):
		s.Logger.Warn("sign-in failed", "from", host)
		v.Error = v.T("signin.wrong")
	case err != nil:
		s.broken(w, r, err)
		return
	case u.Role == store.CERT:
		status = http.StatusForbidden
		v.Error = v.T("signin.cert")
	default:
		glass, err := account.GlassOf(&u)
		switch {
		case err != nil:
			s.broken(w, r, err)
		case glass != nil && glass.Over(s.Now()):
			v.Error = v.T("signin.spent")
			s.render(w, r, http.StatusForbidden, "signin.html", v)
		case glass != nil && glass.Opened.IsZero() || account.HasSecond(&u):
			if err := s.Guard.BeginHalf(r.Context(), u); err != nil {
				s.broken(w, r, err)
				return
			}
			http.Redirect(w, r, "/signin/step?"+url.Values{"next": {next}}.Encode(), http.StatusSeeOther)
		default:
			s.enter(w, r, u, next)
		}
		return
	}
	s.render(w, r, status, "signin.html", v)
}

// enter lets a user in who has shown all that is asked for.
func (s *Server) enter(w http.ResponseWriter, r *http.Request, u store.User, next string) {
	if err := s.Guard.Begin(r.Context(), u); err != nil {
		s.broken(w, r, err)
		return
	}
	if err := s.Store.SignedIn(r.Context(), s.Scope, u.Name, s.Now()); err != nil {
		s.Logger.Error("sign-in", "err", err)
	}
	if next == "/" {
		next = account.Home(u.Role)
	}
	if first := s.Guard.First(&u); first != "" {
		next = first
	}
	http.Redirect(w, r, next, http.StatusSeeOther)
}

func seconds(w account.Wait) int { return int(math.Ceil(time.Duration(w).Seconds())) }

// formMost bounds what a form may send, in bytes.
const formMost = 64 << 10

// local is the path to go on to after signing in: only ever one of this server.
func local(next string) string {
	if !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n") {
		return "/"
	}
	return next
}

func (s *Server) signOut(w http.ResponseWriter, r *http.Request) {
	if err := s.Guard.End(r.Context()); err != nil {
		s.broken(w, r, err)
		return
	}
	http.Redirect(w, r, "/signin", http.StatusSeeOther)
}

type passwordView struct {
	view
	Least int
}

func (s *Server) passwordPage(w http.ResponseWriter, r *http.Request) {
	s.render(w, r, http.StatusOK, "password.html", passwordView{s.view(r), account.PasswordLeast})
}

func (s *Server) changePassword(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, formMost)
	v := passwordView{s.view(r), account.PasswordLeast}
	u, fresh := v.User, r.PostFormValue("new")
	if account.PasswordSet(&u) != nil {
		v.Error = v.T("password.not")
		s.render(w, r, http.StatusConflict, "password.html", v)
		return
	}
	_, err := s.Guard.Desk.SignIn(r.Context(), u.Name, r.PostFormValue("old"), account.From(r)) // counts wrong ones
	var wait account.Wait
	switch {
	case errors.As(err, &wait):
		v.Error = v.T("signin.wait", seconds(wait))
	case errors.Is(err, account.ErrWrong):
		v.Error = v.T("password.wrong")
	case err != nil:
		s.broken(w, r, err)
		return
	case fresh != r.PostFormValue("again"):
		v.Error = v.T("password.differ")
	case account.CheckPassword(u.Name, fresh) != nil:
		v.Error = v.T("password.weak", account.PasswordLeast)
	case account.Verify(u.Hash, fresh):
		v.Error = v.T("password.same")
	default:
		u.Hash, u.MustChange = account.Hash(fresh), false
		if err := s.Store.PutUser(r.Context(), s.Scope, u, u.Name, s.Now()); err != nil {
			s.broken(w, r, err)
			return
		}
		if err := s.Guard.Begin(r.Context(), u); err != nil { // every other session of the user has ended
			s.broken(w, r, err)
			return
		}
		http.Redirect(w, r, account.Home(u.Role), http.StatusSeeOther)
		return
	}
	s.render(w, r, http.StatusUnprocessableEntity, "password.html", v)
}

func (s *Server) setLanguage(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, formMost)
	u, _ := account.UserOf(r.Context())
	if code := r.PostFormValue("language"); find(code) >= 0 {
		u.Language = code
		if err := s.Store.PutUser(r.Context(), s.Scope, u, u.Name, s.Now()); err != nil {
			s.broken(w, r, err)
			return
		}
	}
	http.Redirect(w, r, local(r.PostFormValue("next")), http.StatusSeeOther)
}
