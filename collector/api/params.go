package api

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules"
)

// A query is what a list was asked for.
type query struct {
	filter store.Filter
	cursor string
	limit  int
}

// Page sizes.
const (
	limitDefault = 100
	limitMost    = 1000
)

// A param is a parameter of a call. Where enum is given the value is a list of its words, with commas between them.
type param struct {
	name, kind, about string // kind is string, integer, boolean or date-time
	enum              []string
	set               func(q *query, text string) error
}

var listParams = []param{
	{"severity", "string", "any of these severities", rules.SeverityNames(), func(q *query, text string) error {
		return each(text, func(word string) error {
			var s rules.Severity
			if err := s.UnmarshalText([]byte(word)); err != nil {
				return err
			}
			q.filter.Severity = append(q.filter.Severity, s)
			return nil
		})
	}},
	{"min_severity", "string", "this severity or worse", nil, func(q *query, text string) error {
		return q.filter.MinSeverity.UnmarshalText([]byte(text))
	}},
	{"status", "string", "any of these", statusNames, func(q *query, text string) error {
		return each(text, func(word string) error {
			for _, name := range statusNames {
				if name == word {
					q.filter.Status = append(q.filter.Status, store.Status(word))
					return nil
				}
			}
			return fmt.Errorf("unknown status %q; it is one of %s", word, strings.Join(statusNames, ", "))
		})
	}},
	{"rule", "string", "the rule's id", nil, func(q *query, text string) error { q.filter.Rule = text; return nil }},
	{"sensor", "string", "the sensor's id", nil, func(q *query, text string) error { q.filter.Sensor = text; return nil }},
	{"proto", "string", "the protocol, as sensors name it (modbus, dnp3, iec104)", nil, func(q *query, text string) error { q.filter.Proto = text; return nil }},
	{"incident", "string", "the incident's id", nil, func(q *query, text string) error { q.filter.Incident = text; return nil }},
	{"host", "string", "part of the client or the server", nil, func(q *query, text string) error { q.filter.Host = text; return nil }},
	{"q", "string", "part of the sentence, the client or the server", nil, func(q *query, text string) error { q.filter.Text = text; return nil }},
	{"since", "date-time", "last seen not before", nil, func(q *query, text string) (err error) { q.filter.Since, err = when(text); return err }},
	{"until", "date-time", "first seen before", nil, func(q *query, text string) (err error) { q.filter.Until, err = when(text); return err }},
	{"released", "boolean", "released to a CERT now, or not", nil, func(q *query, text string) error {
		yes, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", text)
		}
		q.filter.Released = &yes
		return nil
	}},
	{"cursor", "string", "next of the page before", nil, func(q *query, text string) error { q.cursor = text; return nil }},
	{"limit", "integer", fmt.Sprintf("most on the page, 1 to %d, %d if absent", limitMost, limitDefault), nil, func(q *query, text string) error {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > limitMost {
			return fmt.Errorf("%q is not a whole number from 1 to %d", text, limitMost)
		}
		q.limit = n
		return nil
	}},
}

// statementParams are those of a list of statements.
var statementParams = slices.DeleteFunc(slices.Clone(listParams), func(p param) bool { return p.name != "sensor" && p.name != "cursor" && p.name != "limit" })

var statusNames = []string{string(store.New), string(store.Acked), string(store.Closed)}

// Filter reads the filters of a list from a form, as the calls do. Values that cannot be read are returned as an error
// together with what could be.
func Filter(form url.Values) (store.Filter, error) {
	q := &query{}
	var first error
	for _, p := range listParams {
		if text := strings.Join(form[p.name], ","); strings.Trim(text, ",") != "" && p.name != "cursor" && p.name != "limit" {
			if err := p.set(q, strings.Trim(text, ",")); err != nil && first == nil {
				first = fmt.Errorf("%s: %w", p.name, err)
			}
		}
	}
	return q.filter, first
}

func each(text string, set func(word string) error) error {
	for _, word := range strings.Split(text, ",") {
		if err := set(strings.TrimSpace(word)); err != nil {
			return err
		}
	}
	return nil
}

// when reads a time as RFC 3339, or as a browser's form sends it, which is UTC here.
func when(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time such as 2026-11-21T19:30:00Z", text)
}
