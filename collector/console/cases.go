package console

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/roje-ot/roje/collector/store"
)

type casesView struct {
	view
	Cases  []caseRow
	Next   string
	Closed bool // those that are closed are shown
}

// A caseRow is a case with its state in words.
type caseRow struct {
	store.Case
	Word, Found string
	Tag         string // in lists, how it is released: see groupTag
}

func (v view) caseRow(c store.Case) caseRow {
	return caseRow{Case: c, Word: v.T("cases.state." + string(c.State)), Found: v.verdictWord(c.Verdict)}
}

func (v view) verdictWord(verdict store.Verdict) string {
	return v.T("cases.verdict." + cmp.Or(string(verdict), "none"))
}

// An into is the part of a page by which something is put into a case.
type into struct {
	view
	In, Open        []store.Case
	Kind, Ref, Name string
	Incident        string // that the thing belongs to
}

// unfinished are the states of cases that somebody should look at.
var unfinished = []store.CaseState{store.CaseOpen, store.CaseWork}

// casesOf are the cases that something belongs to, and those that it could be added to.
func (s *Server) casesOf(r *http.Request, kind, ref string) (in, open []store.Case, err error) {
	if in, err = s.Store.CasesOf(r.Context(), s.Scope, kind, ref); err != nil {
		return nil, nil, err
	}
	open, _, err = s.Store.ListCases(r.Context(), s.Scope, unfinished, "", listMost)
	return in, open, err
}

func (s *Server) cases(w http.ResponseWriter, r *http.Request) {
	s.casesPage(w, r, http.StatusOK, casesView{view: s.view(r)})
}

func (s *Server) casesPage(w http.ResponseWriter, r *http.Request, status int, v casesView) {
	v.Closed = r.FormValue("closed") != ""
	states := unfinished
	if v.Closed {
		states = nil
	}
	found, next, err := s.Store.ListCases(r.Context(), s.Scope, states, r.FormValue("cursor"), listMost)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	v.Next = next
	for _, c := range found {
		row := v.caseRow(c)
		if row.Tag, err = s.groupTag(r, store.ItemCase, c.ID); err != nil {
			s.broken(w, r, err)
			return
		}
		v.Cases = append(v.Cases, row)
	}
	s.render(w, r, status, "cases.html", v)
}

// openCase opens a case, or takes one that is open, and puts what was sent with the form into it.
func (s *Server) openCase(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, formMost)
	v := casesView{view: s.view(r)}
	id := r.PostFormValue("case")
	if id == "" {
		c, err := s.Store.OpenCase(r.Context(), s.Scope, r.PostFormValue("title"), v.User.Name, s.Now())
		if errors.Is(err, store.ErrCase) {
			v.Error = v.T("cases.badtitle", store.MaxCaseTitle)
			s.casesPage(w, r, http.StatusUnprocessableEntity, v)
			return
		}
		if err != nil {
			s.broken(w, r, err)
			return
		}
		id = c.ID
	}
	if kind, ref, ok := strings.Cut(r.PostFormValue("item"), ":"); ok {
		if err := s.Store.AddToCase(r.Context(), s.Scope, id, kind, ref, v.User.Name, s.Now()); err != nil {
			s.casesBroken(w, r, err)
			return
		}
	}
	http.Redirect(w, r, "/cases/"+url.PathEscape(id), http.StatusSeeOther)
}

// casesBroken answers what a person did wrong with a case, or an error of the store.
func (s *Server) casesBroken(w http.ResponseWriter, r *http.Request, err error) {
	if !errors.Is(err, store.ErrCase) {
		s.broken(w, r, err)
		return
	}
	v := s.view(r)
	v.Error = v.T("cases.wrong", strings.TrimPrefix(err.Error(), "case: "))
	s.render(w, r, http.StatusUnprocessableEntity, "error.html", v)
}

type caseView struct {
	view
	Case     caseRow
	Alerts   []store.Alert // of the items that are alerts or incidents
	More     bool          // and there are more
	Acts     []store.Act
	Verdicts []verdictChoice
	Release  *groupForm
}

type verdictChoice struct {
	Value store.Verdict
	Word  string
}

func (s *Server) showCase(w http.ResponseWriter, r *http.Request) {
	v := caseView{view: s.view(r)}
	c, err := s.Store.GetCase(r.Context(), s.Scope, r.PathValue("id"))
	if err == nil {
		v.Acts, err = s.Store.Acts(r.Context(), s.Scope, c.ID, actsMost)
	}
	if err == nil {
		err = s.caseAlerts(r, &v, c)
	}
	if err == nil {
		v.Release, err = s.groupForm(r, v.view, store.ItemCase, c.ID)
	}
	if err != nil {
		s.broken(w, r, err)
		return
	}
	v.Case = v.caseRow(c)
	for _, verdict := range store.Verdicts {
		v.Verdicts = append(v.Verdicts, verdictChoice{verdict, v.verdictWord(verdict)})
	}
	s.render(w, r, http.StatusOK, "case.html", v)
}

// caseAlerts lists the alerts of a case, each once, as many as a page has.
func (s *Server) caseAlerts(r *http.Request, v *caseView, c store.Case) error {
	seen := map[string]bool{}
	add := func(alerts ...store.Alert) {
		for _, a := range alerts {
			if len(v.Alerts) >= listMost {
				v.More = true
			} else if !seen[a.ID] {
				seen[a.ID] = true
				v.Alerts = append(v.Alerts, a)
			}
		}
	}
	for _, item := range c.Items {
		switch item.Kind {
		case store.ItemAlert:
			a, err := s.Store.GetAlert(r.Context(), s.Scope, item.Ref)
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			add(a)
		case store.ItemIncident:
			alerts, next, err := s.Store.ListAlerts(r.Context(), s.Scope, store.Filter{Incident: item.Ref}, "", listMost)
			if err != nil {
				return err
			}
			add(alerts...)
			v.More = v.More || next != ""
		}
		if v.More {
			return nil
		}
	}
	return nil
}

// changeCase does what one of the forms of a case's page asks for.
func (s *Server) changeCase(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, formMost+store.MaxCaseNote)
	id, who := r.PathValue("id"), s.view(r).User.Name
	var change store.CaseChange
	var err error
	switch do := r.PostFormValue("do"); do {
	case "note":
		err = s.Store.NoteCase(r.Context(), s.Scope, id, r.PostFormValue("text"), who, s.Now())
	case "remove":
		err = s.Store.RemoveFromCase(r.Context(), s.Scope, id, r.PostFormValue("kind"), r.PostFormValue("ref"), who, s.Now())
	case "take":
		state := store.CaseWork
		change = store.CaseChange{Owner: &who, State: &state}
	case "close", "reopen":
		state, verdict := store.CaseClosed, store.Verdict(r.PostFormValue("verdict"))
		if do == "reopen" {
			state, verdict = store.CaseOpen, store.Undecided
		}
		change = store.CaseChange{State: &state, Verdict: &verdict}
	case "edit":
		title, owner := strings.TrimSpace(r.PostFormValue("title")), strings.TrimSpace(r.PostFormValue("owner"))
		change = store.CaseChange{Title: &title, Owner: &owner}
		if owner != "" {
			_, err = s.Store.GetUser(r.Context(), s.Scope, owner)
		}
	default:
		err = store.ErrCase
	}
	if err == nil && change != (store.CaseChange{}) {
		err = s.Store.SetCase(r.Context(), s.Scope, id, change, who, s.Now())
	}
	if err != nil {
		s.casesBroken(w, r, err)
		return
	}
	http.Redirect(w, r, "/cases/"+url.PathEscape(id), http.StatusSeeOther)
}
