package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/roje-ot/roje/collector/api"
	"github.com/roje-ot/roje/collector/store"
)

// Times of a live list. Changes that come together are sent together; a stream ends after a while, so that the browser
// comes back and is asked who it is.
const (
	gather    = 250 * time.Millisecond
	heartbeat = 20 * time.Second
	overlap   = 10 * time.Second // told again after a break: a commit may be that much later than the time it carries
	streaming = 10 * time.Minute
)

// A news is what a live list is told of an alert: its row, and whether it is new to the list.
type news struct {
	ID   string `json:"id"`
	New  bool   `json:"new"`
	HTML string `json:"html"`
}

// live is the list of alerts as it changes: server-sent events with rows as the list page would show them, under the
// same filters. The event "reload" says that there was more than fits a page.
func (s *Server) live(w http.ResponseWriter, r *http.Request) {
	filter, err := api.Filter(r.URL.Query())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	changes, cancel := s.Store.Subscribe(s.Scope)
	defer cancel()
	out := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	if _, err := fmt.Fprintf(w, "retry: 2000\nid: %s\nevent: hello\ndata: {}\n\n", s.Now().UTC().Format(time.RFC3339Nano)); err != nil {
		return
	}
	if last, err := time.Parse(time.RFC3339Nano, r.Header.Get("Last-Event-ID")); err == nil {
		since := last.Add(-overlap)
		if !s.tell(w, r, filter, func(a *store.Alert) (isNew, changed bool) { return a.Arrived.After(since), a.Updated.After(since) }, false) {
			return
		}
	}
	if err := out.Flush(); err != nil {
		return
	}
	end, beat := time.NewTimer(streaming), time.NewTicker(heartbeat)
	defer end.Stop()
	defer beat.Stop()
	pending := map[string]bool{} // id to whether it is new
	var due <-chan time.Time
	missed := false
	for {
		select {
		case <-r.Context().Done():
			return
		case <-s.Done:
			return
		case <-end.C:
			return
		case <-beat.C:
			if _, err := fmt.Fprint(w, ": here\n\n"); err != nil {
				return
			}
		case c, ok := <-changes:
			if !ok {
				return
			}
			pending[c.ID] = pending[c.ID] || c.What == "new"
			missed = missed || c.Missed
			if due == nil {
				due = time.After(gather)
			}
			continue
		case <-due:
			of := func(a *store.Alert) (isNew, changed bool) { isNew, changed = pending[a.ID]; return isNew, changed }
			if !s.tell(w, r, filter, of, missed) {
				return
			}
			due, missed = nil, false
			clear(pending)
		}
		if out.Flush() != nil {
			return
		}
	}
}

// tell sends the rows of the alerts that changed and that the filters let through, oldest first. It is false when the
// reader is gone.
func (s *Server) tell(w http.ResponseWriter, r *http.Request, filter store.Filter, of func(*store.Alert) (isNew, changed bool), missed bool) bool {
	alerts, next, err := s.Store.ListAlerts(r.Context(), s.Scope, filter, "", pageRows)
	if err != nil {
		s.Logger.Error("live list", "err", err)
		return false
	}
	v := s.view(r)
	told := 0
	for i := len(alerts) - 1; i >= 0; i-- {
		isNew, changed := of(&alerts[i])
		if !changed {
			continue
		}
		told++
		var html bytes.Buffer
		if err := pages["row.html"].ExecuteTemplate(&html, "row", row{v, alerts[i]}); err != nil {
			s.Logger.Error("live list", "err", err)
			return false
		}
		data, err := json.Marshal(news{alerts[i].ID, isNew, html.String()})
		if err != nil {
			s.Logger.Error("live list", "err", err)
			return false
		}
		if _, err := fmt.Fprintf(w, "id: %s\nevent: alert\ndata: %s\n\n", s.Now().UTC().Format(time.RFC3339Nano), data); err != nil {
			return false
		}
	}
	if missed || told == pageRows && next != "" {
		if _, err := fmt.Fprint(w, "event: reload\ndata: {}\n\n"); err != nil {
			return false
		}
	}
	return true
}
