package console

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/roje-ot/roje/collector/account"
	"github.com/roje-ot/roje/collector/share"
	"github.com/roje-ot/roje/collector/store"
)

// groupRoutes are the releases of campaigns and cases, whose pages have the form.
func (s *Server) groupRoutes(page func(pattern string, roles []store.Role, h http.HandlerFunc) account.Route) (routes []account.Route) {
	for kind, base := range groupPages {
		routes = append(routes,
			page("POST "+base+"{id}/release", account.Judges, func(w http.ResponseWriter, r *http.Request) { s.releaseGroup(w, r, kind) }),
			page("POST "+base+"{id}/retract", account.Judges, func(w http.ResponseWriter, r *http.Request) {
				_, err := s.Store.RetractGroup(r.Context(), s.Scope, kind, r.PathValue("id"), s.view(r).User.Name, s.Now())
				s.groupDone(w, r, kind, err)
			}))
	}
	return routes
}

// groupPages are where the pages of groups begin, by kind.
var groupPages = map[string]string{store.ItemCampaign: "/campaigns/", store.ItemCase: "/cases/"}

// A groupForm is the part of a page by which a campaign or a case is released.
type groupForm struct {
	view
	Page     string
	Released *store.Released // the version that stands; nil where there is none
	Stale    bool            // what would leave now is another
	Alerts   int             // that are released
	Levels   []store.TLP
	Chosen   store.TLP
	Masked   bool
	Preview  string // what leaves beside its alerts, "" when none is asked for
	Objects  int
	Seen     string // what the preview was of
}

// groupForm is the form of a campaign or a case, with a preview if one is asked for.
func (s *Server) groupForm(r *http.Request, v view, kind, id string) (*groupForm, error) {
	f := &groupForm{view: v, Page: groupPages[kind] + url.PathEscape(id), Levels: share.Releasable(), Chosen: store.Amber, Masked: true}
	before, _, err := s.Store.ListReleased(r.Context(), s.Scope, store.ReleaseFilter{Alert: id, Kind: kind}, "", 1)
	if err != nil {
		return nil, err
	}
	now := s.Now().UTC().Truncate(time.Millisecond)
	release := store.Released{Added: now, Created: now}
	if len(before) > 0 {
		release.Created = before[0].Created
		if !before[0].Revoked {
			f.Released, f.Chosen, f.Masked = &before[0], before[0].TLP, before[0].Masked
		}
	}
	g, err := s.Store.PreviewGroup(r.Context(), s.Scope, kind, id)
	if errors.Is(err, store.ErrNothing) || errors.Is(err, store.ErrNotFound) {
		return f, nil
	}
	if err != nil {
		return nil, err
	}
	f.Alerts, f.Seen = len(g.Alerts), groupSeen(&g)
	f.Stale = f.Released != nil && outdated(f.Released.Group, &g)
	tlp, err := store.ParseTLP(r.FormValue("tlp"))
	if err != nil || !v.May("judge") {
		return f, nil
	}
	f.Chosen, f.Masked = tlp, r.FormValue("masked") != ""
	release.Group, release.TLP, release.Masked = &g, f.Chosen, f.Masked
	objects, err := share.PreviewGroup(r.Context(), s.Store, s.Scope, release)
	if err == nil {
		f.Preview, err = shown(objects)
	}
	f.Objects = len(objects)
	return f, err
}

// outdated says whether a release of a group would say more than the one that stands: its alerts are others, or what people say
// of it. Its times and its severity are those of the releases of its alerts, whenever these are.
func outdated(was, is *store.Group) bool {
	alerts := func(g *store.Group) []string { return slices.Sorted(slices.Values(g.Alerts)) }
	return was.Title != is.Title || was.State != is.State || was.Verdict != is.Verdict || was.Rule != is.Rule || was.Technique != is.Technique ||
		!slices.Equal(alerts(was), alerts(is))
}

// groupTag is the key of a text about the release of a group, for lists; "" where it is not released.
func (s *Server) groupTag(r *http.Request, kind, id string) (string, error) {
	standing, _, err := s.Store.ListReleased(r.Context(), s.Scope, store.ReleaseFilter{Alert: id, Kind: kind}, "", 1)
	if err != nil || len(standing) == 0 || standing[0].Revoked {
		return "", err
	}
	g, err := s.Store.PreviewGroup(r.Context(), s.Scope, kind, id)
	switch {
	case errors.Is(err, store.ErrNothing):
		return "", nil
	case err != nil:
		return "", err
	case outdated(standing[0].Group, &g):
		return "group.stale", nil
	}
	return "group.listed", nil
}

// groupSeen changes when what leaves of a group does.
func groupSeen(g *store.Group) string {
	text, err := json.Marshal(g)
	if err != nil {
		panic(err) // texts, numbers and times marshal
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:12])
}

// shown is objects as a reader sees them, the finding itself first.
func shown(objects []share.Object) (string, error) {
	var b bytes.Buffer
	for i := len(objects) - 1; i >= 0; i-- {
		if err := json.Indent(&b, objects[i].JSON(), "", "  "); err != nil {
			return "", err
		}
		b.WriteString("\n\n")
	}
	return strings.TrimSpace(b.String()), nil
}

func (s *Server) releaseGroup(w http.ResponseWriter, r *http.Request, kind string) {
	r.Body = http.MaxBytesReader(w, r.Body, formMost)
	tlp, err := store.ParseTLP(r.PostFormValue("tlp"))
	if err != nil {
		s.groupRefused(w, r, http.StatusBadRequest, "release.level")
		return
	}
	id := r.PathValue("id")
	g, err := s.Store.PreviewGroup(r.Context(), s.Scope, kind, id)
	if err == nil && groupSeen(&g) != r.PostFormValue("seen") {
		s.groupRefused(w, r, http.StatusConflict, "group.changed")
		return
	}
	if err == nil {
		_, err = s.Store.ReleaseGroup(r.Context(), s.Scope, kind, id, tlp, r.PostFormValue("masked") != "", s.view(r).User.Name, s.Now())
	}
	s.groupDone(w, r, kind, err)
}

// groupDone goes back to the page of a group, or says what was wrong.
func (s *Server) groupDone(w http.ResponseWriter, r *http.Request, kind string, err error) {
	switch {
	case errors.Is(err, store.ErrNothing):
		s.groupRefused(w, r, http.StatusConflict, "group.nothing")
	case errors.Is(err, store.ErrOtherForm):
		s.groupRefused(w, r, http.StatusConflict, "release.form")
	case err != nil:
		s.broken(w, r, err)
	default:
		http.Redirect(w, r, groupPages[kind]+url.PathEscape(r.PathValue("id")), http.StatusSeeOther)
	}
}

func (s *Server) groupRefused(w http.ResponseWriter, r *http.Request, status int, key string) {
	v := s.view(r)
	v.Error = v.T(key)
	s.render(w, r, status, "error.html", v)
}
