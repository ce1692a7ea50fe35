package book

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"time"

	"github.com/roje-ot/roje/collector/store"
)

// step is about how many rows are forgotten in one transaction.
const step = 1000

// SetHeld implements store.Keeping.
func (b Book) SetHeld(ctx context.Context, s store.Scope, id string, held bool, who string, at time.Time) error {
	if err := s.Check(); err != nil {
		return err
	}
	err := b.change(ctx, s, func(t work) error {
		var was bool
		if err := t.row(`SELECT held FROM alerts WHERE operator = ? AND id = ?`, []any{s.Operator(), id}, &was); err != nil || was == held {
			return err
		}
		if _, err := t.Exec(`UPDATE alerts SET held = ? WHERE operator = ? AND id = ?`, held, s.Operator(), id); err != nil {
			return err
		}
		return t.act(s, at, who, map[bool]string{true: "hold", false: "unhold"}[held], id, "")
	})
	if err != nil {
		return fmt.Errorf("alert %.80q: %w", id, err)
	}
	return nil
}

// Forget implements store.Keeping.
func (b Book) Forget(ctx context.Context, s store.Scope, c store.Cutoff) (done store.Forgotten, err error) {
	if err := s.Check(); err != nil {
		return done, err
	}
	for _, kind := range []struct {
		before      time.Time
		next, erase string // the end of the next step; what deletes from after its beginning to its end
		erased      *int
	}{
		{c.Alerts, `SELECT max(a.arrived) FROM (SELECT arrived FROM alerts WHERE operator = ? AND arrived > ? AND arrived < ? ORDER BY arrived LIMIT ?) a`,
			`DELETE FROM alerts WHERE operator = ? AND arrived > ? AND arrived <= ? AND updated < ? AND held = FALSE AND released IS NULL
				AND NOT EXISTS (SELECT 1 FROM case_items c WHERE c.operator = alerts.operator AND (c.kind = 'alert' AND c.ref = alerts.id OR c.kind = 'incident' AND c.ref = alerts.incident)) RETURNING sensor`, &done.Alerts},
		{c.Records, `SELECT max(a.received) FROM (SELECT received FROM records WHERE operator = ? AND received > ? AND received < ? ORDER BY received LIMIT ?) a`,
			`DELETE FROM records WHERE operator = ? AND received > ? AND received <= ? AND received < ? RETURNING ''`, &done.Records},
		{c.Envelopes, `SELECT max(a.received) FROM (SELECT received FROM envelopes WHERE operator = ? AND received > ? AND received < ? ORDER BY received LIMIT ?) a`,
			`DELETE FROM envelopes WHERE operator = ? AND received > ? AND received <= ? AND received < ? RETURNING ''`, &done.Envelopes},
	} {
		if kind.before.IsZero() {
			continue
		}
		before := Nanos(kind.before)
		for from := int64(math.MinInt64); ; {
			to, err := One(ctx, b.Reader(s), kind.next, []any{s.Operator(), from, before, step}, func(scan scan) (n sql.NullInt64, err error) { err = scan(&n); return n, err })
			if err != nil {
				return done, fmt.Errorf("forget: %w", err)
			}
			if !to.Valid {
				break
			}
			n, err := b.erase(ctx, s, kind.erase, from, to.Int64, before)
			if err != nil {
				return done, fmt.Errorf("forget: %w", err)
			}
			*kind.erased += n
			from = to.Int64
		}
	}
	if done.Evidence, err = b.forgetEvidence(ctx, s, c.Records); err != nil {
		return done, fmt.Errorf("forget: %w", err)
	}
	return done, nil
}

// erase does one step, and takes the alerts that it deletes off their sensors' counts.
func (b Book) erase(ctx context.Context, s store.Scope, statement string, from, to, before int64) (n int, err error) {
	err = b.change(ctx, s, func(t work) error {
		sensors, err := List(ctx, t, statement, []any{s.Operator(), from, to, before}, func(scan scan) (sensor string, err error) { err = scan(&sensor); return sensor, err })
		if err != nil {
			return err
		}
		n = len(sensors)
		count := map[string]int{}
		for _, sensor := range sensors {
			count[sensor]++
		}
		delete(count, "")
		for sensor, n := range count {
			if _, err := t.Exec(`UPDATE sensors SET alerts = alerts - ? WHERE operator = ? AND id = ?`, n, s.Operator(), sensor); err != nil {
				return err
			}
		}
		return nil
	})
	return n, err
}
