package book

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/roje-ot/roje/collector/store"
)

// Release implements store.Releases.
func (b Book) Release(ctx context.Context, s store.Scope, id string, tlp store.TLP, who string, at time.Time) (store.Released, error) {
	if _, err := store.ParseTLP(string(tlp)); err != nil {
		return store.Released{}, err
	}
	return b.publish(ctx, s, "", id, tlp, false, who, at)
}

// ReleaseMasked implements store.Releases.
func (b Book) ReleaseMasked(ctx context.Context, s store.Scope, id string, tlp store.TLP, who string, at time.Time) (store.Released, error) {
	if _, err := store.ParseTLP(string(tlp)); err != nil {
		return store.Released{}, err
	}
	return b.publish(ctx, s, "", id, tlp, true, who, at)
}

// Retract implements store.Releases.
func (b Book) Retract(ctx context.Context, s store.Scope, id, who string, at time.Time) (store.Released, error) {
	return b.publish(ctx, s, "", id, "", false, who, at)
}

// publish makes the next version of an alert or, with a kind, of a group in the feed; tlp "" revokes the one before it.
func (b Book) publish(ctx context.Context, s store.Scope, kind, id string, tlp store.TLP, masked bool, who string, at time.Time) (store.Released, error) {
	if err := s.Check(); err != nil {
		return store.Released{}, err
	}
	var r store.Released
	err := b.change(ctx, s, func(t work) error {
		was, err := t.latest(s, kind, id)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		ms, err := t.Count(s.Operator(), "released", at.UnixMilli())
		if err != nil {
			return err
		}
		r = store.Released{Added: time.UnixMilli(ms).UTC(), Version: was.Version + 1, TLP: tlp, Who: who, Latest: true, Created: was.Created, Masked: masked}
		what, said, detail, flag := "release", "released", releaseDetail(tlp, masked), sql.NullInt64{Int64: Nanos(r.Added), Valid: true}
		if tlp == "" {
			if was.Version == 0 || was.Revoked {
				return fmt.Errorf("is not released: %w", store.ErrNotFound)
			}
			what, said, detail, flag = "retract", "retracted", "", sql.NullInt64{}
			r.Alert, r.Group, r.TLP, r.Revoked, r.Masked = was.Alert, was.Group, was.TLP, true, was.Masked
		} else if was.Version > 0 && !was.Revoked && was.Masked != masked {
			return store.ErrOtherForm
		} else if kind != "" {
			if r.Group, err = t.group(s, kind, id); err == nil && r.Group.Ref != id {
				err = fmt.Errorf("it is part of %s: %w", r.Group.Ref, store.ErrNotFound)
			}
		} else {
			r.Alert, err = t.alert(s, id)
		}
		if err != nil {
			return err
		}
		if was.Version == 0 {
			r.Created = r.Added
		}
		if kind != "" {
			if err := t.version(s, &r); err != nil {
				return err
			}
			return t.act(s, at, who, what, id, detail)
		}
		added := r.Added
		r.Alert.TLP, r.Alert.Released = r.TLP, &added
		if err := t.version(s, &r); err != nil {
			return err
		}
		if _, err := t.Exec(`UPDATE alerts SET tlp = ?, released = ? WHERE operator = ? AND id = ?`, string(tlp), flag, s.Operator(), id); err != nil {
			return err
		}
		t.Tell(s.Operator(), store.Change{What: said, ID: id, Arrived: r.Alert.Arrived, Level: r.Alert.Severity})
		return t.act(s, at, who, what, id, detail)
	})
	if err != nil {
		return store.Released{}, fmt.Errorf("%s %.80q: %w", cmp.Or(kind, "alert"), id, err)
	}
	return r, nil
}

// releaseDetail says in an act how an alert was released.
func releaseDetail(tlp store.TLP, masked bool) string {
	if masked {
		return string(tlp) + ", under pseudonyms"
	}
	return string(tlp)
}

// alert reads an alert inside the transaction.
func (t work) alert(s store.Scope, id string) (store.Alert, error) {
	return One(context.Background(), t, `SELECT `+alertColumns+` FROM alerts WHERE operator = ? AND id = ?`, []any{s.Operator(), id}, scanAlert)
}

const releaseColumns = `added, version, created, tlp, who, revoked, latest, masked, kind, body`

func scanReleased(scan scan) (store.Released, error) {
	var r store.Released
	var added, created int64
	var kind string
	var body []byte
	if err := scan(&added, &r.Version, &created, &r.TLP, &r.Who, &r.Revoked, &r.Latest, &r.Masked, &kind, &body); err != nil {
		return r, err
	}
	r.Added, r.Created = time.UnixMilli(added).UTC(), time.UnixMilli(created).UTC()
	var into any = &r.Alert
	if kind != "" {
		r.Group = new(store.Group)
		into = r.Group
	}
	if err := json.Unmarshal(body, into); err != nil {
		return r, fmt.Errorf("release of %s: %w", r.Added, err)
	}
	return r, nil
}

func (t work) latest(s store.Scope, kind, id string) (store.Released, error) {
	return One(context.Background(), t, `SELECT `+releaseColumns+` FROM releases WHERE operator = ? AND kind = ? AND alert = ? ORDER BY version DESC LIMIT 1`, []any{s.Operator(), kind, id}, scanReleased)
}

// version writes r as the latest version of what it is of.
func (t work) version(s store.Scope, r *store.Released) error {
	var of any = &r.Alert
	if r.Group != nil {
		of = r.Group
	}
	body, err := json.Marshal(of)
	if err != nil {
		return err
	}
	if _, err := t.Exec(`UPDATE releases SET latest = FALSE WHERE operator = ? AND kind = ? AND alert = ?`, s.Operator(), r.Kind(), r.ID()); err != nil {
		return err
	}
	_, err = t.Exec(`INSERT INTO releases (operator, added, alert, version, created, tlp, who, revoked, latest, masked, kind, sensor, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, TRUE, ?, ?, ?, ?)`,
		s.Operator(), r.Added.UnixMilli(), r.ID(), r.Version, r.Created.UnixMilli(), string(r.TLP), r.Who, r.Revoked, r.Masked, r.Kind(), r.Alert.Sensor, body)
	return err
}

// Secret implements store.Releases.
func (b Book) Secret(ctx context.Context, s store.Scope, name string) (secret []byte, err error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	read := func(r Reader) ([]byte, error) {
		return One(ctx, r, `SELECT secret FROM secrets WHERE operator = ? AND name = ?`, []any{s.Operator(), name}, func(scan scan) (v []byte, err error) { err = scan(&v); return v, err })
	}
	if secret, err = read(b.Reader(s)); !errors.Is(err, store.ErrNotFound) {
		return secret, err
	}
	fresh := make([]byte, 32)
	rand.Read(fresh)
	err = b.change(ctx, s, func(t work) error {
		if _, err := t.Exec(`INSERT INTO secrets (operator, name, secret) VALUES (?, ?, ?) ON CONFLICT (operator, name) DO NOTHING`, s.Operator(), name, fresh); err != nil {
			return err
		}
		secret, err = read(t)
		return err
	})
	return secret, err
}

// ListReleased implements store.Releases.
func (b Book) ListReleased(ctx context.Context, s store.Scope, f store.ReleaseFilter, cursor string, limit int) ([]store.Released, string, error) {
	w, err := scopedWhere(s)
	if err == nil {
		err = checkLimit(limit)
	}
	if err != nil {
		return nil, "", err
	}
	if !f.All {
		w.and("latest")
	}
	if f.Kind != "" || !f.Groups {
		w.and("kind = ?", f.Kind)
	}
	if f.Alert != "" {
		w.and("alert = ?", f.Alert)
	}
	if !f.AddedAfter.IsZero() { // Added is a whole millisecond, so cutting AddedAfter down to one picks the same
		w.and("added > ?", f.AddedAfter.UnixMilli())
	}
	if cursor != "" {
		at, err := ParseCursor("v", cursor, 1)
		if err != nil {
			return nil, "", err
		}
		w.and("added > ?", at[0])
	}
	versions, err := List(ctx, b.Reader(s), `SELECT `+releaseColumns+` FROM releases `+w.String()+` ORDER BY added LIMIT ?`, w.with(limit+1), scanReleased)
	if err != nil || len(versions) <= limit {
		return versions, "", err
	}
	return versions[:limit], MakeCursor("v", versions[limit-1].Added.UnixMilli()), nil
}
