package console

import (
	"errors"
	"net/http"

	"github.com/roje-ot/roje/collector/api"
	"github.com/roje-ot/roje/collector/store"
)

// evidenceOf is what is known of the evidence of an alert; nil where the alert has none.
func (s *Server) evidenceOf(r *http.Request, a *store.Alert) (*store.EvidenceFile, error) {
	e, err := s.Store.GetEvidence(r.Context(), s.Scope, a.ID)
	switch {
	case err == nil:
		return &e, nil
	case !errors.Is(err, store.ErrNotFound):
		return nil, err
	case a.Evidence == nil:
		return nil, nil
	}
	return &store.EvidenceFile{Alert: a.ID, SHA256: a.Evidence.SHA256}, nil // at the sensor
}

// askEvidence has the sensor asked for the frames of an alert.
func (s *Server) askEvidence(w http.ResponseWriter, r *http.Request) {
	s.act(w, r, func(id, who string) error { return s.Store.AskEvidence(r.Context(), s.Scope, id, who, s.Now()) })
}

// evidence gives the frames out.
func (s *Server) evidence(w http.ResponseWriter, r *http.Request) {
	if err := api.SendCapture(w, r, s.Store, s.Scope); err != nil {
		s.broken(w, r, err)
	}
}

// statement gives a day's statement out.
func (s *Server) statement(w http.ResponseWriter, r *http.Request) {
	if err := api.SendStatement(w, r, s.Store, s.Scope); err != nil {
		s.broken(w, r, err)
	}
}
