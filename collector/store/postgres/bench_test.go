package postgres

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/book"
	"github.com/roje-ot/roje/collector/store/storetest"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/testdata/need"
)

// BenchmarkIngest measures durable intake (fsync on) in batches of 500 alerts. "raw" is the server taking the same rows by
// COPY into the same table with the same indexes, a commit for each batch, as the superuser, whom row-level security does
// not bind; with nothing else done. The two take
// turns, batch by batch, so that what else the machine does meets both.
func BenchmarkIngest(b *testing.B) {
	const size = 500
	c := need.Postgres(b, "fsync = on", "max_wal_size = '4GB'", "checkpoint_timeout = '1h'", "shared_buffers = '256MB'")
	make1 := func(from uint64, prev batch.Hash) store.Batch {
		in := store.Batch{Header: batch.Header{Sensor: "s1", Epoch: "e", Lane: batch.Routine, Base: 1, From: from, To: from + size - 1, Prev: prev}}
		in.Hash = batch.Hash{31: byte(from), 30: byte(from >> 8), 29: byte(from >> 16)}
		for i := range uint64(size) {
			in.Records = append(in.Records, alert("s1", from+i))
		}
		return in
	}
	name := c.Database()
	db, sc, next, prev := open(b, c, name), storetest.For(b, "north"), uint64(1), batch.Hash{}
	defer db.Close()
	beside := c.Database()
	open(b, c, beside).Close() // makes the tables
	raw, err := pgx.Connect(b.Context(), c.URL("postgres", beside))
	if err != nil {
		b.Fatal(err)
	}
	defer raw.Close(b.Context())
	var spent [2]time.Duration
	timed := func(i int, do func() error) {
		began := time.Now()
		if err := do(); err != nil {
			b.Fatal(err)
		}
		spent[i] += time.Since(began)
	}
	turn := func() {
		in := make1(next, prev)
		timed(0, func() error {
			_, err := db.Ingest(b.Context(), sc, "s1", []store.Batch{in}, storetest.Start)
			return err
		})
		timed(1, func() error {
			if _, err := raw.PgConn().Exec(b.Context(), "BEGIN").ReadAll(); err != nil {
				return err
			}
			if _, err := raw.PgConn().CopyFrom(b.Context(), rawRows(b, &in), `COPY alerts (operator, arrived, updated, sensor, status, status_by, tlp, id, rule, severity,
				first, last, count, proto, client, server, title, incident, body) FROM STDIN (FORMAT binary)`); err != nil {
				return err
			}
			_, err := raw.PgConn().Exec(b.Context(), "COMMIT").ReadAll()
			return err
		})
		next, prev = in.To+1, in.Hash
	}
	turn() // connects, and makes the day's partition
	spent = [2]time.Duration{}
	for b.Loop() {
		turn()
	}
	b.ReportMetric(float64(b.N)*size/spent[0].Seconds(), "alerts/s")
	b.ReportMetric(float64(b.N)*size/spent[1].Seconds(), "raw/s")
	b.ReportMetric(spent[1].Seconds()/spent[0].Seconds(), "of-raw")
}

// rawRows writes the rows of a batch as COPY takes them.
func rawRows(t testing.TB, in *store.Batch) *bytes.Buffer {
	rows := newStaging()
	for i := range in.Records {
		var a rules.Alert
		if err := json.Unmarshal(in.Records[i].Body, &a); err != nil {
			t.Fatal(err)
		}
		rows.Write([]byte{0, 19})
		rows.text("north")
		rows.number(int64(in.Records[i].Seq))
		rows.number(1)
		for _, v := range []string{"s1", "new", "", "", fmt.Sprint(a.ID), a.Rule} {
			rows.text(v)
		}
		for _, v := range []int64{int64(a.Severity), book.Nanos(a.First), book.Nanos(a.Last), int64(a.Count)} {
			rows.number(v)
		}
		for _, v := range []string{a.Proto, a.Client, a.Server, a.Title, a.Incident} {
			rows.text(v)
		}
		rows.bytes(in.Records[i].Body)
	}
	rows.end()
	return &rows.Buffer
}
