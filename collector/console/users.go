package console

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/roje-ot/roje/collector/account"
	"github.com/roje-ot/roje/collector/share"
	"github.com/roje-ot/roje/collector/store"
)

type usersView struct {
	view
	Users    []userRow
	Roles    []store.Role
	Levels   []store.TLP
	Compares []store.Compare
	Name     string // whose one-time password is shown
	Password string // shown once
}

// A userRow is a user with how they sign in.
type userRow struct {
	store.User
	Second bool // with a second factor
	Sealed bool // break-glass
}

// Pulls says whether it is an account that pulls released alerts.
func (u userRow) Pulls() bool { return slices.Contains(account.CERTs, u.Role) }

// Local says whether password and role are kept here: they are not of a sealed account, nor of one that an identity
// provider vouches for.
func (u userRow) Local() bool { return !u.Sealed && u.Subject == "" }

func rowOf(u store.User) userRow {
	glass, err := account.GlassOf(&u)
	return userRow{u, glass == nil && account.HasSecond(&u), err == nil && glass != nil}
}

func (s *Server) users(w http.ResponseWriter, r *http.Request) {
	s.usersPage(w, r, http.StatusOK, usersView{view: s.view(r)})
}

func (s *Server) usersPage(w http.ResponseWriter, r *http.Request, status int, v usersView) {
	users, err := s.Store.ListUsers(r.Context(), s.Scope)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	for _, u := range users {
		v.Users = append(v.Users, rowOf(u))
	}
	v.Roles, v.Levels = account.Everyone, share.Releasable()
	v.Compares = []store.Compare{"", store.CompareReleased, store.CompareActs}
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

// seal makes a sealed account.
func (s *Server) seal(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, formMost)
	s.sealed(w, r, usersView{view: s.view(r)}, strings.TrimSpace(r.PostFormValue("name")))
}

func (s *Server) sealed(w http.ResponseWriter, r *http.Request, v usersView, name string) {
	password, err := account.Seal(r.Context(), s.Store, s.Scope, name, v.User.Name, s.Now())
	switch {
	case errors.Is(err, store.ErrExists):
		v.Error = v.T("users.exists")
	case errors.Is(err, account.ErrName):
		v.Error = v.T("users.badname")
	case err != nil:
		s.broken(w, r, err)
		return
	default:
		v = usersView{view: s.view(r)} // the seal may be whole again
		v.Name, v.Password = name, password
		s.usersPage(w, r, http.StatusOK, v)
		return
	}
	s.usersPage(w, r, http.StatusUnprocessableEntity, v)
}

// editUser resets a password or a second factor, seals anew, sets a role, disables or enables. Nobody does that to themselves, so there is always an
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
	do, row := r.PostFormValue("do"), rowOf(u)
	switch {
	case do == "seal" && row.Sealed:
		s.sealed(w, r, v, u.Name)
		return
	case do == "second" && !row.Sealed:
		if err := account.RemoveSecond(r.Context(), s.Store, s.Scope, &u, v.User.Name, s.Now()); err != nil {
			s.broken(w, r, err)
			return
		}
		s.usersPage(w, r, http.StatusOK, v)
		return
	case (do == "password" || do == "role") && !row.Local():
		v.Error = v.T("users.notlocal")
		s.usersPage(w, r, http.StatusConflict, v)
		return
	}
	switch do {
	case "password":
		v.Name, v.Password = u.Name, account.Reset(&u)
	case "ceiling":
		if err := account.SetCeiling(&u, r.PostFormValue("tlp")); err != nil {
			v.Error = v.T("users.badceiling")
		}
	case "compare":
		if err := account.SetCompare(&u, strings.TrimSpace(r.PostFormValue("cert")), store.Compare(r.PostFormValue("what"))); err != nil {
			v.Error = v.T("users.badcompare")
		}
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
