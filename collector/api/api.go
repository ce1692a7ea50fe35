// Package api is the collector's interface for programs: alerts and sensors in JSON, a description of both in OpenAPI,
// the figures for Prometheus, and whether the collector lives.
//
// The parameters of a call and the shape of its answer are each said once, in a table and in a Go type; the OpenAPI
// document is made from these.
package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/roje-ot/roje/collector/account"
	"github.com/roje-ot/roje/collector/sector"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules/batch/proof"
)

// A Server answers the calls. Any goroutine may use it.
type Server struct {
	Store   store.Store
	Scope   store.Scope
	Logger  *slog.Logger
	Metrics http.Handler // of /metrics
	// Sector finds what operators have together, nil but in a CERT's collector; Now is its clock.
	Sector *sector.Finder
	Now    func() time.Time
}

// A call is a row of the interface.
type call struct {
	path, id, about string
	params          []param
	answer          any // a value of the answer's type, or a media
	serve           func(*Server, http.ResponseWriter, *http.Request)
}

// A media is the type of an answer that is no JSON.
type media string

// sectorCall is there at a CERT's collector only.
var sectorCall = call{"/api/v1/sector", "getSector", "At a CERT's collector: the same act at several operators, the latest first, and how each operator takes part.", nil, sector.Picture{}, (*Server).sector}

// calls are all of them but the document itself and sectorCall.
func calls() []call {
	return append(fleetCalls(), []call{
		{"/api/v1/alerts", "listAlerts", "Alerts, newest first by arrival, a page at a time.", listParams, alertPage{}, (*Server).alerts},
		{"/api/v1/alerts/{id}", "getAlert", "One alert.", nil, store.Alert{}, (*Server).alert},
		{"/api/v1/alerts/{id}/evidence", "getEvidence", "Where the frames of an alert are.", nil, store.EvidenceFile{}, (*Server).evidence},
		{"/api/v1/alerts/{id}/evidence.pcapng", "readEvidence", "The frames of an alert, as its sensor signed them.", nil, media(CaptureType), (*Server).capture},
		{"/api/v1/coverage", "listCoverage", "What sensors have stated about their days, newest first, a page at a time.", statementParams, statedList{}, (*Server).statements},
		{"/api/v1/coverage/{id}", "getCoverage", "One statement, as its sensor signed it.", nil, proof.Statement{}, (*Server).statement},
		{"/api/v1/sensors", "listSensors", "Every sensor with its health, or with a limit a page at a time, by id.", wholeParams, sensorList{}, (*Server).sensors},
	}...)
}

// Routes lists the addresses of the server.
func (s *Server) Routes() []account.Route {
	var routes []account.Route
	row := func(c call, roles []store.Role) {
		routes = append(routes, account.Route{Pattern: "GET " + c.path, Door: account.API, Roles: roles,
			Handler: func(w http.ResponseWriter, r *http.Request) { c.serve(s, w, r) }})
	}
	for _, c := range calls() {
		row(c, account.Readers)
	}
	if s.Sector != nil {
		row(sectorCall, account.Sector)
	}
	return append(routes,
		account.Route{Pattern: "GET /api/v1/openapi.json", Door: account.Open, Handler: s.document},
		account.Route{Pattern: "/api/", Door: account.API, Roles: account.Readers, Handler: func(w http.ResponseWriter, _ *http.Request) {
			fail(w, http.StatusNotFound, "there is no such call; see /api/v1/openapi.json")
		}},
		account.Route{Pattern: "GET /metrics", Door: account.Local, Roles: account.Watchers, Handler: s.Metrics.ServeHTTP},
		account.Route{Pattern: "GET /healthz", Door: account.Open, Handler: func(w http.ResponseWriter, _ *http.Request) {
			send(w, map[string]string{"status": "ok"})
		}},
		account.Route{Pattern: "GET /readyz", Door: account.Open, Handler: s.ready},
	)
}

type alertPage struct {
	Alerts []store.Alert `json:"alerts"`
	Next   string        `json:"next,omitempty"` // pass it as cursor for the next page; absent after the last
}

type sensorList struct {
	Sensors []store.Sensor `json:"sensors"`
	Next    string         `json:"next,omitempty"`
}

func (s *Server) alerts(w http.ResponseWriter, r *http.Request) {
	q, err := parse(r.URL.Query(), listParams)
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	alerts, next, err := s.Store.ListAlerts(r.Context(), s.Scope, q.filter, q.cursor, q.limit)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	if alerts == nil {
		alerts = []store.Alert{}
	}
	for i := range alerts {
		whole(&alerts[i])
	}
	send(w, alertPage{alerts, next})
}

func (s *Server) alert(w http.ResponseWriter, r *http.Request) {
	a, err := s.Store.GetAlert(r.Context(), s.Scope, r.PathValue("id"))
	if err != nil {
		s.broken(w, r, err)
		return
	}
	whole(&a)
	send(w, a)
}

// whole makes a list that is always there of one that a sensor left out.
func whole(a *store.Alert) {
	if a.Techniques == nil {
		a.Techniques = []string{}
	}
}

func (s *Server) sensors(w http.ResponseWriter, r *http.Request) {
	sensors, err := s.Store.Sensors(r.Context(), s.Scope)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	sensors, next, err := page(r, sensors, func(one *store.Sensor) string { return one.ID })
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	send(w, sensorList{list(sensors), next})
}

func (s *Server) sector(w http.ResponseWriter, r *http.Request) {
	p, err := s.Sector.Look(r.Context(), s.Now())
	reply(s, w, r, p, err)
}

func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	if err := s.Store.Ready(r.Context()); err != nil {
		s.Logger.Error("not ready", "err", err)
		fail(w, http.StatusServiceUnavailable, "the store is not ready")
		return
	}
	send(w, map[string]string{"status": "ready"})
}

// broken answers an error of the store.
func (s *Server) broken(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, store.ErrNotFound):
		fail(w, http.StatusNotFound, "not found")
	case errors.Is(err, store.ErrCursor):
		fail(w, http.StatusBadRequest, "cursor is not one that this list gave out")
	default:
		s.Logger.Error("api", "path", r.URL.Path, "err", err)
		fail(w, http.StatusInternalServerError, "the store could not be read")
	}
}

func send(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.Encode(body)
}

func fail(w http.ResponseWriter, status int, why string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]string{"error": why})
}

// parse reads parameters; one that is not in the table is an error, so that a misspelt filter does not show everything.
func parse(form url.Values, params []param) (*query, error) {
	q := &query{limit: limitDefault}
	for name, values := range form {
		i := slices.IndexFunc(params, func(p param) bool { return p.name == name })
		if i < 0 {
			return nil, fmt.Errorf("unknown parameter %q; there are %s", name, names(params))
		}
		if text := strings.Join(values, ","); text != "" {
			if err := params[i].set(q, text); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return q, nil
}

func names(params []param) string {
	var out []string
	for _, p := range params {
		out = append(out, p.name)
	}
	return strings.Join(out, ", ")
}
