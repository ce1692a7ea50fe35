package book

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/roje-ot/roje/collector/store"
)

var _ store.Packs = Book{}

const packColumns = `sha256, kind, name, version, size, key, created, expires, sensors, who, at`

func scanPack(scan scan) (p store.Pack, err error) {
	var created, at int64
	var expires sql.NullInt64
	var sensors string
	err = scan(&p.SHA256, &p.Kind, &p.Name, &p.Version, &p.Size, &p.Key, &created, &expires, &sensors, &p.Who, &at)
	p.Created, p.Expires, p.At = FromNanos(created), fromNull(expires), FromNanos(at)
	if sensors != "" {
		p.Sensors = strings.Split(sensors, "\n")
	}
	return p, err
}

// title is a pack as acts name it.
func title(p *store.Pack) string {
	return fmt.Sprintf("%s %s %d %s", p.Kind, p.Name, p.Version, p.SHA256[:min(16, len(p.SHA256))])
}

// PutPack implements store.Packs.
func (b Book) PutPack(ctx context.Context, s store.Scope, p store.Pack, body []byte) error {
	if err := s.Check(); err != nil {
		return err
	}
	var expires sql.NullInt64
	if p.Expires != nil {
		expires = sql.NullInt64{Int64: Nanos(*p.Expires), Valid: true}
	}
	return b.change(ctx, s, func(t work) error {
		n, err := t.Exec(`INSERT INTO packs (operator, sha256, kind, name, version, size, key, created, expires, sensors, who, at, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT DO NOTHING`, s.Operator(), p.SHA256, p.Kind, p.Name, int64(p.Version), p.Size, p.Key, Nanos(p.Created), expires, strings.Join(p.Sensors, "\n"), p.Who, Nanos(p.At), body)
		if err != nil {
			return err
		}
		if n == 0 {
			if _, err := t.pack(s, p.SHA256); err == nil {
				return nil
			}
			return fmt.Errorf("another %s pack %s %d: %w", p.Kind, p.Name, p.Version, store.ErrExists)
		}
		return t.act(s, p.At, p.Who, "pack", p.Name, title(&p))
	})
}

// pack returns a pack by its hash.
func (t work) pack(s store.Scope, sha256 string) (store.Pack, error) {
	p, err := One(context.Background(), t, `SELECT `+packColumns+` FROM packs WHERE operator = ? AND sha256 = ?`, []any{s.Operator(), sha256}, scanPack)
	if err != nil {
		return p, fmt.Errorf("pack %.80q: %w", sha256, err)
	}
	return p, nil
}

// ListPacks implements store.Packs.
func (b Book) ListPacks(ctx context.Context, s store.Scope) ([]store.Pack, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	return List(ctx, b.Reader(s), `SELECT `+packColumns+` FROM packs WHERE operator = ? ORDER BY kind, name, version DESC`, []any{s.Operator()}, scanPack)
}

// ReadPack implements store.Packs.
func (b Book) ReadPack(ctx context.Context, s store.Scope, sha256 string) ([]byte, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	body, err := One(ctx, b.Reader(s), `SELECT body FROM packs WHERE operator = ? AND sha256 = ?`, []any{s.Operator(), sha256},
		func(scan scan) (body []byte, err error) { err = scan(&body); return body, err })
	if err != nil {
		return nil, fmt.Errorf("pack %.80q: %w", sha256, err)
	}
	return body, nil
}

// Assign implements store.Packs.
func (b Book) Assign(ctx context.Context, s store.Scope, target, sha256, who string, at time.Time) error {
	if err := s.Check(); err != nil {
		return err
	}
	if kind, name, _ := strings.Cut(target, ":"); target != store.TargetAll && (kind != "site" && kind != "sensor" || name == "") || len(target) > 500 {
		return fmt.Errorf("%.80q is no target of a pack; it is all, site:NAME or sensor:ID", target)
	}
	return b.change(ctx, s, func(t work) error {
		p, err := t.pack(s, sha256)
		if err != nil {
			return err
		}
		var was string
		err = t.row(`SELECT pack FROM assignments WHERE operator = ? AND target = ? AND kind = ?`, []any{s.Operator(), target, p.Kind}, &was)
		if err != nil && !errors.Is(err, store.ErrNotFound) || was == sha256 {
			return err
		}
		if _, err := t.Exec(`INSERT INTO assignments (operator, target, kind, pack, who, at) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (operator, target, kind) DO UPDATE SET pack = excluded.pack, who = excluded.who, at = excluded.at`,
			s.Operator(), target, p.Kind, sha256, who, Nanos(at)); err != nil {
			return err
		}
		return t.act(s, at, who, "assign", target, title(&p))
	})
}

// Unassign implements store.Packs.
func (b Book) Unassign(ctx context.Context, s store.Scope, target, kind, who string, at time.Time) error {
	if err := s.Check(); err != nil {
		return err
	}
	return b.change(ctx, s, func(t work) error {
		n, err := t.Exec(`DELETE FROM assignments WHERE operator = ? AND target = ? AND kind = ?`, s.Operator(), target, kind)
		if err == nil && n == 0 {
			err = fmt.Errorf("%s for %.80q: %w", kind, target, store.ErrNotFound)
		}
		if err != nil {
			return err
		}
		return t.act(s, at, who, "unassign", target, kind)
	})
}

// Assignments implements store.Packs.
func (b Book) Assignments(ctx context.Context, s store.Scope) ([]store.Assignment, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	return List(ctx, b.Reader(s), `SELECT target, kind, pack, who, at FROM assignments WHERE operator = ? ORDER BY target, kind`, []any{s.Operator()}, func(scan scan) (a store.Assignment, err error) {
		var at int64
		err = scan(&a.Target, &a.Kind, &a.Pack, &a.Who, &at)
		a.At = FromNanos(at)
		return a, err
	})
}

// Offered implements store.Packs. The kinds of targets sort as they count: all, sensor, site are put in order here.
func (b Book) Offered(ctx context.Context, s store.Scope, sensor store.Sensor) ([]store.Pack, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	near := store.Targets(sensor)
	all, err := List(ctx, b.Reader(s), `SELECT `+packColumns+` FROM (SELECT p.*, CASE a.target WHEN ? THEN 0 WHEN ? THEN 1 ELSE 2 END AS near FROM assignments a
		JOIN packs p ON p.operator = a.operator AND p.sha256 = a.pack WHERE a.operator = ? AND a.target IN (?, ?, ?)) o ORDER BY kind, near`,
		[]any{near[0], near[1], s.Operator(), near[0], near[1], near[2]}, scanPack)
	var nearest []store.Pack
	for _, p := range all {
		if n := len(nearest); n == 0 || nearest[n-1].Kind != p.Kind {
			nearest = append(nearest, p)
		}
	}
	return nearest, err
}

// PutOutcome implements store.Packs.
func (b Book) PutOutcome(ctx context.Context, s store.Scope, o store.Outcome) error {
	if err := s.Check(); err != nil {
		return err
	}
	return b.change(ctx, s, func(t work) error {
		p, err := t.pack(s, o.Pack)
		if err != nil {
			return err
		}
		var was store.Outcome
		err = t.row(`SELECT pack, taken, reason FROM outcomes WHERE operator = ? AND sensor = ? AND kind = ?`, []any{s.Operator(), o.Sensor, p.Kind}, &was.Pack, &was.Taken, &was.Reason)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err == nil && was.Pack == o.Pack && was.Taken == o.Taken && was.Reason == o.Reason {
			return nil
		}
		if _, err := t.Exec(`INSERT INTO outcomes (operator, sensor, kind, pack, taken, reason, why, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (operator, sensor, kind) DO UPDATE SET pack = excluded.pack, taken = excluded.taken, reason = excluded.reason, why = excluded.why, at = excluded.at`,
			s.Operator(), o.Sensor, p.Kind, o.Pack, o.Taken, o.Reason, o.Why, Nanos(o.At)); err != nil {
			return err
		}
		what, detail := "pack-taken", title(&p)
		if !o.Taken {
			what, detail = "pack-refused", detail+": "+o.Reason+": "+o.Why
		}
		return t.act(s, o.At, "sensor "+o.Sensor, what, o.Sensor, detail)
	})
}

// Outcomes implements store.Packs.
func (b Book) Outcomes(ctx context.Context, s store.Scope) ([]store.Outcome, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	return List(ctx, b.Reader(s), `SELECT sensor, kind, pack, taken, reason, why, at FROM outcomes WHERE operator = ? ORDER BY sensor, kind`, []any{s.Operator()}, func(scan scan) (o store.Outcome, err error) {
		var at int64
		err = scan(&o.Sensor, &o.Kind, &o.Pack, &o.Taken, &o.Reason, &o.Why, &at)
		o.At = FromNanos(at)
		return o, err
	})
}
