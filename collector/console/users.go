package console

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/roje-ot/roje/collector/account"
	"github.com/roje-ot/roje/collector/store"
)

type usersView struct {
	view
	Users    []store.User
	Roles    []store.Role
	Name     string // whose one-time password is shown
	Password string // shown once
}

func (s *Server) users(w http.ResponseWriter, r *http.Request) {
	s.usersPage(w, r, http.StatusOK, usersView{view: s.view(r)})
}

func (s *Server) usersPage(w http.ResponseWriter, r *http.Request, status int, v usersView) {
	var err error
	if v.Users, err = s.Store.ListUsers(r.Context(), s.Scope); err != nil {
		s.broken(w, r, err)
		return
	}
	v.Roles = account.Everyone
	s.render(w, r, status, "users.html", v)
}

func (s *Server) addUser(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, formMost)
	v := usersView{view: s.view(r)}
	name, role := strings.TrimSpace(r.PostFormValue("name")), store.Role(r.PostFormValue("role"))
	password, err := account.Add(r.Context(), s.Store, s.Scope, name, role, v.User.Name, s.Now())
	switch {
	case errors.Is(err, store.ErrExists):
		v.Error = v.T("users.exists")
	case errors.Is(err, account.ErrName):
		v.Error = v.T("users.badname")
	case errors.Is(err, account.ErrRole):
		v.Error = v.T("users.badrole")
	case err != nil:
		s.broken(w, r, err)
		return
	default:
		v.Name, v.Password = name, password
		s.usersPage(w, r, http.StatusOK, v)
		return
	}
	s.usersPage(w, r, http.StatusUnprocessableEntity, v)
}

// editUser resets a password, sets a role, disables or enables. Nobody does that to themselves, so there is always an
// admin left.
func (s *Server) editUser(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, formMost)
	v := usersView{view: s.view(r)}
	u, err := s.Store.GetUser(r.Context(), s.Scope, r.PathValue("name"))
	if err != nil {
		s.broken(w, r, err)
		return
	}
	if u.Name == v.User.Name {
		v.Error = v.T("users.self")
		s.usersPage(w, r, http.StatusConflict, v)
		return
	}
	switch r.PostFormValue("do") {
	case "password":
		v.Name, v.Password = u.Name, account.Reset(&u)
	case "disable":
		u.Disabled = true
	case "enable":
		u.Disabled = false
	case "role":
		if u.Role = store.Role(r.PostFormValue("role")); !slices.Contains(account.Everyone, u.Role) {
			v.Error = v.T("users.badrole")
		}
	default:
		v.Error = v.T("users.badaction")
	}
	if v.Error != "" {
		s.usersPage(w, r, http.StatusBadRequest, v)
		return
	}
	if err := s.Store.PutUser(r.Context(), s.Scope, u, v.User.Name, s.Now()); err != nil {
		s.broken(w, r, err)
		return
	}
	s.usersPage(w, r, http.StatusOK, v)
}
