package book

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/rules/batch/proof"
)

var _ store.Evidences = Book{}

const evidenceColumns = `alert, sensor, state, size, have, sha256, who, at, why`

func scanEvidence(scan scan) (e store.EvidenceFile, err error) {
	var at int64
	err = scan(&e.Alert, &e.Sensor, &e.State, &e.Size, &e.Have, &e.SHA256, &e.Who, &at, &e.Why)
	e.At = FromNanos(at)
	return e, err
}

func evidence(ctx context.Context, r Reader, s store.Scope, alert string) (store.EvidenceFile, error) {
	return One(ctx, r, `SELECT `+evidenceColumns+` FROM evidence WHERE operator = ? AND alert = ?`, []any{s.Operator(), alert}, scanEvidence)
}

// AskEvidence implements store.Evidences.
func (b Book) AskEvidence(ctx context.Context, s store.Scope, alert, who string, at time.Time) error {
	if err := s.Check(); err != nil {
		return err
	}
	err := b.change(ctx, s, func(t work) error {
		var sensor string
		if err := t.row(`SELECT sensor FROM alerts WHERE operator = ? AND id = ?`, []any{s.Operator(), alert}, &sensor); err != nil {
			return err
		}
		e, err := evidence(ctx, t, s, alert)
		switch {
		case err != nil && !errors.Is(err, store.ErrNotFound):
			return err
		case err == nil && e.State != store.EvidenceRefused && e.State != store.EvidenceGone:
			return nil
		}
		if err := t.putEvidence(s, &store.EvidenceFile{Alert: alert, Sensor: sensor, State: store.EvidenceAsked, Who: who, At: at}); err != nil {
			return err
		}
		return t.act(s, at, who, "evidence", alert, "asked for")
	})
	if err != nil {
		return fmt.Errorf("evidence of alert %.80q: %w", alert, err)
	}
	return nil
}

// putEvidence writes e in the place of what was known.
func (t work) putEvidence(s store.Scope, e *store.EvidenceFile) error {
	_, err := t.Exec(`INSERT INTO evidence (operator, alert, sensor, state, size, have, sha256, who, at, why) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (operator, alert) DO UPDATE SET sensor = excluded.sensor, state = excluded.state, size = excluded.size, have = excluded.have,
			sha256 = excluded.sha256, who = excluded.who, at = excluded.at, why = excluded.why`,
		s.Operator(), e.Alert, e.Sensor, string(e.State), e.Size, e.Have, e.SHA256, e.Who, Nanos(e.At), e.Why)
	return err
}

// GetEvidence implements store.Evidences.
func (b Book) GetEvidence(ctx context.Context, s store.Scope, alert string) (store.EvidenceFile, error) {
	if err := s.Check(); err != nil {
		return store.EvidenceFile{}, err
	}
	e, err := evidence(ctx, b.Reader(s), s, alert)
	if err != nil {
		return e, fmt.Errorf("evidence of alert %.80q: %w", alert, err)
	}
	return e, nil
}

// ReadEvidence implements store.Evidences.
func (b Book) ReadEvidence(ctx context.Context, s store.Scope, alert string) ([]byte, error) {
	e, err := b.GetEvidence(ctx, s, alert)
	if err != nil {
		return nil, err
	}
	if e.State != store.EvidenceWhole {
		return nil, fmt.Errorf("evidence of alert %.80q: it is %s: %w", alert, e.State, store.ErrNotFound)
	}
	content, err := pieces(ctx, b.Reader(s), s, alert)
	if err == nil && int64(len(content)) != e.Size { // it was forgotten meanwhile
		err = store.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("evidence of alert %.80q: %w", alert, err)
	}
	return content, nil
}

func pieces(ctx context.Context, r Reader, s store.Scope, alert string) (content []byte, err error) {
	all, err := List(ctx, r, `SELECT data FROM pieces WHERE operator = ? AND alert = ? ORDER BY at`, []any{s.Operator(), alert},
		func(scan scan) (data []byte, err error) { err = scan(&data); return data, err })
	return slices.Concat(all...), err
}

// WantedEvidence implements store.Evidences.
func (b Book) WantedEvidence(ctx context.Context, s store.Scope, sensor string) ([]batch.Ask, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	return List(ctx, b.Reader(s), `SELECT alert, have FROM evidence WHERE operator = ? AND sensor = ? AND state IN ('asked', 'coming') ORDER BY at, alert LIMIT ?`,
		[]any{s.Operator(), sensor, batch.MaxAsks}, func(scan scan) (a batch.Ask, err error) {
			err = scan(&a.Alert, &a.From)
			a.Alert = strings.TrimSuffix(a.Alert, "@"+sensor)
			return a, err
		})
}

// PutEvidence implements store.Evidences.
func (b Book) PutEvidence(ctx context.Context, s store.Scope, sensor string, p batch.Piece, at time.Time) error {
	if err := s.Check(); err != nil {
		return err
	}
	err := b.change(ctx, s, func(t work) error { return t.piece(ctx, s, sensor, &p, at) })
	if err != nil {
		return fmt.Errorf("evidence of alert %.80q: %w", p.Alert, err)
	}
	return nil
}

// piece takes a piece in the transaction.
func (t work) piece(ctx context.Context, s store.Scope, sensor string, p *batch.Piece, at time.Time) error {
	alert, body, err := t.alertOf(ctx, s, sensor, p.Alert)
	if err != nil {
		return err
	}
	e, err := evidence(ctx, t, s, alert)
	if errors.Is(err, store.ErrNotFound) {
		e = store.EvidenceFile{Alert: alert, Sensor: sensor, State: store.EvidenceComing}
	} else if err != nil {
		return err
	}
	if e.State == store.EvidenceWhole || e.State == store.EvidenceRefused {
		return nil
	}
	refuse := func(why string) error {
		if err := t.dropPieces(s, alert); err != nil {
			return err
		}
		e.State, e.Have, e.At, e.Why = store.EvidenceRefused, 0, at, why
		if err := t.putEvidence(s, &e); err != nil {
			return err
		}
		return t.act(s, at, "sensor "+sensor, "evidence", alert, "refused: "+why)
	}
	switch {
	case p.Gone != "":
		e.State, e.At, e.Why = store.EvidenceGone, at, fmt.Sprintf("%.200s", p.Gone)
		return t.putEvidence(s, &e)
	case p.Size <= 0 || p.Size > batch.MaxEvidence || len(p.Data) == 0 || len(p.Data) > batch.MaxPiece || p.At < 0 || p.At > p.Size-int64(len(p.Data)):
		return refuse("a piece is not where it says")
	case e.Have > 0 && (p.Size != e.Size || p.SHA256 != e.SHA256): // the sensor has made the file anew
		if err := t.dropPieces(s, alert); err != nil {
			return err
		}
		e.Have = 0
	}
	if p.At != e.Have {
		return nil
	}
	if _, err := t.Exec(`INSERT INTO pieces (operator, alert, at, data) VALUES (?, ?, ?, ?)`, s.Operator(), alert, p.At, p.Data); err != nil {
		return err
	}
	e.State, e.Size, e.SHA256, e.Have, e.At = store.EvidenceComing, p.Size, p.SHA256, e.Have+int64(len(p.Data)), at
	if e.Have < e.Size {
		return t.putEvidence(s, &e)
	}
	if why, err := t.judge(ctx, s, &e, body); err != nil {
		return err
	} else if why != "" {
		return refuse(why)
	}
	e.State = store.EvidenceWhole
	if err := t.putEvidence(s, &e); err != nil {
		return err
	}
	return t.act(s, at, "sensor "+sensor, "evidence", alert, "came, sha256 "+e.SHA256)
}

func (t work) dropPieces(s store.Scope, alert string) error {
	_, err := t.Exec(`DELETE FROM pieces WHERE operator = ? AND alert = ?`, s.Operator(), alert)
	return err
}

// alertOf finds the alert to which a sensor has given an id: see the intake for two sensors that give the same.
func (t work) alertOf(ctx context.Context, s store.Scope, sensor, id string) (alert string, body []byte, err error) {
	for _, id := range []string{id, id + "@" + sensor} {
		body, err := One(ctx, t, `SELECT body FROM alerts WHERE operator = ? AND id = ? AND sensor = ?`, []any{s.Operator(), id, sensor},
			func(scan scan) (body []byte, err error) { err = scan(&body); return body, err })
		if !errors.Is(err, store.ErrNotFound) {
			return id, body, err
		}
	}
	return "", nil, store.ErrNotFound
}

// judge says why a file that has come is not what its sensor signed; "" if it is.
func (t work) judge(ctx context.Context, s store.Scope, e *store.EvidenceFile, body []byte) (why string, err error) {
	content, err := pieces(ctx, t, s, e.Alert)
	if err != nil {
		return "", err
	}
	seal, err := proof.CheckCapture(content)
	if err != nil {
		return err.Error(), nil
	}
	if seal.SHA256 != e.SHA256 {
		return "its SHA-256 is not the one that was announced", nil
	}
	var a rules.Alert
	if json.Unmarshal(body, &a) == nil && a.Evidence != nil && a.Evidence.SHA256 != seal.SHA256 {
		return "its SHA-256 is not the one that the alert names", nil
	}
	keys, err := List(ctx, t, `SELECT public FROM certs WHERE operator = ? AND sensor = ?`, []any{s.Operator(), e.Sensor},
		func(scan scan) (public []byte, err error) { err = scan(&public); return public, err })
	if err != nil {
		return "", err
	}
	if !slices.ContainsFunc(keys, func(k []byte) bool { return seal.Key.Equal(ed25519.PublicKey(k)) }) {
		return "it is signed by key " + seal.Fingerprint() + ", which is none of the sensor's", nil
	}
	return "", nil
}

// forgetEvidence deletes the evidence of alerts that are no more, and what has not changed since a time, zero for none,
// unless its alert is held or released.
func (b Book) forgetEvidence(ctx context.Context, s store.Scope, before time.Time) (n int, err error) {
	old := int64(0)
	if !before.IsZero() {
		old = Nanos(before)
	}
	err = b.change(ctx, s, func(t work) error {
		gone, err := List(ctx, t, `DELETE FROM evidence WHERE operator = ? AND (NOT EXISTS (SELECT 1 FROM alerts WHERE alerts.operator = evidence.operator AND alerts.id = evidence.alert)
			OR at < ? AND NOT EXISTS (SELECT 1 FROM alerts WHERE alerts.operator = evidence.operator AND alerts.id = evidence.alert AND (held = TRUE OR released IS NOT NULL)))
			RETURNING alert`, []any{s.Operator(), old}, func(scan scan) (alert string, err error) { err = scan(&alert); return alert, err })
		n = len(gone)
		for _, alert := range gone {
			if err == nil {
				err = t.dropPieces(s, alert)
			}
		}
		return err
	})
	return n, err
}
