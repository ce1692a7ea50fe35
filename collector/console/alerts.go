package console

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/roje-ot/roje/collector/api"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules"
)

var severityNames = rules.SeverityNames()

var statusNames = []string{string(store.New), string(store.Acked), string(store.Closed)}

// A row is an alert in the list.
type row struct {
	view
	store.Alert
}

type alertsView struct {
	view
	Alerts  []store.Alert
	Sensors []store.Sensor
	Older   string // the address of the next page, "" on the last
	Newest  bool   // this is the newest page
	Query   string // the filters, for the live list
	form    url.Values
}

// pageRows is how many alerts a page of the list has.
const pageRows = 50

func (s *Server) alerts(w http.ResponseWriter, r *http.Request) {
	v := alertsView{view: s.view(r), form: r.URL.Query()}
	cursor := v.form.Get("cursor")
	v.Newest = cursor == ""
	v.Live = v.Newest
	filter, err := api.Filter(v.form)
	if err != nil {
		v.Error = v.T("error.filter", err)
	}
	alerts, next, err := s.Store.ListAlerts(r.Context(), s.Scope, filter, cursor, pageRows)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	if v.Sensors, err = s.Store.Sensors(r.Context(), s.Scope); err != nil {
		s.broken(w, r, err)
		return
	}
	v.Alerts = alerts
	kept := url.Values{}
	for name, values := range v.form {
		if values = slices.DeleteFunc(slices.Clone(values), func(text string) bool { return text == "" }); name != "cursor" && len(values) > 0 {
			kept[name] = values
		}
	}
	v.Query = kept.Encode()
	if next != "" {
		kept.Set("cursor", next)
		v.Older = "/?" + kept.Encode()
	}
	s.render(w, r, http.StatusOK, "alerts.html", v)
}

// Is says whether a filter's field holds a value.
func (v alertsView) Is(field, value string) bool {
	return slices.Contains(strings.Split(strings.Join(v.form[field], ","), ","), value)
}

// Value is what a filter's field holds.
func (v alertsView) Value(field string) string { return v.form.Get(field) }

// Filtered says whether any filter is set.
func (v alertsView) Filtered() bool { return v.Query != "" }

// Severities are the words, worst first.
func (v alertsView) Severities() []string {
	out := slices.Clone(severityNames)
	slices.Reverse(out)
	return out
}

// Statuses are the choices of their filter.
func (v alertsView) Statuses() []string { return statusNames }

// Protocols are those of the alerts on the page. They are offered, and any other can be written: which ones there are is a
// matter of the sensors.
func (v alertsView) Protocols() (names []string) {
	for _, a := range v.Alerts {
		if a.Proto != "" && !slices.Contains(names, a.Proto) {
			names = append(names, a.Proto)
		}
	}
	slices.Sort(names)
	return names
}
