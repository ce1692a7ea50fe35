package book

import (
	"context"
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
	return b.publish(ctx, s, id, tlp, who, at)
}

// Retract implements store.Releases.
func (b Book) Retract(ctx context.Context, s store.Scope, id, who string, at time.Time) (store.Released, error) {
	return b.publish(ctx, s, id, "", who, at)
}

// publish makes the next version of an alert in the feed; tlp "" revokes the one before it.
func (b Book) publish(ctx context.Context, s store.Scope, id string, tlp store.TLP, who string, at time.Time) (store.Released, error) {
	if err := s.Check(); err != nil {
		return store.Released{}, err
	}
	var r store.Released
	err := b.change(ctx, s, func(t work) error {
		was, err := t.latest(s, id)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		ms, err := t.Count(s.Operator(), "released", at.UnixMilli())
		if err != nil {
			return err
		}
		r = store.Released{Added: time.UnixMilli(ms).UTC(), Version: was.Version + 1, TLP: tlp, Who: who, Latest: true, Created: was.Created}
		what, said, detail, flag := "release", "released", string(tlp), sql.NullInt64{Int64: Nanos(r.Added), Valid: true}
		if tlp == "" {
			if was.Version == 0 || was.Revoked {
				return fmt.Errorf("is not released: %w", store.ErrNotFound)
			}
			what, said, detail, flag = "retract", "retracted", "", sql.NullInt64{}
			r.Alert, r.TLP, r.Revoked = was.Alert, was.TLP, true
		} else if r.Alert, err = t.alert(s, id); err != nil {
			return err
		}
		if was.Version == 0 {
			r.Created = r.Added
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
		return store.Released{}, fmt.Errorf("alert %.80q: %w", id, err)
	}
	return r, nil
}

// alert reads an alert inside the transaction.
func (t work) alert(s store.Scope, id string) (store.Alert, error) {
	return One(context.Background(), t, `SELECT `+alertColumns+` FROM alerts WHERE operator = ? AND id = ?`, []any{s.Operator(), id}, scanAlert)
}

const releaseColumns = `added, version, created, tlp, who, revoked, latest, body`

func scanReleased(scan scan) (store.Released, error) {
	var r store.Released
	var added, created int64
	var body []byte
	if err := scan(&added, &r.Version, &created, &r.TLP, &r.Who, &r.Revoked, &r.Latest, &body); err != nil {
		return r, err
	}
	r.Added, r.Created = time.UnixMilli(added).UTC(), time.UnixMilli(created).UTC()
	if err := json.Unmarshal(body, &r.Alert); err != nil {
		return r, fmt.Errorf("release of %s: %w", r.Added, err)
	}
	return r, nil
}

func (t work) latest(s store.Scope, id string) (store.Released, error) {
	return One(context.Background(), t, `SELECT `+releaseColumns+` FROM releases WHERE operator = ? AND alert = ? ORDER BY version DESC LIMIT 1`, []any{s.Operator(), id}, scanReleased)
}

// version writes r as the latest version of its alert.
func (t work) version(s store.Scope, r *store.Released) error {
	body, err := json.Marshal(&r.Alert)
	if err != nil {
		return err
	}
	if _, err := t.Exec(`UPDATE releases SET latest = FALSE WHERE operator = ? AND alert = ?`, s.Operator(), r.Alert.ID); err != nil {
		return err
	}
	_, err = t.Exec(`INSERT INTO releases (operator, added, alert, version, created, tlp, who, revoked, latest, sensor, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, TRUE, ?, ?)`,
		s.Operator(), r.Added.UnixMilli(), r.Alert.ID, r.Version, r.Created.UnixMilli(), string(r.TLP), r.Who, r.Revoked, r.Alert.Sensor, body)
	return err
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
