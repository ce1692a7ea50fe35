package book

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules"
)

// span is how many alerts a page looks at, at most, to find those that a filter without an index of its own picks. Such a
// page may be short, and the next one goes on from where it ended: what a page costs does not grow with the history.
// Where a key picks the alerts that are looked at, they lie apart from each other, and it is fewer.
const (
	span      = 10_000
	keyedSpan = 2_500
)

// A condition is one of a filter, as SQL.
type condition struct {
	text string
	args []any
}

// A choice is the conditions of a filter. Alerts are picked by any of keys, each of which has an index in the order of
// arrival, and of those by all of rest. No keys are the whole queue.
type choice struct {
	keys, rest []condition
	none       bool // it picks nothing
}

// choose sorts the conditions of a filter. At most one kind of them becomes the keys.
func choose(d Dialect, f *store.Filter) (c choice) {
	rest := func(text string, args ...any) { c.rest = append(c.rest, condition{text, args}) }
	key := func(column string, values ...any) { // any of the values
		if len(c.keys) > 0 || f.Order != store.ByArrival || len(values) == 0 {
			rest(d.Unhinge+column+" IN ("+strings.TrimPrefix(strings.Repeat(", ?", len(values)), ", ")+")", values...)
			return
		}
		for _, v := range values {
			c.keys = append(c.keys, condition{column + " = ?", []any{v}})
		}
	}
	if f.Incident != "" {
		key("incident != '' AND incident", f.Incident) // as its index says
	}
	switch {
	case f.Released == nil:
	case !*f.Released:
		rest("released IS NULL")
	case len(c.keys) == 0 && f.Order == store.ByArrival:
		c.keys = []condition{{"released IS NOT NULL", nil}}
	default:
		rest("released IS NOT NULL")
	}
	for _, e := range [...]struct{ column, value string }{{"rule", f.Rule}, {"sensor", f.Sensor}} {
		if e.value != "" {
			key(e.column, e.value)
		}
	}
	if f.MinSeverity > rules.Notice || len(f.Severity) > 0 {
		var levels []any
		for v := f.MinSeverity; int(v) < len(rules.SeverityNames()); v++ {
			if len(f.Severity) == 0 || slices.Contains(f.Severity, v) {
				levels = append(levels, int(v))
			}
		}
		if c.none = len(levels) == 0; c.none {
			rest("FALSE")
		} else {
			key("severity", levels...)
		}
	}
	if len(f.Status) > 0 {
		var any []any
		for _, status := range slices.Compact(slices.Sorted(slices.Values(f.Status))) {
			any = append(any, string(status))
		}
		key("status", any...)
	}
	if f.Proto != "" {
		rest("proto = ?", f.Proto)
	}
	for _, part := range [...]struct{ columns, value string }{{"client || ' ' || server", f.Host}, {"title || ' ' || client || ' ' || server", f.Text}} {
		if part.value != "" {
			rest(d.Find+"(lower("+part.columns+"), ?) > 0", strings.ToLower(part.value))
		}
	}
	if !f.Since.IsZero() {
		rest(d.Unhinge+"last >= ?", Nanos(f.Since))
	}
	if !f.Until.IsZero() {
		rest("first < ?", Nanos(f.Until))
	}
	return c
}

// An order is how pages of it are asked for.
type order struct {
	kind      string // of its cursors
	columns   string
	by        string // the columns, the newest first
	row, mark string // the columns as a value, and what stands for one
}

var orders = [...]order{
	store.ByArrival: {"a", "arrived", "arrived DESC", "arrived", "?"},
	store.ByTime:    {"t", "last, arrived", "last DESC, arrived DESC", "(last, arrived)", "(?, ?)"},
}

// place is where an alert is in an order.
func (o *order) place(a *store.Alert) []int64 {
	if o.kind == orders[store.ByTime].kind {
		return []int64{Nanos(a.Last), Nanos(a.Arrived)}
	}
	return []int64{Nanos(a.Arrived)}
}

// A page is what one key of a choice gives for one: at most limit alerts, and where it stopped looking.
type page struct {
	alerts []store.Alert
	end    []int64 // what is older was not looked at; nil: there is nothing older
}

// ListAlerts implements store.Alerts.
func (b Book) ListAlerts(ctx context.Context, s store.Scope, f store.Filter, cursor string, limit int) ([]store.Alert, string, error) {
	if err := s.Check(); err != nil {
		return nil, "", err
	}
	if err := checkLimit(limit); err != nil {
		return nil, "", err
	}
	o := &orders[f.Order]
	var after []int64
	if cursor != "" {
		var err error
		if after, err = ParseCursor(o.kind, cursor, strings.Count(o.mark, "?")); err != nil {
			return nil, "", err
		}
	}
	c := choose(b.Dialect(), &f)
	if c.none {
		return nil, "", nil
	}
	keys := c.keys
	if len(keys) == 0 {
		keys = []condition{{}}
	}
	var all []store.Alert
	var end []int64
	for _, key := range keys {
		p, err := b.page(ctx, s, o, key, c.rest, after, limit)
		if err != nil {
			return nil, "", err
		}
		all = append(all, p.alerts...)
		if slices.Compare(p.end, end) > 0 {
			end = p.end
		}
	}
	if len(keys) > 1 { // what is older than the end of one of them is for the next page
		slices.SortFunc(all, func(x, y store.Alert) int { return slices.Compare(o.place(&y), o.place(&x)) })
		all = slices.DeleteFunc(all, func(a store.Alert) bool { return end != nil && slices.Compare(o.place(&a), end) < 0 })
	}
	if len(all) > limit {
		all = all[:limit]
		end = o.place(&all[limit-1])
	}
	if end == nil {
		return all, "", nil
	}
	return all, MakeCursor(o.kind, end...), nil
}

// page looks for alerts of one key after a place.
func (b Book) page(ctx context.Context, s store.Scope, o *order, key condition, rest []condition, after []int64, limit int) (p page, err error) {
	w, err := scopedWhere(s)
	if err != nil {
		return p, err
	}
	if key.text != "" {
		w.and(key.text, key.args...)
	}
	if after != nil {
		w.and(o.row+" < "+o.mark, anys(after)...)
	}
	if len(rest) > 0 {
		most := span
		if key.text != "" {
			most = keyedSpan
		}
		if p.end, err = b.bound(ctx, s, o, w, most); err != nil {
			return p, err
		}
		if p.end != nil {
			w.and(o.row+" >= "+o.mark, anys(p.end)...)
		}
		for _, c := range rest {
			w.and(c.text, c.args...)
		}
	}
	p.alerts, err = List(ctx, b.Reader(s), `SELECT `+alertColumns+` FROM alerts `+w.String()+` ORDER BY `+o.by+` LIMIT ?`, w.with(limit+1), scanAlert)
	if err == nil && len(p.alerts) > limit {
		p.end = o.place(&p.alerts[limit])
	}
	return p, err
}

// bound is the place of the last of the most alerts that a page may look at; nil if there are fewer.
func (b Book) bound(ctx context.Context, s store.Scope, o *order, w *where, most int) ([]int64, error) {
	at := make([]int64, strings.Count(o.mark, "?"))
	into := make([]any, len(at))
	for i := range at {
		into[i] = &at[i]
	}
	_, err := One(ctx, b.Reader(s), `SELECT `+o.columns+` FROM alerts `+w.String()+` ORDER BY `+o.by+` LIMIT 1 OFFSET ?`, w.with(most-1),
		func(scan scan) (struct{}, error) { return struct{}{}, scan(into...) })
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return at, err
}

func anys(numbers []int64) []any {
	all := make([]any, len(numbers))
	for i, n := range numbers {
		all[i] = n
	}
	return all
}

// A Statement is one that a call makes, for who wants to see how an engine goes about it.
type Statement struct {
	Query string
	Args  []any
}

// AlertPage is the statements of a page of the queue, some way down it.
func AlertPage(ctx context.Context, b Book, s store.Scope, f store.Filter) ([]Statement, error) {
	tape := &tape{Engine: b.Engine}
	_, _, err := Book{tape}.ListAlerts(ctx, s, f, MakeCursor(orders[f.Order].kind, slices.Repeat([]int64{1 << 62}, strings.Count(orders[f.Order].mark, "?"))...), 50)
	return tape.said, err
}

// AlertViewed is the statements of an alert's own page.
func AlertViewed(ctx context.Context, b Book, s store.Scope, id string) []Statement {
	tape := &tape{Engine: b.Engine}
	taped := Book{tape}
	taped.GetAlert(ctx, s, id)
	taped.Acts(ctx, s, id, 100)
	taped.ListAlerts(ctx, s, store.Filter{Incident: id}, "", 50)
	return tape.said
}

// A tape is an Engine that takes down what it is asked.
type tape struct {
	Engine
	said []Statement
}

func (t *tape) Reader(s store.Scope) Reader { return taped{t.Engine.Reader(s), t} }

type taped struct {
	Reader
	tape *tape
}

func (t taped) Query(ctx context.Context, query string, args ...any) (Rows, error) {
	t.tape.said = append(t.tape.said, Statement{query, slices.Clone(args)})
	return t.Reader.Query(ctx, query, args...)
}
