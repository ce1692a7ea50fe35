package console

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/roje-ot/roje/collector/account"
	"github.com/roje-ot/roje/collector/api"
	"github.com/roje-ot/roje/collector/share"
	"github.com/roje-ot/roje/collector/store"
)

// certRoutes are the pages of a CERT's analyst, and those on which an operator answers.
func (s *Server) certRoutes(page func(pattern string, roles []store.Role, h http.HandlerFunc) account.Route) []account.Route {
	return []account.Route{
		page("GET /cert", account.Writers, s.seen),
		page("GET /cert/alerts/{id}", account.Writers, s.seenAlert),
		page("POST /cert/alerts/{id}", account.Writers, s.sendLetter),
		page("GET /cert/letters/{id}/evidence.pcapng", account.Writers, s.givenEvidence),
		page("GET /letters", account.Readers, s.letters),
		page("POST /letters/{id}", account.Judges, s.answerLetter),
	}
}

func (s *Server) post() share.Post { return share.Post{Store: s.Store, Scope: s.Scope} }

// recipient is the reader as somebody to whom alerts are released.
func (v view) recipient() share.Recipient {
	return share.Recipient{Name: v.User.Name, Ceiling: v.User.Ceiling}
}

// A letterRow is a letter as its reader sees it.
type letterRow struct {
	view
	store.Letter
	Own bool // the reader is of the CERT that sent it
}

// Kinded is the letter's kind in words, Stated its state.
func (l letterRow) Kinded() string { return l.T("letters.kind." + string(l.Kind)) }

// Stated is the letter's state in words.
func (l letterRow) Stated() string { return l.T("letters.state." + string(l.State)) }

// Asks says whether the reader is to answer.
func (l letterRow) Asks() bool {
	return !l.Own && l.State == store.LetterWaiting && l.May("judge")
}

func (v view) letterRows(letters []store.Letter, own bool) (rows []letterRow) {
	for _, l := range letters {
		rows = append(rows, letterRow{v, l, own})
	}
	return rows
}

type certView struct {
	view
	Rows    []store.Released // the latest, last released first
	Letters []letterRow
}

// seen lists what was released to the reader, and what the reader has written.
func (s *Server) seen(w http.ResponseWriter, r *http.Request) {
	v := certView{view: s.view(r)}
	err := share.EachSeen(r.Context(), s.Store, s.Scope, v.recipient(), time.Time{}, func(as store.Released, _ string) error {
		if v.Rows = append(v.Rows, as); len(v.Rows) > 2*listMost { // the latest come last
			v.Rows = append(v.Rows[:0], v.Rows[listMost:]...)
		}
		return nil
	})
	if err == nil {
		var letters []store.Letter
		letters, err = s.post().Letters(r.Context(), v.recipient(), listMost)
		v.Letters = v.letterRows(letters, true)
	}
	if err != nil {
		s.broken(w, r, err)
		return
	}
	slices.Reverse(v.Rows)
	s.render(w, r, http.StatusOK, "cert.html", v)
}

type seenView struct {
	view
	As      store.Released
	Words   string
	Letters []letterRow
	Levels  []store.TLP
	Forms   []string     // of patterns
	Draft   store.Letter // what was sent and could not be taken
}

func (s *Server) seenAlert(w http.ResponseWriter, r *http.Request) {
	s.seenPage(w, r, http.StatusOK, seenView{view: s.view(r), Draft: store.Letter{TLP: store.Amber}})
}

func (s *Server) seenPage(w http.ResponseWriter, r *http.Request, status int, v seenView) {
	v.Levels, v.Forms = share.Releasable(), store.Languages
	as, id, err := s.post().Find(r.Context(), v.recipient(), r.PathValue("id"))
	if err == nil {
		var letters []store.Letter
		letters, _, err = s.Store.ListLetters(r.Context(), s.Scope, store.LetterFilter{From: v.User.Name, Alert: id}, "", listMost)
		for i := range letters {
			letters[i].Alert = as.Alert.ID
		}
		v.Letters = v.letterRows(letters, true)
	}
	if err != nil {
		s.broken(w, r, err)
		return
	}
	v.As, v.Words = as, share.Words(&as.Alert.Alert)
	s.render(w, r, status, "certalert.html", v)
}

func (s *Server) sendLetter(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, formMost+3*store.MaxLetter)
	v := seenView{view: s.view(r)}
	v.Draft = store.Letter{At: s.Now(), Kind: store.LetterKind(r.PostFormValue("kind")), TLP: store.TLP(r.PostFormValue("tlp")),
		Text: strings.TrimSpace(r.PostFormValue("text"))}
	if v.Draft.Kind == store.LetterIndicator {
		v.Draft.Language, v.Draft.Pattern = r.PostFormValue("language"), r.PostFormValue("pattern")
	}
	err := s.post().Send(r.Context(), v.recipient(), r.PathValue("id"), v.Draft)
	if errors.Is(err, store.ErrLetter) {
		v.Error = v.T("letters.wrong", err)
		s.seenPage(w, r, http.StatusUnprocessableEntity, v)
		return
	}
	if err != nil {
		s.broken(w, r, err)
		return
	}
	http.Redirect(w, r, "/cert/alerts/"+url.PathEscape(r.PathValue("id")), http.StatusSeeOther)
}

// givenEvidence gives out the frames that an operator released for a letter.
func (s *Server) givenEvidence(w http.ResponseWriter, r *http.Request) {
	file, err := s.post().Evidence(r.Context(), s.view(r).recipient(), r.PathValue("id"), s.Now())
	if err != nil {
		s.broken(w, r, err)
		return
	}
	w.Header().Set("Content-Type", api.CaptureType)
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="%s.pcapng"`, r.PathValue("id"))) // it is the name of a letter
	bytes.NewReader(file).WriteTo(w)
}

type lettersView struct {
	view
	Letters []letterRow
	Waiting bool // only those that wait are shown
	Next    string
}

// letters lists what CERTs have written.
func (s *Server) letters(w http.ResponseWriter, r *http.Request) {
	s.lettersPage(w, r, http.StatusOK, lettersView{view: s.view(r)})
}

func (s *Server) lettersPage(w http.ResponseWriter, r *http.Request, status int, v lettersView) {
	f := store.LetterFilter{State: store.LetterWaiting}
	if v.Waiting = r.FormValue("all") == ""; !v.Waiting {
		f.State = ""
	}
	letters, next, err := s.Store.ListLetters(r.Context(), s.Scope, f, r.FormValue("cursor"), listMost)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	v.Letters, v.Next = v.letterRows(letters, false), next
	s.render(w, r, status, "letters.html", v)
}

// refusals say why evidence is not given.
var refusals = []struct {
	err error
	key string
}{{share.ErrNoFrames, "letters.noframes"}, {share.ErrNotReleased, "letters.notreleased"}, {share.ErrOnlyMasked, "letters.onlymasked"}, {share.ErrCapture, "letters.capture"}, {store.ErrChanged, "letters.changed"}}

func (s *Server) answerLetter(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, formMost+store.MaxLetter)
	v := lettersView{view: s.view(r)}
	a := store.LetterAnswer{State: store.LetterState(r.PostFormValue("do")), Text: r.PostFormValue("text"), Masked: r.PostFormValue("plain") == ""}
	err := s.post().Answer(r.Context(), r.PathValue("id"), a, v.User.Name, s.Now())
	for _, c := range refusals {
		if errors.Is(err, c.err) {
			v.Error = v.T(c.key)
		}
	}
	switch {
	case errors.Is(err, store.ErrLetter):
		v.Error = v.T("letters.wrong", err)
		fallthrough
	case v.Error != "":
		s.lettersPage(w, r, http.StatusConflict, v)
	case err != nil:
		s.broken(w, r, err)
	default:
		http.Redirect(w, r, "/letters", http.StatusSeeOther)
	}
}
