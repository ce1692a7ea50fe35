package console

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/roje-ot/roje/collector/api"
	"github.com/roje-ot/roje/collector/fleet"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules/batch"
)

type sensorsView struct {
	view
	Sensors []sensorRow
	Next    string       // the address of the next page, "" on the last
	Waiting []store.Join // sensors that ask to join, for who may decide
}

// A sensorRow is a sensor with its latest health, nil if it has sent none that can be read.
type sensorRow struct {
	store.Sensor
	Health *batch.Health
	Stated *api.Stated // the latest, nil if it has stated none
	State  string      // key of a text: sensor.ok, sensor.silent, sensor.never, sensor.denied, sensor.expired
}

func (s *Server) sensors(w http.ResponseWriter, r *http.Request) {
	v := sensorsView{view: s.view(r)}
	sensors, err := s.Store.Sensors(r.Context(), s.Scope)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	if v.May("admin") {
		joins, err := s.Store.Joins(r.Context(), s.Scope)
		if err != nil {
			s.broken(w, r, err)
			return
		}
		for _, j := range joins {
			if j.State == store.Waiting {
				v.Waiting = append(v.Waiting, j)
			}
		}
	}
	sensors, v.Next = part(r, "/sensors", sensors)
	for _, sensor := range sensors {
		row := sensorRow{Sensor: sensor, State: "sensor." + fleet.State(sensor, s.Now())}
		if len(sensor.Health) > 0 {
			var h batch.Health
			if json.Unmarshal(sensor.Health, &h) == nil {
				row.Health = &h
			}
		}
		if stated, _, err := api.Statements(r, s.Store, s.Scope, sensor.ID, "", 1); err != nil {
			s.broken(w, r, err)
			return
		} else if len(stated) > 0 && stated[0].Valid {
			row.Stated = &stated[0]
		}
		v.Sensors = append(v.Sensors, row)
	}
	s.render(w, r, http.StatusOK, "sensors.html", v)
}

func (s *Server) approve(w http.ResponseWriter, r *http.Request) { s.judgeJoin(w, r, store.Approved) }
func (s *Server) reject(w http.ResponseWriter, r *http.Request)  { s.judgeJoin(w, r, store.Rejected) }

// judgeJoin decides about a sensor that waits. Where another administrator has done so before, the list shows it.
func (s *Server) judgeJoin(w http.ResponseWriter, r *http.Request, state store.JoinState) {
	err := s.Store.JudgeJoin(r.Context(), s.Scope, r.PathValue("id"), state, s.view(r).User.Name, s.Now())
	if err != nil && !errors.Is(err, store.ErrChanged) {
		s.broken(w, r, err)
		return
	}
	http.Redirect(w, r, "/sensors", http.StatusSeeOther)
}

func (s *Server) deny(w http.ResponseWriter, r *http.Request)  { s.judgeSensor(w, r, s.Store.Deny) }
func (s *Server) allow(w http.ResponseWriter, r *http.Request) { s.judgeSensor(w, r, s.Store.Allow) }

func (s *Server) judgeSensor(w http.ResponseWriter, r *http.Request, do func(ctx context.Context, scope store.Scope, sensor, who string, at time.Time) error) {
	if err := do(r.Context(), s.Scope, r.PathValue("id"), s.view(r).User.Name, s.Now()); err != nil {
		s.broken(w, r, err)
		return
	}
	http.Redirect(w, r, "/sensors", http.StatusSeeOther)
}
