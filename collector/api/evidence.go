package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/rules/batch/proof"
)

// CaptureType is the media type of evidence.
const CaptureType = "application/x-pcapng"

// evidence answers with what is known of an alert's evidence.
func (s *Server) evidence(w http.ResponseWriter, r *http.Request) {
	e, err := s.Store.GetEvidence(r.Context(), s.Scope, r.PathValue("id"))
	if err != nil {
		s.broken(w, r, err)
		return
	}
	send(w, e)
}

// capture answers with the file.
func (s *Server) capture(w http.ResponseWriter, r *http.Request) {
	if err := SendCapture(w, r, s.Store, s.Scope); err != nil {
		s.broken(w, r, err)
	}
}

// SendCapture answers with the evidence of the alert that the path names by id, or returns an error and nothing was
// sent. A part of it can be asked for (RFC 9110 §14).
func SendCapture(w http.ResponseWriter, r *http.Request, st store.Evidences, scope store.Scope) error {
	id := r.PathValue("id")
	e, err := st.GetEvidence(r.Context(), scope, id)
	if err != nil {
		return err
	}
	content, err := st.ReadEvidence(r.Context(), scope, id)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", CaptureType)
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="%s.pcapng"`, plain(id)))
	w.Header().Set("ETag", strconv.Quote(e.SHA256))
	http.ServeContent(w, r, "", e.At, strings.NewReader(string(content)))
	return nil
}

// plain leaves of a name what a file's name may have anywhere.
func plain(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r == '@' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return r
		}
		return '_'
	}, name)
}

// A Stated is a day's statement of a sensor, in short.
type Stated struct {
	ID       string     `json:"id"` // for /api/v1/coverage/{id}
	Sensor   string     `json:"sensor"`
	From     time.Time  `json:"from"`
	To       time.Time  `json:"to"`
	Links    int        `json:"links"`
	Blind    int        `json:"links_blind"`   // of which not all was watched
	Not      float64    `json:"not_watched_s"` // in which the sensor did not run
	Total    proof.Sums `json:"total"`
	Key      string     `json:"key"`   // fingerprint of the key that signed it
	Valid    bool       `json:"valid"` // it is as it was signed, by a key of the sensor, and adds up
	Received time.Time  `json:"received"`
	Text     []byte     `json:"-"` // the statement, as it was signed
}

// A Witness has what sensors said, and their keys.
type Witness interface {
	store.Intake
	store.Fleet
}

type statedList struct {
	Statements []Stated `json:"statements"`
	Next       string   `json:"next,omitempty"` // pass it as cursor for the next page; absent after the last
}

// Statements lists the statements of coverage that the store has, newest first; sensor "" is all of them.
func Statements(r *http.Request, st Witness, scope store.Scope, sensor, cursor string, limit int) (all []Stated, next string, err error) {
	records, next, err := st.Records(r.Context(), scope, batch.KindStatement, sensor, cursor, limit)
	for _, rec := range records {
		one := Stated{Sensor: rec.Sensor, Received: rec.Received, Text: rec.Body}
		day, seal, wrong := proof.Verify(rec.Body)
		if wrong == nil {
			one.Key = seal.Fingerprint()
			_, err := st.FindCert(r.Context(), scope, rec.Sensor, batch.KeyID(seal.Key))
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return nil, "", err
			}
			one.Valid = err == nil
		} else {
			day = new(proof.Statement)
			if json.Unmarshal(rec.Body, day) != nil {
				continue
			}
		}
		one.From, one.To, one.Links, one.Total = day.From, day.To, len(day.Links), day.Total
		for i := range day.Links {
			if len(day.Links[i].Why) > 0 {
				one.Blind++
			}
		}
		for _, span := range day.Not {
			one.Not += span.To.Sub(span.From).Seconds()
		}
		one.ID = rec.Sensor + "." + day.To.UTC().Format("20060102T150405Z")
		all = append(all, one)
	}
	return all, next, err
}

func (s *Server) statements(w http.ResponseWriter, r *http.Request) {
	q, err := parse(r.URL.Query(), statementParams)
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	all, next, err := Statements(r, s.Store, s.Scope, q.filter.Sensor, q.cursor, q.limit)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	if all == nil {
		all = []Stated{}
	}
	send(w, statedList{all, next})
}

// FindStatement finds a statement by its id. store.ErrNotFound: there is none.
func FindStatement(r *http.Request, st Witness, scope store.Scope, id string) (Stated, error) {
	sensor, _, _ := strings.Cut(id, ".")
	for cursor := ""; ; {
		all, next, err := Statements(r, st, scope, sensor, cursor, 100)
		if err != nil {
			return Stated{}, err
		}
		for _, one := range all {
			if one.ID == id {
				return one, nil
			}
		}
		if cursor = next; next == "" {
			return Stated{}, fmt.Errorf("statement %.100q: %w", id, store.ErrNotFound)
		}
	}
}

func (s *Server) statement(w http.ResponseWriter, r *http.Request) {
	if err := SendStatement(w, r, s.Store, s.Scope); err != nil {
		s.broken(w, r, err)
	}
}

// SendStatement answers with the statement that the path names by id, as its sensor signed it, or returns an error and
// nothing was sent.
func SendStatement(w http.ResponseWriter, r *http.Request, st Witness, scope store.Scope) error {
	one, err := FindStatement(r, st, scope, r.PathValue("id"))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="coverage-%s.json"`, plain(one.ID)))
	_, err = w.Write(one.Text)
	return err
}
