package console

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"

	"github.com/roje-ot/roje/collector/store"
)

// mostActs is how many acts the page of the record shows.
const mostActs = 500

type auditView struct {
	view
	Acts     []store.Act
	Object   string // whose acts are shown, "" for all
	Evidence string // alert whose evidence was verified
	Verdict  string
}

// audit shows what people did and, for an alert that is named, whether its evidence is still what the sensor signed. It
// shows nothing of the alert.
func (s *Server) audit(w http.ResponseWriter, r *http.Request) {
	v := auditView{view: s.view(r), Object: r.FormValue("object"), Evidence: r.FormValue("evidence")}
	var err error
	if v.Acts, err = s.Store.Acts(r.Context(), s.Scope, v.Object, mostActs); err == nil && v.Evidence != "" {
		v.Verdict, v.Error, err = s.verifyEvidence(r, v.view, v.Evidence)
	}
	if err != nil {
		s.broken(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "audit.html", v)
}

// verifyEvidence hashes the file that is stored. It was held to its signature when it came.
func (s *Server) verifyEvidence(r *http.Request, v view, alert string) (verdict, wrong string, err error) {
	e, err := s.Store.GetEvidence(r.Context(), s.Scope, alert)
	var content []byte
	if err == nil {
		content, err = s.Store.ReadEvidence(r.Context(), s.Scope, alert)
	}
	if errors.Is(err, store.ErrNotFound) {
		return "", v.T("audit.nofile"), nil
	}
	if err != nil {
		return "", "", err
	}
	sum := sha256.Sum256(content)
	if got := hex.EncodeToString(sum[:]); got != e.SHA256 {
		return "", v.T("audit.changed", alert, got, e.SHA256), nil
	}
	return v.T("audit.whole", alert, len(content), e.Sensor, e.SHA256), "", nil
}
