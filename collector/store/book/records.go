package book

import (
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/batch"
)

// A Reading is what the body of an alert's record says. Bodies are read before the writer's turn, as that takes a third of
// the time (2026-11).
type Reading struct {
	Alert rules.Alert
	Err   error
}

// ReadAlerts reads the records that are alerts; the other Readings are zero. Many are read on several cores.
func ReadAlerts(records []batch.Record) []Reading {
	const portion = 64
	read := make([]Reading, len(records))
	var workers sync.WaitGroup
	var next atomic.Int64
	for range min(runtime.GOMAXPROCS(0), (len(records)+portion-1)/portion) {
		workers.Go(func() {
			for {
				to := int(next.Add(portion))
				if to-portion >= len(records) {
					return
				}
				for i := to - portion; i < min(to, len(records)); i++ {
					read[i].alert(&records[i])
				}
			}
		})
	}
	workers.Wait()
	return read
}

func (a *Reading) alert(r *batch.Record) {
	if r.Kind != batch.KindAlert {
		return
	}
	a.Err = json.Unmarshal(r.Body, &a.Alert)
	if a.Err == nil && (a.Alert.ID == "" || len(a.Alert.ID) > 200) {
		a.Err = errors.New("no id, or too long a one")
	}
}

// Streams implements store.Intake.
func (b Book) Streams(ctx context.Context, s store.Scope, sensor string) ([]store.Stream, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	streams, err := List(ctx, b.Reader(s), `SELECT epoch, lane, high, head, breaks, offset_ns FROM streams WHERE operator = ? AND sensor = ? ORDER BY epoch, lane`,
		[]any{s.Operator(), sensor}, func(scan scan) (st store.Stream, err error) {
			var head []byte
			err = scan(&st.Epoch, &st.Lane, &st.High, &head, &st.Breaks, &st.Offset)
			copy(st.Head[:], head)
			return st, err
		})
	for i := range streams {
		st := &streams[i]
		if err == nil {
			st.Gaps, err = List(ctx, b.Reader(s), `SELECT lo, hi FROM gaps WHERE operator = ? AND sensor = ? AND epoch = ? AND lane = ? ORDER BY lo`,
				[]any{s.Operator(), sensor, st.Epoch, st.Lane}, func(scan scan) (store.Gap, error) {
					g := store.Gap{Epoch: st.Epoch, Lane: st.Lane}
					return g, scan(&g.From, &g.To)
				})
		}
	}
	return streams, err
}

// Records implements store.Intake.
func (b Book) Records(ctx context.Context, s store.Scope, kind, sensor, cursor string, limit int) ([]store.Record, string, error) {
	w, err := scopedWhere(s)
	if err != nil {
		return nil, "", err
	}
	w.and("kind = ?", kind)
	if sensor != "" {
		w.and("sensor = ?", sensor)
	}
	if cursor != "" {
		at, err := ParseCursor("r", cursor, 1)
		if err != nil {
			return nil, "", err
		}
		w.and("n < ?", at[0])
	}
	type numbered struct {
		store.Record
		n int64
	}
	rows, err := List(ctx, b.Reader(s), `SELECT n, sensor, epoch, lane, seq, kind, received, fault, body FROM records `+w.String()+` ORDER BY n DESC LIMIT ?`,
		w.with(limit+1), func(scan scan) (r numbered, err error) {
			var received int64
			var body []byte
			err = scan(&r.n, &r.Sensor, &r.Epoch, &r.Lane, &r.Seq, &r.Kind, &received, &r.Fault, &body)
			r.Received, r.Body = FromNanos(received), body
			return r, err
		})
	if err != nil {
		return nil, "", err
	}
	next := ""
	if len(rows) > limit {
		rows = rows[:limit]
		next = MakeCursor("r", rows[limit-1].n)
	}
	records := make([]store.Record, len(rows))
	for i, r := range rows {
		records[i] = r.Record
	}
	return records, next, nil
}
