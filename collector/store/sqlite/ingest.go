package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/book"
	"github.com/roje-ot/roje/rules/batch"
)

const maxWant = 100

// Ingest implements store.Intake.
func (db *DB) Ingest(ctx context.Context, s store.Scope, sensor string, batches []store.Batch, received time.Time) (store.Receipt, error) {
	var got store.Receipt
	if err := s.Check(); err != nil {
		return got, err
	}
	if err := ctx.Err(); err != nil {
		return got, err
	}
	read := book.ReadAll(batches)
	defer read.Wait()
	err := db.change(s, func(t *tx) error {
		got = store.Receipt{Ack: map[batch.Lane]uint64{}}
		for i := range batches {
			in := intake{tx: t, Batch: &batches[i], read: read[i], operator: s.Operator(), sensor: sensor, received: book.Nanos(received)}
			if err := in.take(&got); err != nil {
				return fmt.Errorf("%s records %d to %d: %w", in.Lane, in.From, in.To, err)
			}
		}
		asked := map[string]bool{}
		for i := range batches {
			in := intake{tx: t, Batch: &batches[i], operator: s.Operator(), sensor: sensor}
			if key := fmt.Sprint(in.Epoch, in.Lane); !asked[key] {
				asked[key] = true
				if err := in.wanted(&got); err != nil {
					return err
				}
			}
		}
		_, err := t.Exec(`UPDATE sensors SET seen = max(coalesce(seen, 0), ?) WHERE operator = ? AND id = ?`, book.Nanos(received), s.Operator(), sensor)
		return err
	})
	if err != nil {
		return store.Receipt{}, fmt.Errorf("ingest from %s: %w", sensor, err)
	}
	return got, nil
}

// An intake takes one batch into its stream.
type intake struct {
	*tx
	*store.Batch
	read             *book.Readings
	operator, sensor string
	received         int64
	arrivals         []arrival // that are not written yet, up to many
	args             []any     // of makeMany, used again
	made             int       // alerts that are new
}

// key is the stream's key, as the first arguments of a statement.
func (in *intake) key(more ...any) []any {
	return append([]any{in.operator, in.sensor, in.Epoch, in.Lane}, more...)
}

func (in *intake) take(got *store.Receipt) error {
	high, head, err := in.stream()
	if err != nil {
		return err
	}
	again, err := in.seenBefore()
	if err != nil {
		return err
	}
	if !again {
		fresh, err := in.fresh(high)
		if err != nil {
			return err
		}
		for i, r := range in.Records {
			if fresh(r.Seq) {
				got.New++
				if err := in.keep(&in.Records[i], i); err != nil {
					return err
				}
			}
		}
		if err := in.writeAlerts(); err != nil {
			return err
		}
		if _, err := in.Exec(`UPDATE sensors SET alerts = alerts + ? WHERE operator = ? AND id = ?`, in.made, in.operator, in.sensor); err != nil {
			return err
		}
		if err := in.advance(high, head); err != nil {
			return err
		}
		high = max(high, in.To)
	}
	got.Ack[in.Lane] = max(got.Ack[in.Lane], high)
	return nil
}

// stream returns the highest number and the last hash of the batch's stream, which is made on its first batch.
func (in *intake) stream() (high uint64, head batch.Hash, err error) {
	var hash []byte
	err = in.row(`SELECT high, head FROM streams WHERE operator = ? AND sensor = ? AND epoch = ? AND lane = ?`, in.key(), &high, &hash)
	if errors.Is(err, sql.ErrNoRows) {
		_, err = in.Exec(`INSERT INTO streams (operator, sensor, epoch, lane, high, head, breaks, offset_ns) VALUES (?, ?, ?, ?, ?, ?, 0, 0)`,
			in.key(in.Base-1, head[:])...)
		return in.Base - 1, head, err
	}
	copy(head[:], hash)
	return high, head, err
}

// seenBefore says whether this very envelope was taken before. Another one that claims the same numbers is an error.
func (in *intake) seenBefore() (bool, error) {
	var lo, hi uint64
	var hash []byte
	err := in.row(`SELECT lo, hi, hash FROM envelopes WHERE operator = ? AND sensor = ? AND epoch = ? AND lane = ? AND hi >= ? ORDER BY hi LIMIT 1`,
		in.key(in.From), &lo, &hi, &hash)
	if errors.Is(err, sql.ErrNoRows) || err == nil && lo > in.To {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if lo == in.From && hi == in.To && bytes.Equal(hash, in.Hash[:]) {
		return true, nil
	}
	return false, store.ErrForked
}

// fresh returns what tells new records from known ones: a record is new above high and inside a gap. It takes the
// batch's numbers out of the gaps.
func (in *intake) fresh(high uint64) (func(seq uint64) bool, error) {
	if in.From > high+1 {
		if err := in.gap(high+1, in.From-1); err != nil {
			return nil, err
		}
	}
	var filled []store.Gap
	for from := in.From; from <= min(in.To, high); {
		var lo, hi uint64
		err := in.row(`SELECT lo, hi FROM gaps WHERE operator = ? AND sensor = ? AND epoch = ? AND lane = ? AND hi >= ? AND lo <= ? ORDER BY lo LIMIT 1`,
			in.key(from, in.To), &lo, &hi)
		if errors.Is(err, sql.ErrNoRows) {
			break
		}
		if err != nil {
			return nil, err
		}
		if _, err := in.Exec(`DELETE FROM gaps WHERE operator = ? AND sensor = ? AND epoch = ? AND lane = ? AND lo = ?`, in.key(lo)...); err != nil {
			return nil, err
		}
		if lo < in.From {
			if err := in.gap(lo, in.From-1); err != nil {
				return nil, err
			}
		}
		if hi > in.To {
			if err := in.gap(in.To+1, hi); err != nil {
				return nil, err
			}
		}
		filled = append(filled, store.Gap{From: lo, To: hi})
		from = hi + 1
	}
	return func(seq uint64) bool {
		if seq > high {
			return true
		}
		for _, g := range filled {
			if seq >= g.From && seq <= g.To {
				return true
			}
		}
		return false
	}, nil
}

func (in *intake) gap(lo, hi uint64) error {
	_, err := in.Exec(`INSERT INTO gaps (operator, sensor, epoch, lane, lo, hi) VALUES (?, ?, ?, ?, ?, ?)`, in.key(lo, hi)...)
	return err
}

// advance records the envelope and, if it is the newest, makes it the stream's head.
func (in *intake) advance(high uint64, head batch.Hash) error {
	_, err := in.Exec(`INSERT INTO envelopes (operator, sensor, epoch, lane, hi, lo, hash, received) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		in.key(in.To, in.From, in.Hash[:], in.received)...)
	if err != nil || in.To <= high {
		return err
	}
	broken := 0
	if in.Prev != head {
		broken = 1
	}
	_, err = in.Exec(`UPDATE streams SET high = ?5, head = ?6, breaks = breaks + ?7, offset_ns = ?8 WHERE operator = ?1 AND sensor = ?2 AND epoch = ?3 AND lane = ?4`,
		in.key(in.To, in.Hash[:], broken, in.received-book.Nanos(in.Sealed))...)
	return err
}

// wanted appends the gaps of the batch's stream.
func (in *intake) wanted(got *store.Receipt) error {
	q, err := in.stmt(`SELECT lo, hi FROM gaps WHERE operator = ? AND sensor = ? AND epoch = ? AND lane = ? ORDER BY lo LIMIT ?`)
	if err != nil {
		return err
	}
	rows, err := q.Query(in.key(maxWant - min(len(got.Want), maxWant))...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		g := store.Gap{Epoch: in.Epoch, Lane: in.Lane}
		if err := rows.Scan(&g.From, &g.To); err != nil {
			return err
		}
		got.Want = append(got.Want, g)
	}
	return rows.Err()
}

// keep stores one new record, the i-th of its batch, by its kind. A record that cannot be read is kept as it is: a sensor must never be stuck
// on one that its collector does not understand.
func (in *intake) keep(r *batch.Record, i int) error {
	switch r.Kind {
	case batch.KindAlert:
		read := in.read.At(i)
		if read.Err != nil {
			return in.record(r, read.Err.Error())
		}
		return in.arrive(&read.Alert, r.Body)
	case batch.KindHealth:
		_, err := in.Exec(`UPDATE sensors SET health = ? WHERE operator = ? AND id = ?`, []byte(r.Body), in.operator, in.sensor)
		return err
	case batch.KindLoss:
		var loss batch.Loss
		if err := json.Unmarshal(r.Body, &loss); err != nil {
			return in.record(r, err.Error())
		}
		if _, err := in.Exec(`UPDATE sensors SET lost = lost + ? WHERE operator = ? AND id = ?`, int64(loss.Count), in.operator, in.sensor); err != nil {
			return err
		}
	}
	return in.record(r, "")
}

func (in *intake) record(r *batch.Record, fault string) error {
	n, err := in.Count(in.operator, "record", 0)
	if err != nil {
		return err
	}
	_, err = in.Exec(`INSERT INTO records (operator, n, sensor, epoch, lane, seq, kind, received, fault, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		in.operator, n, in.sensor, in.Epoch, in.Lane, r.Seq, r.Kind, in.received, fault, []byte(r.Body))
	return err
}
