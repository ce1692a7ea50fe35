package sqlite

import (
	"testing"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/book"
	"github.com/roje-ot/roje/collector/store/storetest"
	"github.com/roje-ot/roje/rules"
)

// BenchmarkIngest measures durable intake (synchronous=FULL) beside SQLite taking the same rows into the same table with the
// same indexes: see storetest.Bench.
func BenchmarkIngest(b *testing.B) {
	open := func() *DB {
		db, err := Open(b.TempDir())
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { db.Close() })
		return db
	}
	raw, sc := open(), storetest.For(b, "north")
	storetest.Bench(b, open(), func(in *store.Batch, read []rules.Alert) func() error {
		rows := make([][]any, len(read))
		for i, a := range read {
			rows[i] = []any{"north", a.ID, int64(in.Records[i].Seq), int64(1), "s1", a.Rule, int64(a.Severity), book.Nanos(a.First), book.Nanos(a.Last), int64(a.Count),
				a.Proto, a.Client, a.Server, a.Title, a.Incident, []byte(in.Records[i].Body)}
		}
		return func() error {
			return raw.change(sc, func(t *tx) error {
				for _, row := range rows {
					if _, err := t.Exec(`INSERT INTO alerts (operator, id, arrived, updated, sensor, rule, severity, first, last, count, proto, client, server, title, incident,
						status, status_by, tlp, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'new', '', '', ?)`, row...); err != nil {
						return err
					}
				}
				return nil
			})
		}
	})
}
