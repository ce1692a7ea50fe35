package book

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/roje-ot/roje/collector/store"
)

// CreateToken implements store.Fleet.
func (b Book) CreateToken(ctx context.Context, s store.Scope, k store.Token) error {
	if err := s.Check(); err != nil {
		return err
	}
	return b.change(ctx, s, func(t work) error {
		n, err := t.Exec(`INSERT INTO tokens (operator, id, secret, site, who, created, expires, sensor, approve) VALUES (?, ?, ?, ?, ?, ?, ?, '', ?) ON CONFLICT DO NOTHING`,
			s.Operator(), k.ID, k.Secret[:], k.Site, k.Who, Nanos(k.Created), Nanos(k.Expires), k.Approve)
		if err == nil && n == 0 {
			err = fmt.Errorf("token %s: %w", k.ID, store.ErrExists)
		}
		if err != nil {
			return err
		}
		return t.act(s, k.Created, k.Who, "token", k.ID, k.Site)
	})
}

const tokenColumns = `id, secret, site, who, created, expires, used, sensor, approve`

func scanToken(scan scan) (k store.Token, err error) {
	var secret []byte
	var created, expires int64
	var used sql.NullInt64
	err = scan(&k.ID, &secret, &k.Site, &k.Who, &created, &expires, &used, &k.Sensor, &k.Approve)
	copy(k.Secret[:], secret)
	k.Created, k.Expires, k.Used = FromNanos(created), FromNanos(expires), fromNull(used)
	return k, err
}

// Token implements store.Fleet.
func (b Book) Token(ctx context.Context, s store.Scope, id string) (store.Token, error) {
	if err := s.Check(); err != nil {
		return store.Token{}, err
	}
	k, err := One(ctx, b.Reader(s), `SELECT `+tokenColumns+` FROM tokens WHERE operator = ? AND id = ?`, []any{s.Operator(), id}, scanToken)
	if err != nil {
		return store.Token{}, fmt.Errorf("token %.80q: %w", id, err)
	}
	return k, nil
}

// Enrol implements store.Fleet.
func (b Book) Enrol(ctx context.Context, s store.Scope, token string, secret [32]byte, sensor store.Sensor, cert store.Cert, at time.Time) error {
	if err := s.Check(); err != nil {
		return err
	}
	return b.change(ctx, s, func(t work) error {
		k, err := One(ctx, t, `SELECT `+tokenColumns+` FROM tokens WHERE operator = ? AND id = ?`, []any{s.Operator(), token}, scanToken)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err := k.Usable(err == nil, secret, at); err != nil {
			return err
		}
		who, err := t.approver(s, &k, cert.Key)
		if err != nil {
			return err
		}
		if _, err := t.Exec(`UPDATE tokens SET used = ?, sensor = ? WHERE operator = ? AND id = ?`, Nanos(at), sensor.ID, s.Operator(), token); err != nil {
			return err
		}
		n, err := t.Exec(`INSERT INTO sensors (operator, id, name, enrolled, alerts, lost) VALUES (?, ?, ?, ?, 0, 0) ON CONFLICT DO NOTHING`,
			s.Operator(), sensor.ID, sensor.Name, Nanos(sensor.Enrolled))
		if err == nil && n == 0 {
			err = fmt.Errorf("sensor %s: %w", sensor.ID, store.ErrExists)
		}
		if err == nil {
			err = t.cert(s, &cert)
		}
		if err != nil {
			return err
		}
		return t.act(s, at, who, "enrol", sensor.ID, "token "+token)
	})
}

func (t work) cert(s store.Scope, c *store.Cert) error {
	_, err := t.Exec(`INSERT INTO certs (operator, sensor, serial, key, public, issued, expires) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		s.Operator(), c.Sensor, c.Serial, c.Key, c.Public, Nanos(c.Issued), Nanos(c.Expires))
	return err
}

// AddCert implements store.Fleet.
func (b Book) AddCert(ctx context.Context, s store.Scope, c store.Cert) error {
	if err := s.Check(); err != nil {
		return err
	}
	return b.change(ctx, s, func(t work) error {
		if err := t.cert(s, &c); err != nil {
			return err
		}
		return t.act(s, c.Issued, cmp.Or(c.By, c.Sensor), "renew", c.Sensor, "certificate "+c.Serial+" until "+c.Expires.UTC().Format(time.DateOnly))
	})
}

// FindCert implements store.Fleet.
func (b Book) FindCert(ctx context.Context, s store.Scope, sensor, key string) (c store.Cert, err error) {
	if err := s.Check(); err != nil {
		return c, err
	}
	return One(ctx, b.Reader(s), `SELECT sensor, serial, key, public, issued, expires FROM certs WHERE operator = ? AND sensor = ? AND key = ? ORDER BY expires DESC LIMIT 1`,
		[]any{s.Operator(), sensor, key}, func(scan scan) (c store.Cert, err error) {
			var issued, expires int64
			err = scan(&c.Sensor, &c.Serial, &c.Key, &c.Public, &issued, &expires)
			c.Issued, c.Expires = FromNanos(issued), FromNanos(expires)
			return c, err
		})
}

const sensorColumns = `id, name, enrolled, seen, denied, health, alerts, lost,
	(SELECT count(*) FROM gaps g WHERE g.operator = sensors.operator AND g.sensor = sensors.id),
	coalesce((SELECT serial FROM certs c WHERE c.operator = sensors.operator AND c.sensor = sensors.id ORDER BY expires DESC LIMIT 1), ''),
	coalesce((SELECT max(expires) FROM certs c WHERE c.operator = sensors.operator AND c.sensor = sensors.id), 0)`

func scanSensor(scan scan) (n store.Sensor, err error) {
	var enrolled, expires int64
	var seen, denied sql.NullInt64
	var health []byte
	err = scan(&n.ID, &n.Name, &enrolled, &seen, &denied, &health, &n.Alerts, &n.Lost, &n.Gaps, &n.Serial, &expires)
	n.Enrolled, n.Expires, n.Seen, n.Denied, n.Health = FromNanos(enrolled), FromNanos(expires), fromNull(seen), fromNull(denied), health
	return n, err
}

// Sensors implements store.Fleet.
func (b Book) Sensors(ctx context.Context, s store.Scope) ([]store.Sensor, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	return List(ctx, b.Reader(s), `SELECT `+sensorColumns+` FROM sensors WHERE operator = ? ORDER BY name, id`, []any{s.Operator()}, scanSensor)
}

// GetSensor implements store.Fleet.
func (b Book) GetSensor(ctx context.Context, s store.Scope, id string) (store.Sensor, error) {
	if err := s.Check(); err != nil {
		return store.Sensor{}, err
	}
	n, err := One(ctx, b.Reader(s), `SELECT `+sensorColumns+` FROM sensors WHERE operator = ? AND id = ?`, []any{s.Operator(), id}, scanSensor)
	if err != nil {
		return store.Sensor{}, fmt.Errorf("sensor %.80q: %w", id, err)
	}
	return n, nil
}

// Deny implements store.Fleet.
func (b Book) Deny(ctx context.Context, s store.Scope, sensor, who string, at time.Time) error {
	return b.setDenied(ctx, s, sensor, who, "deny", at, sql.NullInt64{Int64: Nanos(at), Valid: true})
}

// Allow implements store.Fleet.
func (b Book) Allow(ctx context.Context, s store.Scope, sensor, who string, at time.Time) error {
	return b.setDenied(ctx, s, sensor, who, "allow", at, sql.NullInt64{})
}

func (b Book) setDenied(ctx context.Context, s store.Scope, sensor, who, what string, at time.Time, denied sql.NullInt64) error {
	if err := s.Check(); err != nil {
		return err
	}
	return b.change(ctx, s, func(t work) error {
		n, err := t.Exec(`UPDATE sensors SET denied = ? WHERE operator = ? AND id = ?`, denied, s.Operator(), sensor)
		if err == nil && n == 0 {
			err = fmt.Errorf("sensor %.80q: %w", sensor, store.ErrNotFound)
		}
		if err != nil {
			return err
		}
		return t.act(s, at, who, what, sensor, "")
	})
}
