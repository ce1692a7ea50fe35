package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/book"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/batch"
)

const maxWant = 100

// Ingest implements store.Intake. Two collectors may be given the same sensor's batches at the same time: its streams'
// rows are locked from the first look at them to the commit.
func (db *DB) Ingest(ctx context.Context, s store.Scope, sensor string, batches []store.Batch, received time.Time) (store.Receipt, error) {
	if err := s.Check(); err != nil {
		return store.Receipt{}, err
	}
	read := book.ReadAll(batches)
	defer read.Wait()
	at := book.Nanos(received)
	got, err := db.take(ctx, s, sensor, batches, read, at)
	if code(err) == "23514" { // there is no partition for the day: another collector has dropped it as it was empty
		db.mu.Lock()
		delete(db.days, dayName(at))
		db.mu.Unlock()
		got, err = db.take(ctx, s, sensor, batches, read, at)
	}
	if err != nil {
		return store.Receipt{}, fmt.Errorf("ingest from %s: %w", sensor, err)
	}
	return got, nil
}

// take is Ingest with the alerts read.
func (db *DB) take(ctx context.Context, s store.Scope, sensor string, batches []store.Batch, read book.AllReadings, at int64) (got store.Receipt, err error) {
	if err := db.makeDay(ctx, at); err != nil {
		return got, err
	}
	err = db.change(ctx, s, func(t *tx) error {
		in := intake{tx: t, operator: s.Operator(), sensor: sensor, received: at, streams: map[streamKey]*stream{}}
		in.got = store.Receipt{Ack: map[batch.Lane]uint64{}}
		if err := in.open(batches, read); err != nil {
			return err
		}
		for i := range batches {
			if err := in.take(&batches[i], read[i], in.known[i]); err != nil {
				return fmt.Errorf("%s records %d to %d: %w", batches[i].Lane, batches[i].From, batches[i].To, err)
			}
		}
		if err := in.write(); err != nil {
			return err
		}
		got = in.got
		return nil
	})
	return got, err
}

// An intake takes the batches of one call.
type intake struct {
	*tx
	operator, sensor string
	received         int64
	keys             []streamKey // of streams, in the order in which they are locked
	streams          map[streamKey]*stream
	known            []*claim // by batch: the envelope in the database that it meets, or nil
	arrived          int64    // the operator's counter of arrivals, locked
	there            map[string]*present
	got              store.Receipt

	alerts  []arrival
	records []record
	health  []byte
	lost    int64
}

// An arrival is an alert that a fresh record brought; a record is one that is kept as it is.
type arrival struct {
	alert *rules.Alert
	body  []byte
}

type record struct {
	*batch.Record
	streamKey
	fault string
}

// open locks the streams of the batches and reads what is known of them, and of the alerts with these ids. What is not there
// yet is made first.
func (in *intake) open(batches []store.Batch, read book.AllReadings) error {
	bases := map[streamKey]uint64{}
	for i := range batches {
		k := streamKey{batches[i].Epoch, batches[i].Lane}
		if _, ok := bases[k]; !ok {
			in.keys, bases[k] = append(in.keys, k), batches[i].Base
		}
	}
	sort.Slice(in.keys, func(i, j int) bool { // all take the locks in one order
		a, b := in.keys[i], in.keys[j]
		return a.epoch < b.epoch || a.epoch == b.epoch && a.lane < b.lane
	})
	var ids []string
	for i := range read {
		for j := range batches[i].Records {
			if a := &read[i].At(j).Alert; a.ID != "" {
				a.ID = plain(a.ID)
				ids = append(ids, a.ID)
			}
		}
	}
	lacks, err := in.ask(batches, ids)
	if err != nil || !lacks {
		return err
	}
	var work pgx.Batch
	for _, k := range in.keys {
		work.Queue(`INSERT INTO streams (operator, sensor, epoch, lane, high, head, breaks, offset_ns) VALUES ($1, $2, $3, $4, $5, $6, 0, 0) ON CONFLICT DO NOTHING`,
			in.operator, in.sensor, k.epoch, int64(k.lane), int64(bases[k]-1), make([]byte, len(batch.Hash{})))
	}
	work.Queue(`INSERT INTO counters (operator, name, value) VALUES ($1, 'arrived', 0) ON CONFLICT DO NOTHING`, in.operator)
	if err := in.SendBatch(in.ctx, &work).Close(); err != nil {
		return err
	}
	_, err = in.ask(batches, ids)
	return err
}

// ask is the part of open that reads; lacks says that a row is not there which has to be.
func (in *intake) ask(batches []store.Batch, ids []string) (lacks bool, err error) {
	var ask pgx.Batch
	one := func(row pgx.Row, into ...any) error {
		err := row.Scan(into...)
		if errors.Is(err, pgx.ErrNoRows) {
			lacks, err = true, nil
		}
		return err
	}
	for _, k := range in.keys {
		st := &stream{}
		in.streams[k] = st
		ask.Queue(`SELECT high, head, breaks, offset_ns FROM streams WHERE operator = $1 AND sensor = $2 AND epoch = $3 AND lane = $4 FOR UPDATE`,
			in.operator, in.sensor, k.epoch, int64(k.lane)).QueryRow(func(row pgx.Row) error {
			var head []byte
			err := one(row, &st.high, &head, &st.breaks, &st.offset)
			copy(st.head[:], head)
			return err
		})
		ask.Queue(`SELECT lo, hi FROM gaps WHERE operator = $1 AND sensor = $2 AND epoch = $3 AND lane = $4 ORDER BY lo`,
			in.operator, in.sensor, k.epoch, int64(k.lane)).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				g := store.Gap{Epoch: k.epoch, Lane: k.lane}
				if err := rows.Scan(&g.From, &g.To); err != nil {
					return err
				}
				st.was = append(st.was, g)
			}
			st.gaps = slices.Clone(st.was)
			return rows.Err()
		})
	}
	in.known = make([]*claim, len(batches))
	for i := range batches {
		b := &batches[i]
		ask.Queue(`SELECT lo, hi, hash FROM envelopes WHERE operator = $1 AND sensor = $2 AND epoch = $3 AND lane = $4 AND hi >= $5 ORDER BY hi LIMIT 1`,
			in.operator, in.sensor, b.Epoch, int64(b.Lane), int64(b.From)).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				var c claim
				var hash []byte
				if err := rows.Scan(&c.lo, &c.hi, &hash); err != nil {
					return err
				}
				if copy(c.hash[:], hash); c.lo <= b.To {
					in.known[i] = &c
				}
			}
			return rows.Err()
		})
	}
	if in.there = map[string]*present{}; len(ids) > 0 {
		ask.Queue(`SELECT value FROM counters WHERE operator = $1 AND name = 'arrived' FOR UPDATE`, in.operator).QueryRow(func(row pgx.Row) error { return one(row, &in.arrived) })
		in.look(&ask, ids)
	}
	err = in.SendBatch(in.ctx, &ask).Close()
	return lacks, err
}

// take takes one batch into its stream, in memory. met is the envelope in the database that it meets, or nil.
func (in *intake) take(b *store.Batch, read *book.Readings, met *claim) error {
	st := in.streams[streamKey{b.Epoch, b.Lane}]
	again, err := st.seenBefore(b, met)
	if err != nil {
		return err
	}
	if !again {
		fresh := st.fresh(b)
		for i := range b.Records {
			if fresh(b.Records[i].Seq) {
				in.got.New++
				in.keep(b, &b.Records[i], read.At(i))
			}
		}
		st.advance(b, in.received)
		in.later(`INSERT INTO envelopes (operator, sensor, epoch, lane, hi, lo, hash, received) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
			b.Epoch, int64(b.Lane), int64(b.To), int64(b.From), b.Hash[:], in.received)
	}
	in.got.Ack[b.Lane] = max(in.got.Ack[b.Lane], st.high)
	return nil
}

// keep sorts one new record by its kind. A record that cannot be read is kept as it is: a sensor must never be stuck on
// one that its collector does not understand.
func (in *intake) keep(b *store.Batch, r *batch.Record, read *book.Reading) {
	fault := ""
	switch r.Kind {
	case batch.KindAlert:
		if read.Err == nil {
			in.alerts = append(in.alerts, arrival{&read.Alert, r.Body})
			return
		}
		fault = read.Err.Error()
	case batch.KindHealth:
		in.health = r.Body
		return
	case batch.KindLoss:
		var loss batch.Loss
		if err := json.Unmarshal(r.Body, &loss); err != nil {
			fault = err.Error()
		} else {
			in.lost += int64(loss.Count)
		}
	}
	in.records = append(in.records, record{r, streamKey{b.Epoch, b.Lane}, fault})
}

// later queues a statement whose first arguments are the operator and the sensor.
func (in *intake) later(query string, args ...any) {
	in.work.Queue(query, append([]any{in.operator, in.sensor}, args...)...)
}

// write queues what the batches have changed.
func (in *intake) write() error {
	made, err := in.writeAlerts()
	if err != nil {
		return err
	}
	if err := in.writeRecords(); err != nil {
		return err
	}
	for _, k := range in.keys {
		st := in.streams[k]
		in.got.Want = append(in.got.Want, st.gaps[:min(len(st.gaps), maxWant-len(in.got.Want))]...)
		for _, g := range st.was {
			if !slices.Contains(st.gaps, g) {
				in.later(`DELETE FROM gaps WHERE operator = $1 AND sensor = $2 AND epoch = $3 AND lane = $4 AND lo = $5`, k.epoch, int64(k.lane), int64(g.From))
			}
		}
		for _, g := range st.gaps {
			if !slices.Contains(st.was, g) {
				in.later(`INSERT INTO gaps (operator, sensor, epoch, lane, lo, hi) VALUES ($1, $2, $3, $4, $5, $6)`, k.epoch, int64(k.lane), int64(g.From), int64(g.To))
			}
		}
		if len(st.claimed) > 0 {
			in.later(`UPDATE streams SET high = $5, head = $6, breaks = $7, offset_ns = $8 WHERE operator = $1 AND sensor = $2 AND epoch = $3 AND lane = $4`,
				k.epoch, int64(k.lane), int64(st.high), st.head[:], st.breaks, st.offset)
		}
	}
	in.later(`UPDATE sensors SET seen = greatest(coalesce(seen, 0), $3), alerts = alerts + $4, lost = lost + $5, health = coalesce($6, health) WHERE operator = $1 AND id = $2`,
		in.received, made, in.lost, in.health)
	return nil
}

func (in *intake) writeRecords() error {
	if len(in.records) == 0 {
		return nil
	}
	var last int64
	err := in.QueryRow(in.ctx, `INSERT INTO counters (operator, name, value) VALUES ($1, 'record', $2)
		ON CONFLICT (operator, name) DO UPDATE SET value = counters.value + $2 WHERE counters.operator = $1 RETURNING value`, in.operator, len(in.records)).Scan(&last)
	for i, r := range in.records {
		in.later(`INSERT INTO records (operator, sensor, n, epoch, lane, seq, kind, received, fault, body) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
			last-int64(len(in.records)-1-i), r.epoch, int64(r.lane), int64(r.Seq), plain(r.Kind), in.received, plain(r.fault), []byte(r.Body))
	}
	return err
}
