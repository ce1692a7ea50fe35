package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/roje-ot/roje/collector/store"
)

// CreateToken implements store.Fleet.
func (db *DB) CreateToken(ctx context.Context, s store.Scope, k store.Token) error {
	if err := s.Check(); err != nil {
		return err
	}
	return db.change(func(t *tx) error {
		n, err := t.exec(`INSERT INTO tokens (operator, id, secret, site, who, created, expires, sensor) VALUES (?, ?, ?, ?, ?, ?, ?, '') ON CONFLICT DO NOTHING`,
			s.Operator(), k.ID, k.Secret[:], k.Site, k.Who, nanos(k.Created), nanos(k.Expires))
		if err == nil && n == 0 {
			err = fmt.Errorf("token %s: %w", k.ID, store.ErrExists)
		}
		if err != nil {
			return err
		}
		return t.act(s, k.Created, k.Who, "token", k.ID, k.Site)
	})
}

const tokenColumns = `id, secret, site, who, created, expires, used, sensor`

func scanToken(scan scan) (k store.Token, err error) {
	var secret []byte
	var created, expires int64
	var used sql.NullInt64
	err = scan(&k.ID, &secret, &k.Site, &k.Who, &created, &expires, &used, &k.Sensor)
	copy(k.Secret[:], secret)
	k.Created, k.Expires, k.Used = fromNanos(created), fromNanos(expires), fromNull(used)
	return k, err
}

// Token implements store.Fleet.
func (db *DB) Token(ctx context.Context, s store.Scope, id string) (store.Token, error) {
	if err := s.Check(); err != nil {
		return store.Token{}, err
	}
	k, err := scanToken(db.read.QueryRowContext(ctx, `SELECT `+tokenColumns+` FROM tokens WHERE operator = ? AND id = ?`, s.Operator(), id).Scan)
	if err != nil {
		return store.Token{}, fmt.Errorf("token %.80q: %w", id, known(err))
	}
	return k, nil
}

// Enrol implements store.Fleet.
func (db *DB) Enrol(ctx context.Context, s store.Scope, token string, secret [32]byte, sensor store.Sensor, cert store.Cert, at time.Time) error {
	if err := s.Check(); err != nil {
		return err
	}
	return db.change(func(t *tx) error {
		q, err := t.stmt(`SELECT ` + tokenColumns + ` FROM tokens WHERE operator = ? AND id = ?`)
		if err != nil {
			return err
		}
		k, err := scanToken(q.QueryRow(s.Operator(), token).Scan)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if err := k.Usable(err == nil, secret, at); err != nil {
			return err
		}
		if _, err := t.exec(`UPDATE tokens SET used = ?, sensor = ? WHERE operator = ? AND id = ?`, nanos(at), sensor.ID, s.Operator(), token); err != nil {
			return err
		}
		n, err := t.exec(`INSERT INTO sensors (operator, id, name, enrolled, alerts, lost) VALUES (?, ?, ?, ?, 0, 0) ON CONFLICT DO NOTHING`,
			s.Operator(), sensor.ID, sensor.Name, nanos(sensor.Enrolled))
		if err == nil && n == 0 {
			err = fmt.Errorf("sensor %s: %w", sensor.ID, store.ErrExists)
		}
		if err == nil {
			err = t.cert(s, &cert)
		}
		if err != nil {
			return err
		}
		return t.act(s, at, k.Who, "enrol", sensor.ID, "token "+token)
	})
}

func (t *tx) cert(s store.Scope, c *store.Cert) error {
	_, err := t.exec(`INSERT INTO certs (operator, sensor, serial, key, public, issued, expires) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		s.Operator(), c.Sensor, c.Serial, c.Key, c.Public, nanos(c.Issued), nanos(c.Expires))
	return err
}

// AddCert implements store.Fleet.
func (db *DB) AddCert(ctx context.Context, s store.Scope, c store.Cert) error {
	if err := s.Check(); err != nil {
		return err
	}
	return db.change(func(t *tx) error { return t.cert(s, &c) })
}

// FindCert implements store.Fleet.
func (db *DB) FindCert(ctx context.Context, s store.Scope, sensor, key string) (c store.Cert, err error) {
	if err := s.Check(); err != nil {
		return c, err
	}
	var issued, expires int64
	err = db.read.QueryRowContext(ctx, `SELECT sensor, serial, key, public, issued, expires FROM certs WHERE operator = ? AND sensor = ? AND key = ? ORDER BY expires DESC LIMIT 1`,
		s.Operator(), sensor, key).Scan(&c.Sensor, &c.Serial, &c.Key, &c.Public, &issued, &expires)
	c.Issued, c.Expires = fromNanos(issued), fromNanos(expires)
	return c, known(err)
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
	n.Enrolled, n.Expires, n.Seen, n.Denied, n.Health = fromNanos(enrolled), fromNanos(expires), fromNull(seen), fromNull(denied), health
	return n, err
}

// Sensors implements store.Fleet.
func (db *DB) Sensors(ctx context.Context, s store.Scope) ([]store.Sensor, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	return list(ctx, db.read, `SELECT `+sensorColumns+` FROM sensors WHERE operator = ? ORDER BY name, id`, []any{s.Operator()}, scanSensor)
}

// GetSensor implements store.Fleet.
func (db *DB) GetSensor(ctx context.Context, s store.Scope, id string) (store.Sensor, error) {
	if err := s.Check(); err != nil {
		return store.Sensor{}, err
	}
	n, err := scanSensor(db.read.QueryRowContext(ctx, `SELECT `+sensorColumns+` FROM sensors WHERE operator = ? AND id = ?`, s.Operator(), id).Scan)
	if err != nil {
		return store.Sensor{}, fmt.Errorf("sensor %.80q: %w", id, known(err))
	}
	return n, nil
}

// Deny implements store.Fleet.
func (db *DB) Deny(ctx context.Context, s store.Scope, sensor, who string, at time.Time) error {
	return db.setDenied(s, sensor, who, "deny", at, sql.NullInt64{Int64: nanos(at), Valid: true})
}

// Allow implements store.Fleet.
func (db *DB) Allow(ctx context.Context, s store.Scope, sensor, who string, at time.Time) error {
	return db.setDenied(s, sensor, who, "allow", at, sql.NullInt64{})
}

func (db *DB) setDenied(s store.Scope, sensor, who, what string, at time.Time, denied sql.NullInt64) error {
	if err := s.Check(); err != nil {
		return err
	}
	return db.change(func(t *tx) error {
		n, err := t.exec(`UPDATE sensors SET denied = ? WHERE operator = ? AND id = ?`, denied, s.Operator(), sensor)
		if err == nil && n == 0 {
			err = fmt.Errorf("sensor %.80q: %w", sensor, store.ErrNotFound)
		}
		if err != nil {
			return err
		}
		return t.act(s, at, who, what, sensor, "")
	})
}
