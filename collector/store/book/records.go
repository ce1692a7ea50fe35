package book

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/batch"
)

// A Reading is what the body of an alert's record says.
type Reading struct {
	Alert rules.Alert
	Err   error
}

// portion is how many records are read at a time.
const portion = 64

// Readings is what the alerts among some records say. They are read, in order and on several cores, while the writer works
// through what is read already: reading takes a tenth of the time that writing takes (2026-11).
type Readings struct {
	read    []Reading
	done    []chan struct{} // by portion, closed when it is read
	next    atomic.Int64
	workers sync.WaitGroup
}

// ReadAlerts begins to read the records that are alerts; the other Readings are zero. Call Wait before the records are
// used for something else.
func ReadAlerts(records []batch.Record) *Readings {
	r := &Readings{read: make([]Reading, len(records)), done: make([]chan struct{}, (len(records)+portion-1)/portion)}
	for i := range r.done {
		r.done[i] = make(chan struct{})
	}
	for range min(runtime.GOMAXPROCS(0), len(r.done)) {
		r.workers.Go(func() {
			for {
				n := int(r.next.Add(1)) - 1
				if n >= len(r.done) {
					return
				}
				for i := n * portion; i < min((n+1)*portion, len(records)); i++ {
					r.read[i].alert(&records[i])
				}
				close(r.done[n])
			}
		})
	}
	return r
}

// At is what record i says. It waits until that is read; any goroutine may call it.
func (r *Readings) At(i int) *Reading {
	<-r.done[i/portion]
	return &r.read[i]
}

// Wait waits until all is read.
func (r *Readings) Wait() { r.workers.Wait() }

// ReadAll is ReadAlerts for the records of each batch.
func ReadAll(batches []store.Batch) AllReadings {
	all := make(AllReadings, len(batches))
	for i := range batches {
		all[i] = ReadAlerts(batches[i].Records)
	}
	return all
}

// AllReadings are the Readings of some batches.
type AllReadings []*Readings

// Wait waits until all is read.
func (a AllReadings) Wait() {
	for _, r := range a {
		r.Wait()
	}
}

func (a *Reading) alert(r *batch.Record) {
	if r.Kind != batch.KindAlert {
		return
	}
	if a.Err = read(r.Body, &a.Alert); a.Err == nil && (a.Alert.ID == "" || len(a.Alert.ID) > 200) {
		a.Err = errors.New("no id, or too long a one")
	}
}

// Streams implements store.Intake.
func (b Book) Streams(ctx context.Context, s store.Scope, sensor string) ([]store.Stream, error) {
	w, err := scopedWhere(s)
	if err != nil {
		return nil, err
	}
	if sensor != "" {
		w.and("sensor = ?", sensor)
	}
	type key struct {
		sensor, epoch string
		lane          batch.Lane
	}
	gaps := map[key][]store.Gap{}
	_, err = List(ctx, b.Reader(s), `SELECT sensor, epoch, lane, lo, hi FROM gaps `+w.String()+` ORDER BY sensor, epoch, lane, lo`, w.args, func(scan scan) (g store.Gap, err error) {
		var sensor string
		err = scan(&sensor, &g.Epoch, &g.Lane, &g.From, &g.To)
		k := key{sensor, g.Epoch, g.Lane}
		gaps[k] = append(gaps[k], g)
		return g, err
	})
	if err != nil {
		return nil, err
	}
	return List(ctx, b.Reader(s), `SELECT sensor, epoch, lane, high, head, breaks, offset_ns FROM streams `+w.String()+` ORDER BY sensor, epoch, lane`, w.args,
		func(scan scan) (st store.Stream, err error) {
			var head []byte
			err = scan(&st.Sensor, &st.Epoch, &st.Lane, &st.High, &head, &st.Breaks, &st.Offset)
			copy(st.Head[:], head)
			st.Gaps = gaps[key{st.Sensor, st.Epoch, st.Lane}]
			return st, err
		})
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
