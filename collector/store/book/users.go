package book

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/roje-ot/roje/collector/store"
)

const userColumns = `name, role, hash, must_change, disabled, created, signed_in, language, subject, ceiling, proof, cert, compare`

func scanUser(scan scan) (u store.User, err error) {
	var created int64
	var signedIn sql.NullInt64
	err = scan(&u.Name, &u.Role, &u.Hash, &u.MustChange, &u.Disabled, &created, &signedIn, &u.Language, &u.Subject, &u.Ceiling, &u.Proof, &u.CERT, &u.Compare)
	u.Created, u.SignedIn = FromNanos(created), fromNull(signedIn)
	return u, err
}

// PutUser implements store.Users.
func (b Book) PutUser(ctx context.Context, s store.Scope, u store.User, who string, at time.Time) error {
	if err := s.Check(); err != nil {
		return err
	}
	if u.Name == "" || len(u.Name) > 100 {
		return fmt.Errorf("a user's name has 1 to 100 bytes, not %d", len(u.Name))
	}
	detail := "role " + string(u.Role)
	if u.Disabled {
		detail += ", disabled"
	}
	if u.Ceiling != "" {
		detail += ", up to tlp " + string(u.Ceiling)
	}
	if u.Compare != "" {
		detail += ", " + u.CERT + " may compare: " + string(u.Compare)
	}
	return b.change(ctx, s, func(t work) error {
		_, err := t.Exec(`INSERT INTO users (operator, name, role, hash, must_change, disabled, created, language, subject, ceiling, cert, compare) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (operator, name) DO UPDATE SET role = excluded.role, hash = excluded.hash, must_change = excluded.must_change,
				disabled = excluded.disabled, language = excluded.language, subject = excluded.subject, ceiling = excluded.ceiling,
				cert = excluded.cert, compare = excluded.compare`,
			s.Operator(), u.Name, string(u.Role), u.Hash, u.MustChange, u.Disabled, Nanos(u.Created), u.Language, u.Subject, string(u.Ceiling), u.CERT, string(u.Compare))
		if err != nil {
			return err
		}
		return t.act(s, at, who, "user", u.Name, detail)
	})
}

// GetUser implements store.Users.
func (b Book) GetUser(ctx context.Context, s store.Scope, name string) (store.User, error) {
	if err := s.Check(); err != nil {
		return store.User{}, err
	}
	u, err := One(ctx, b.Reader(s), `SELECT `+userColumns+` FROM users WHERE operator = ? AND name = ?`, []any{s.Operator(), name}, scanUser)
	if err != nil {
		return store.User{}, fmt.Errorf("user %.100q: %w", name, err)
	}
	return u, nil
}

// ListUsers implements store.Users.
func (b Book) ListUsers(ctx context.Context, s store.Scope) ([]store.User, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	return List(ctx, b.Reader(s), `SELECT `+userColumns+` FROM users WHERE operator = ? ORDER BY name`, []any{s.Operator()}, scanUser)
}

// Consents implements store.Users.
func (b Book) Consents(ctx context.Context, s store.Scope, cert string) ([]store.Consent, error) {
	if err := s.Check(); err != nil || cert == "" {
		return nil, err
	}
	return List(ctx, b.Reader(s), `SELECT name, ceiling, compare FROM users WHERE operator = ? AND cert = ? AND compare != '' AND NOT disabled AND role IN (?, ?) ORDER BY name`,
		[]any{s.Operator(), cert, string(store.CERT), string(store.CERTAnalyst)}, func(scan scan) (c store.Consent, err error) {
			err = scan(&c.Account, &c.Ceiling, &c.Compare)
			return c, err
		})
}

// SwapProof implements store.Users.
func (b Book) SwapProof(ctx context.Context, s store.Scope, name, was, is string, act store.Act) error {
	if err := s.Check(); err != nil {
		return err
	}
	return b.change(ctx, s, func(t work) error {
		n, err := t.Exec(`UPDATE users SET proof = ? WHERE operator = ? AND name = ? AND proof = ?`, is, s.Operator(), name, was)
		if err == nil && n == 0 {
			err = fmt.Errorf("user %.100q: %w", name, store.ErrChanged)
		}
		if err != nil || act.What == "" {
			return err
		}
		return t.act(s, act.At, act.Who, act.What, act.Object, act.Detail)
	})
}

// SignedIn implements store.Users.
func (b Book) SignedIn(ctx context.Context, s store.Scope, name string, at time.Time) error {
	if err := s.Check(); err != nil {
		return err
	}
	return b.change(ctx, s, func(t work) error {
		_, err := t.Exec(`UPDATE users SET signed_in = ? WHERE operator = ? AND name = ?`, Nanos(at), s.Operator(), name)
		return err
	})
}

// Sessions implements store.Store.
func (b Book) Sessions(now func() time.Time) store.Sessions { return sessions{b, now} }

type sessions struct {
	Book
	now func() time.Time
}

func sessionKey(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

func (s sessions) Find(token string) (data []byte, found bool, err error) {
	data, err = One(context.Background(), s.Reader(store.Scope{}), `SELECT data FROM sessions WHERE token = ? AND expiry > ?`, []any{sessionKey(token), Nanos(s.now())},
		func(scan scan) (data []byte, err error) { err = scan(&data); return data, err })
	if errors.Is(err, store.ErrNotFound) {
		return nil, false, nil
	}
	return data, err == nil, err
}

func (s sessions) Commit(token string, data []byte, expiry time.Time) error {
	return s.change(context.Background(), store.Scope{}, func(t work) error {
		_, err := t.Exec(`INSERT INTO sessions (token, data, expiry) VALUES (?, ?, ?)
			ON CONFLICT (token) DO UPDATE SET data = excluded.data, expiry = excluded.expiry`, sessionKey(token), data, Nanos(expiry))
		return err
	})
}

func (s sessions) Delete(token string) error {
	return s.change(context.Background(), store.Scope{}, func(t work) error {
		_, err := t.Exec(`DELETE FROM sessions WHERE token = ?`, sessionKey(token))
		return err
	})
}

func (s sessions) Prune() error {
	return s.change(context.Background(), store.Scope{}, func(t work) error {
		_, err := t.Exec(`DELETE FROM sessions WHERE expiry <= ?`, Nanos(s.now()))
		return err
	})
}
