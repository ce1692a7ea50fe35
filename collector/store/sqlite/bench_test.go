package sqlite

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/book"
	"github.com/roje-ot/roje/collector/store/storetest"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/batch"
)

// BenchmarkIngest measures durable intake (synchronous=FULL) in batches of 500 alerts. "raw" is SQLite taking the same rows
// into the same table with the same indexes, a commit for each batch, with nothing else done: what their bodies say was
// read before. The two take turns, batch by batch, so that what else the machine does meets both.
func BenchmarkIngest(b *testing.B) {
	const size = 500
	open := func() *DB {
		db, err := Open(b.TempDir())
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { db.Close() })
		return db
	}
	db, raw, sc, next, prev := open(), open(), storetest.For(b, "north"), uint64(1), batch.Hash{}
	var spent [2]time.Duration
	timed := func(i int, do func() error) {
		began := time.Now()
		if err := do(); err != nil {
			b.Fatal(err)
		}
		spent[i] += time.Since(began)
	}
	turn := func() {
		in := alerts(next, size, prev)
		rows := rawRows(b, &in)
		timed(0, func() error {
			_, err := db.Ingest(b.Context(), sc, "s1", []store.Batch{in}, storetest.Start)
			return err
		})
		timed(1, func() error {
			return raw.change(sc, func(t *tx) error {
				for _, row := range rows {
					if _, err := t.Exec(`INSERT INTO alerts (operator, id, arrived, updated, sensor, rule, severity, first, last, count, proto, client, server, title, incident,
						status, status_by, tlp, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'new', '', '', ?)`, row...); err != nil {
						return err
					}
				}
				return nil
			})
		})
		next, prev = in.To+1, in.Hash
	}
	turn()
	spent = [2]time.Duration{}
	for b.Loop() {
		turn()
	}
	b.ReportMetric(float64(b.N)*size/spent[0].Seconds(), "alerts/s")
	b.ReportMetric(float64(b.N)*size/spent[1].Seconds(), "raw/s")
	b.ReportMetric(spent[1].Seconds()/spent[0].Seconds(), "of-raw")
}

// rawRows are the rows of a batch.
func rawRows(t testing.TB, in *store.Batch) (rows [][]any) {
	for i := range in.Records {
		r := &in.Records[i]
		var a rules.Alert
		if err := json.Unmarshal(r.Body, &a); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, []any{"north", a.ID, int64(r.Seq), int64(1), "s1", a.Rule, int64(a.Severity), book.Nanos(a.First), book.Nanos(a.Last), int64(a.Count),
			a.Proto, a.Client, a.Server, a.Title, a.Incident, []byte(r.Body)})
	}
	return rows
}
