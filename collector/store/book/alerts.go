package book

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules"
)

const alertColumns = `id, arrived, updated, sensor, coalesce((SELECT name FROM sensors s WHERE s.operator = alerts.operator AND s.id = alerts.sensor), ''),
	status, status_by, status_at, tlp, released, held, body`

func scanAlert(scan scan) (store.Alert, error) {
	var a store.Alert
	var id string
	var arrived, updated int64
	var statusAt, released sql.NullInt64
	if err := scan(&id, &arrived, &updated, &a.Sensor, &a.SensorName, &a.Status, &a.StatusBy, &statusAt, &a.TLP, &released, &a.Held, &a.Body); err != nil {
		return a, err
	}
	if err := json.Unmarshal(a.Body, &a.Alert); err != nil {
		return a, fmt.Errorf("alert %s: %w", id, err)
	}
	a.ID = id
	a.Arrived, a.Updated = FromNanos(arrived), FromNanos(updated)
	a.StatusAt, a.Released = fromNull(statusAt), fromNull(released)
	return a, nil
}

// GetAlert implements store.Alerts.
func (b Book) GetAlert(ctx context.Context, s store.Scope, id string) (store.Alert, error) {
	if err := s.Check(); err != nil {
		return store.Alert{}, err
	}
	a, err := One(ctx, b.Reader(s), `SELECT `+alertColumns+` FROM alerts WHERE operator = ? AND id = ?`, []any{s.Operator(), id}, scanAlert)
	if err != nil {
		return store.Alert{}, fmt.Errorf("alert %.80q: %w", id, err)
	}
	return a, nil
}

// CountAlerts implements store.Alerts.
func (b Book) CountAlerts(ctx context.Context, s store.Scope, f store.Filter) (store.Counts, error) {
	c := store.Counts{Severity: map[rules.Severity]int{}, Status: map[store.Status]int{}, Rule: map[string]int{}}
	w, err := scopedWhere(s)
	if err != nil {
		return c, err
	}
	picked := choose(b.Dialect(), &f)
	for _, more := range picked.rest {
		w.and(more.text, more.args...)
	}
	if keys := picked.keys; len(keys) > 0 {
		var any condition
		for i, k := range keys {
			any.text += map[bool]string{true: "(", false: " OR "}[i == 0] + k.text
			any.args = append(any.args, k.args...)
		}
		w.and(any.text+")", any.args...)
	}
	_, err = List(ctx, b.Reader(s), `SELECT severity, status, rule, count(*) FROM alerts `+w.String()+` GROUP BY severity, status, rule`, w.args,
		func(scan scan) (struct{}, error) {
			var level rules.Severity
			var status store.Status
			var rule string
			var n int
			err := scan(&level, &status, &rule, &n)
			c.Total += n
			c.Severity[level] += n
			c.Status[status] += n
			c.Rule[rule] += n
			return struct{}{}, err
		})
	return c, err
}

// SetStatus implements store.Alerts.
func (b Book) SetStatus(ctx context.Context, s store.Scope, id string, status store.Status, who string, at time.Time) error {
	if err := s.Check(); err != nil {
		return err
	}
	if status != store.New && status != store.Acked && status != store.Closed {
		return fmt.Errorf("unknown status %.20q; it is one of new, ack, closed", status)
	}
	err := b.change(ctx, s, func(t work) error {
		var was store.Status
		var arrived int64
		var level rules.Severity
		if err := t.row(`SELECT status, arrived, severity FROM alerts WHERE operator = ? AND id = ?`, []any{s.Operator(), id}, &was, &arrived, &level); err != nil || was == status {
			return err
		}
		if _, err := t.Exec(`UPDATE alerts SET status = ?, status_by = ?, status_at = ? WHERE operator = ? AND id = ?`, status, who, Nanos(at), s.Operator(), id); err != nil {
			return err
		}
		t.Tell(s.Operator(), store.Change{What: "status", ID: id, Arrived: FromNanos(arrived), Level: level})
		return t.act(s, at, who, "status", id, string(status))
	})
	if err != nil {
		return fmt.Errorf("alert %.80q: %w", id, err)
	}
	return nil
}

// act is Act in this transaction.
func (t work) act(s store.Scope, at time.Time, who, what, object, detail string) error {
	return Act(t, s, at, who, what, object, detail)
}

// Act records what a person did.
func Act(t Tx, s store.Scope, at time.Time, who, what, object, detail string) error {
	n, err := t.Count(s.Operator(), "act", 0)
	if err != nil {
		return err
	}
	_, err = t.Exec(`INSERT INTO acts (operator, n, at, who, what, object, detail) VALUES (?, ?, ?, ?, ?, ?, ?)`, s.Operator(), n, Nanos(at), who, what, object, detail)
	return err
}

// Acts implements store.Alerts.
func (b Book) Acts(ctx context.Context, s store.Scope, id string, limit int) ([]store.Act, error) {
	w, err := scopedWhere(s)
	if err == nil {
		err = checkLimit(limit)
	}
	if err != nil {
		return nil, err
	}
	if id != "" {
		w.and("object = ?", id)
	}
	return List(ctx, b.Reader(s), `SELECT at, who, what, object, detail FROM acts `+w.String()+` ORDER BY n DESC LIMIT ?`, w.with(limit), func(scan scan) (a store.Act, err error) {
		var at int64
		err = scan(&at, &a.Who, &a.What, &a.Object, &a.Detail)
		a.At = FromNanos(at)
		return a, err
	})
}
