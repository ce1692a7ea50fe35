package sqlite

import (
	"fmt"
	"testing"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/book"
	"github.com/roje-ot/roje/collector/store/storetest"
	"github.com/roje-ot/roje/rules"
)

// BenchmarkIngest measures durable intake (synchronous=FULL) beside SQLite taking the same rows into the same table with the
// same indexes, as fast as it takes them: by the statement of many rows, whose arguments are made beforehand. See
// storetest.Bench.
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
	storetest.Bench(b, open(), nil, func(in *store.Batch, read []rules.Alert) func() error {
		var statements [][]any
		for i, a := range read {
			if i%many == 0 {
				statements = append(statements, nil)
			}
			last := &statements[len(statements)-1]
			*last = append(*last, "north", a.ID, int64(in.Records[i].Seq), int64(1), "s1", a.Rule, int64(a.Severity), book.Nanos(a.First), book.Nanos(a.Last), int64(a.Count),
				a.Proto, a.Client, a.Server, a.Title, a.Incident, []byte(in.Records[i].Body))
		}
		return func() error {
			return raw.change(sc, func(t *tx) error {
				for _, args := range statements {
					if n, err := t.Exec(makeMany, args...); err != nil || n != many {
						return fmt.Errorf("%d of %d rows: %w", n, many, err)
					}
				}
				return nil
			})
		}
	})
}
