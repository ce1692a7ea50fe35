package sector

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/roje-ot/roje/collector/share"
	"github.com/roje-ot/roje/collector/store"
)

// The addresses at which an operator's collector answers that of a CERT.
const (
	ReportPath = "/share/acts.json"
	NoticePath = "/share/acts/seen"
)

// noticeMost is how long a notice may be, in bytes.
const noticeMost = 4 << 10

// A Server answers the collectors of CERTs that have an account with an operator: what that account's consent lets them compare.
// Like share.Server it does not ask who comes.
type Server struct {
	Operator Operator
	Account  func(ctx context.Context) store.User // who asks
	Now      func() time.Time
	Logger   *slog.Logger
}

// Resources lists every address.
func (s *Server) Resources() []share.Resource {
	return []share.Resource{{Pattern: "GET " + ReportPath, Handler: s.report}, {Pattern: "POST " + NoticePath, Handler: s.notice}}
}

// consents is the one of the account, or none. A person's account has none here: it would show that person what only the joining of
// several operators may show.
func consents(u *store.User) []store.Consent {
	if u.CERT == "" || u.Compare == "" || u.Role != store.CERT {
		return nil
	}
	return []store.Consent{{Account: u.Name, Ceiling: u.Ceiling, Compare: u.Compare}}
}

func (s *Server) report(w http.ResponseWriter, r *http.Request) {
	u := s.Account(r.Context())
	report, err := s.Operator.report(r.Context(), consents(&u), s.Now().Add(-Window))
	if err != nil {
		s.broken(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(report)
}

// notice takes what a CERT says of an act that the operator has. It is told once, and of nothing else.
func (s *Server) notice(w http.ResponseWriter, r *http.Request) {
	u := s.Account(r.Context())
	if consents(&u) == nil {
		share.Error(w, http.StatusForbidden, "Forbidden", "the operator does not let this account compare")
		return
	}
	var n Notice
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, noticeMost)).Decode(&n)
	if err == nil {
		err = n.check()
	}
	if err != nil {
		share.Error(w, http.StatusBadRequest, "Bad request", err.Error())
		return
	}
	about, written, err := s.Operator.about(r.Context(), u.CERT, n)
	switch {
	case err != nil:
		s.broken(w, r, err)
		return
	case about == "":
		share.Error(w, http.StatusNotFound, "Not found", "the operator has no such act")
		return
	case !written:
		if err := s.Operator.Tell(r.Context(), u.CERT, n, s.Now()); err != nil {
			s.broken(w, r, err)
			return
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) broken(w http.ResponseWriter, r *http.Request, err error) {
	s.Logger.Error("acts for a CERT", "path", r.URL.Path, "err", err)
	share.Error(w, http.StatusInternalServerError, "Internal error", "the store could not be read")
}

// check says what is wrong with a notice that came from elsewhere.
func (n *Notice) check() error {
	if n.Others < 1 || n.Others > Most {
		return fmt.Errorf("%d other operators", n.Others)
	}
	return checkAct(n.Rule, n.Technique, n.First, n.Last)
}

// check says what is wrong with a run that came from elsewhere.
func (r *Run) check() error {
	if r.Severity < Least || r.Sites < 1 || r.Alerts < r.Sites || r.Alerts > countMost {
		return fmt.Errorf("%s, %d alerts at %d sites", r.Severity, r.Alerts, r.Sites)
	}
	return checkAct(r.Rule, r.Technique, r.First, r.Last)
}

const (
	nameMost  = 200 // bytes of a rule's name
	countMost = 1 << 40
	yearLeast = 2000 // what is beyond has no JSON form in every zone, or cannot be stored
	yearMost  = 2200
)

func checkAct(rule, technique string, first, last time.Time) error {
	for _, name := range []string{rule, technique} {
		if len(name) > nameMost || !utf8.ValidString(name) {
			return fmt.Errorf("%.40q is no name of a rule or a technique", name)
		}
		for _, c := range name {
			if c < ' ' || c == 0x7f {
				return fmt.Errorf("%.40q is no name of a rule or a technique", name)
			}
		}
	}
	if rule == "" || last.Before(first) || first.UTC().Year() < yearLeast || last.UTC().Year() > yearMost {
		return fmt.Errorf("rule %.40q from %s to %s", rule, instant(first), instant(last))
	}
	return nil
}
