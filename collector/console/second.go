package console

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"rsc.io/qr"

	"github.com/roje-ot/roje/collector/account"
)

// issuer is the name under which an authenticator app lists its keys.
const issuer = "Roje"

// draftKey is where a session holds the key that is being set up.
const draftKey = "second-draft"

type stepView struct {
	view
	Next   string
	Sealed bool // a reason is asked for, not a code
}

// stepPage is the second step of a sign-in: a code or, at a sealed account, a reason.
func (s *Server) stepPage(w http.ResponseWriter, r *http.Request) {
	s.atStep(w, r, http.StatusOK, "")
}

func (s *Server) atStep(w http.ResponseWriter, r *http.Request, status int, wrong string) {
	next := local(r.FormValue("next"))
	u, err := s.Guard.Half(r.Context())
	if errors.Is(err, account.ErrWrong) {
		http.Redirect(w, r, "/signin", http.StatusSeeOther)
		return
	}
	glass, glassErr := account.GlassOf(&u)
	if err = errors.Join(err, glassErr); err != nil {
		s.broken(w, r, err)
		return
	}
	v := stepView{s.view(r), next, glass != nil}
	v.Error = wrong
	s.render(w, r, status, "step.html", v)
}

func (s *Server) step(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, formMost)
	u, err := s.Guard.Half(r.Context())
	if err == nil {
		var glass *account.Glass
		if glass, err = account.GlassOf(&u); err == nil && glass != nil {
			err = s.Guard.Desk.Break(r.Context(), &u, r.PostFormValue("reason"), account.From(r))
			if err == nil {
				glass, err = account.GlassOf(&u)
			}
			if err == nil {
				s.Logger.Error("a sealed account was opened", "user", u.Name, "from", glass.From, "until", glass.Until, "reason", glass.Reason)
			}
		} else if err == nil {
			err = s.Guard.Desk.Code(r.Context(), u, r.PostFormValue("code"))
		}
	}
	v := s.view(r)
	var wait account.Wait
	switch {
	case errors.Is(err, account.ErrWrong):
		http.Redirect(w, r, "/signin", http.StatusSeeOther)
	case errors.As(err, &wait):
		w.Header().Set("Retry-After", strconv.Itoa(seconds(wait)))
		s.atStep(w, r, http.StatusTooManyRequests, v.T("signin.wait", seconds(wait)))
	case errors.Is(err, account.ErrCode):
		s.Logger.Warn("sign-in failed at the second step", "from", account.From(r))
		s.atStep(w, r, http.StatusUnauthorized, v.T("second.wrong"))
	case errors.Is(err, account.ErrReason):
		s.atStep(w, r, http.StatusUnprocessableEntity, v.T("signin.noreason"))
	case errors.Is(err, account.ErrSpent):
		s.atStep(w, r, http.StatusForbidden, v.T("signin.spent"))
	case err != nil:
		s.broken(w, r, err)
	default:
		s.enter(w, r, u, local(r.PostFormValue("next")))
	}
}

type secondView struct {
	view
	Managed  bool     // the second factor of this account is not ours: it is an identity provider's, or sealed
	Has      bool     // there is one
	Left     int      // recovery codes that are left
	Secret   string   // the key to set up, in groups of four
	QR       *picture // the same, with what an app needs
	Recovery []string // shown once
}

func (s *Server) secondPage(w http.ResponseWriter, r *http.Request) {
	s.atSecond(w, r, http.StatusOK, secondView{view: s.view(r)})
}

// atSecond shows the state of the second factor and, where there is none, a key to set up. The key stays the same for a
// session, so that a wrong code costs no second scan.
func (s *Server) atSecond(w http.ResponseWriter, r *http.Request, status int, v secondView) {
	glass, err := account.GlassOf(&v.User)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	v.Managed = glass != nil || v.User.Subject != ""
	v.Has, v.Left = account.HasSecond(&v.User), account.RecoveryLeft(&v.User)
	if !v.Has && !v.Managed {
		secret := s.draft(r, v.User.Name)
		if secret == nil {
			secret = account.NewSecret()
			s.Guard.Sessions.Put(r.Context(), draftKey, s.Guard.Desk.Cover.Seal(v.User.Name, secret))
		}
		v.Secret = fours(account.SecretText(secret))
		if v.QR, err = draw(account.SecretURL(issuer, v.User.Name, secret)); err != nil {
			s.broken(w, r, err)
			return
		}
	}
	s.render(w, r, status, "second.html", v)
}

// draft is the key that a session is setting up, nil where there is none. It lies in the store as sealed as it will be.
func (s *Server) draft(r *http.Request, name string) []byte {
	secret, err := s.Guard.Desk.Cover.Open(name, s.Guard.Sessions.GetBytes(r.Context(), draftKey))
	if err != nil {
		return nil
	}
	return secret
}

func (s *Server) changeSecond(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, formMost)
	v := secondView{view: s.view(r)}
	u, desk, code := v.User, s.Guard.Desk, r.PostFormValue("code")
	secret := s.draft(r, u.Name)
	var err error
	switch has := account.HasSecond(&u); {
	case u.Subject != "" || !has && secret == nil:
		s.atSecond(w, r, http.StatusConflict, v)
		return
	case has:
		if err = desk.Code(r.Context(), u, code); err == nil { // whoever finds the session open does not have the phone
			if u, err = s.Store.GetUser(r.Context(), s.Scope, u.Name); err == nil {
				err = account.RemoveSecond(r.Context(), s.Store, s.Scope, &u, u.Name, s.Now())
			}
		}
	default:
		v.Recovery, err = desk.AddSecond(r.Context(), &u, secret, code)
	}
	var wait account.Wait
	switch {
	case errors.As(err, &wait):
		v.Error = v.T("signin.wait", seconds(wait))
	case errors.Is(err, account.ErrCode):
		v.Error = v.T("second.wrong")
	case err != nil:
		s.broken(w, r, err)
		return
	default:
		if err := s.Guard.Begin(r.Context(), u); err != nil { // every other session of the user has ended
			s.broken(w, r, err)
			return
		}
		v.User, v.first = u, s.Guard.First(&u) != ""
		s.atSecond(w, r, http.StatusOK, v)
		return
	}
	s.atSecond(w, r, http.StatusUnprocessableEntity, v)
}

// fours puts a space after every four characters.
func fours(text string) string {
	var b strings.Builder
	for i, c := range text {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(c)
	}
	return b.String()
}

// A picture is a QR code as the path of an SVG, whose unit is a module.
type picture struct {
	Size int // of a side, with the quiet zone that ISO/IEC 18004 asks for
	Path string
}

func draw(text string) (*picture, error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return nil, err
	}
	const quiet = 4
	var path strings.Builder
	for y := range code.Size {
		for x := range code.Size {
			if code.Black(x, y) {
				fmt.Fprintf(&path, "M%d %dh1v1h-1z", x+quiet, y+quiet)
			}
		}
	}
	return &picture{code.Size + 2*quiet, path.String()}, nil
}
