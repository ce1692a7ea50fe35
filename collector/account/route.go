package account

import (
	"context"
	"net/http"
	"slices"

	"github.com/roje-ot/roje/collector/store"
)

// A Door is how one shows who one is at a route, and in which form one is turned away.
type Door uint8

// The doors. The zero value is none, and closed.
const (
	Closed Door = iota
	Open        // nobody is asked
	Local       // nobody who comes from this machine is asked; others as at API
	Page        // by session; else sent to the sign-in page
	API         // by session or by credentials in the request; refused in JSON
	Feed        // by credentials only; refused as Guard.RefuseFeed does
)

// A Route is one address with whom it is for.
type Route struct {
	Pattern string // of net/http's ServeMux
	Door    Door
	Roles   []store.Role // who may; not asked at Open
	Fresh   bool         // a user who must change the password first may come here
	Handler http.HandlerFunc
}

// Sets of roles that routes name.
var (
	Readers   = []store.Role{store.Viewer, store.Analyst, store.Engineer, store.Admin}
	Judges    = []store.Role{store.Analyst, store.Engineer, store.Admin}
	Engineers = []store.Role{store.Engineer, store.Admin} // approve baselines, keep rules
	Admins    = []store.Role{store.Admin}
	Auditors  = []store.Role{store.Auditor, store.Admin}
	Watchers  = []store.Role{store.Viewer, store.Analyst, store.Engineer, store.Admin, store.Platform}                                   // see sensors and their health
	People    = []store.Role{store.Viewer, store.Analyst, store.Engineer, store.Admin, store.Auditor, store.Platform, store.CERTAnalyst} // sign in at the console
	CERTs     = []store.Role{store.CERT, store.CERTAnalyst}                                                                              // pull what was released
	Writers   = []store.Role{store.CERTAnalyst}                                                                                          // write to the operator about it
	Sector    = []store.Role{store.Analyst, store.Engineer, store.Admin, store.CERTAnalyst}                                              // at a CERT's collector: see what operators have together
	Everyone  = []store.Role{store.Viewer, store.Analyst, store.Engineer, store.Admin, store.Auditor, store.Platform, store.CERT, store.CERTAnalyst}
)

// May says whether a role is among those of the route.
func (r Route) May(role store.Role) bool { return slices.Contains(r.Roles, role) }

type userKey struct{}

// UserOf returns who makes the request; ok is false where nobody was asked.
func UserOf(ctx context.Context) (u store.User, ok bool) {
	u, ok = ctx.Value(userKey{}).(store.User)
	return u, ok
}
