package console

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/roje-ot/roje/collector/share"
	"github.com/roje-ot/roje/collector/store"
)

type alertView struct {
	view
	Alert   store.Alert
	Others  []store.Alert // of the same incident
	Acts    []store.Act
	Levels  []store.TLP
	Chosen  store.TLP // of the preview
	Masked  bool      // the preview, or the release that stands, is under pseudonyms
	Preview string    // exactly what leaves, "" when none is asked for
	Objects int       // in the preview
	Stale   bool      // the alert has changed since it was released
	Frames  *store.EvidenceFile
	In      []store.Case // that the alert or its incident belongs to
	Open    []store.Case // that it could be put into
	Letters []letterRow  // that CERTs wrote about it
}

// Limits of an alert's page.
const (
	othersMost = 20
	actsMost   = 50
)

func (s *Server) alert(w http.ResponseWriter, r *http.Request) { s.alertPage(w, r, http.StatusOK, "") }

func (s *Server) alertPage(w http.ResponseWriter, r *http.Request, status int, wrong string) {
	v := alertView{view: s.view(r), Levels: share.Releasable(), Chosen: store.Amber}
	v.Error = wrong
	var err error
	if v.Alert, err = s.Store.GetAlert(r.Context(), s.Scope, r.PathValue("id")); err != nil {
		s.broken(w, r, err)
		return
	}
	if v.Alert.Incident != "" {
		others, _, err := s.Store.ListAlerts(r.Context(), s.Scope, store.Filter{Incident: v.Alert.Incident}, "", othersMost+1)
		if err != nil {
			s.broken(w, r, err)
			return
		}
		v.Others = slices.DeleteFunc(others, func(a store.Alert) bool { return a.ID == v.Alert.ID })
	}
	if v.Acts, err = s.Store.Acts(r.Context(), s.Scope, v.Alert.ID, actsMost); err != nil {
		s.broken(w, r, err)
		return
	}
	if v.Frames, err = s.evidenceOf(r, &v.Alert); err != nil {
		s.broken(w, r, err)
		return
	}
	if v.In, v.Open, err = s.casesOf(r, store.ItemAlert, v.Alert.ID); err != nil {
		s.broken(w, r, err)
		return
	}
	if v.Alert.Incident != "" {
		in, err := s.Store.CasesOf(r.Context(), s.Scope, store.ItemIncident, v.Alert.Incident)
		if err != nil {
			s.broken(w, r, err)
			return
		}
		v.In = append(v.In, in...)
	}
	letters, _, err := s.Store.ListLetters(r.Context(), s.Scope, store.LetterFilter{Alert: v.Alert.ID}, "", listMost)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	v.Letters = v.letterRows(letters, false)
	v.Stale = v.Alert.Released != nil && v.Alert.Updated.After(*v.Alert.Released)
	if v.Alert.TLP != "" {
		v.Chosen = v.Alert.TLP
		if v.Masked, err = s.releasedMasked(r, v.Alert.ID); err != nil {
			s.broken(w, r, err)
			return
		}
	}
	if text := r.FormValue("tlp"); text != "" && v.May("judge") {
		v.Masked = r.FormValue("masked") != ""
		if v.Chosen, err = store.ParseTLP(text); err != nil {
			v.Error, v.Chosen = v.T("release.level"), store.Amber
		} else if v.Preview, v.Objects, err = s.preview(r, v.Alert, v.Chosen, v.Masked); err != nil {
			s.broken(w, r, err)
			return
		}
	}
	s.render(w, r, status, "alert.html", v)
}

// releasedMasked says whether the release that stands is under pseudonyms.
func (s *Server) releasedMasked(r *http.Request, id string) (bool, error) {
	latest, _, err := s.Store.ListReleased(r.Context(), s.Scope, store.ReleaseFilter{Alert: id}, "", 1)
	return len(latest) > 0 && latest[0].Masked, err
}

// preview is what a release would send, last object first, save that the times of the release are those of now, and that
// pseudonyms are those of nobody.
func (s *Server) preview(r *http.Request, a store.Alert, tlp store.TLP, masked bool) (text string, objects int, err error) {
	now := s.Now().UTC().Truncate(time.Millisecond)
	release := store.Released{Alert: a, Added: now, Created: now, TLP: tlp, Masked: masked}
	before, _, err := s.Store.ListReleased(r.Context(), s.Scope, store.ReleaseFilter{Alert: a.ID}, "", 1)
	if err != nil {
		return "", 0, err
	}
	if len(before) > 0 {
		release.Created = before[0].Created
	}
	mask, err := share.NewMask(r.Context(), s.Store, s.Scope, "")
	if err != nil {
		return "", 0, err
	}
	bundle := share.Bundle(s.Scope.Operator(), mask.Released(release))
	text, err = shown(bundle)
	return text, len(bundle), err
}

// act does something to an alert and goes back to its page.
func (s *Server) act(w http.ResponseWriter, r *http.Request, do func(id, who string) error) {
	if err := do(r.PathValue("id"), s.view(r).User.Name); err != nil {
		s.broken(w, r, err)
		return
	}
	http.Redirect(w, r, "/alerts/"+url.PathEscape(r.PathValue("id")), http.StatusSeeOther)
}

func (s *Server) setStatus(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, formMost)
	status := r.PostFormValue("status")
	if !slices.Contains(statusNames, status) {
		s.alertPage(w, r, http.StatusBadRequest, s.view(r).T("status.unknown"))
		return
	}
	s.act(w, r, func(id, who string) error {
		return s.Store.SetStatus(r.Context(), s.Scope, id, store.Status(status), who, s.Now())
	})
}

func (s *Server) release(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, formMost)
	tlp, err := store.ParseTLP(r.PostFormValue("tlp"))
	if err != nil {
		s.alertPage(w, r, http.StatusBadRequest, s.view(r).T("release.level"))
		return
	}
	a, err := s.Store.GetAlert(r.Context(), s.Scope, r.PathValue("id"))
	if err != nil {
		s.broken(w, r, err)
		return
	}
	if seen := r.PostFormValue("updated"); seen != a.Updated.UTC().Format(time.RFC3339Nano) {
		s.alertPage(w, r, http.StatusConflict, s.view(r).T("release.changed"))
		return
	}
	release := s.Store.Release
	if r.PostFormValue("masked") != "" {
		release = s.Store.ReleaseMasked
	}
	_, err = release(r.Context(), s.Scope, a.ID, tlp, s.view(r).User.Name, s.Now())
	if errors.Is(err, store.ErrOtherForm) {
		s.alertPage(w, r, http.StatusConflict, s.view(r).T("release.form"))
		return
	}
	s.act(w, r, func(string, string) error { return err })
}

func (s *Server) retract(w http.ResponseWriter, r *http.Request) {
	s.act(w, r, func(id, who string) error {
		_, err := s.Store.Retract(r.Context(), s.Scope, id, who, s.Now())
		return err
	})
}
