package postgres

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/book"
	"github.com/roje-ot/roje/collector/store/storetest"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/testdata/need"
)

// BenchmarkIngest measures durable intake (fsync on) beside the server taking the same rows by COPY into the same table with
// the same indexes, as the superuser, whom row-level security does not bind: see storetest.Bench.
func BenchmarkIngest(b *testing.B) {
	c := need.Postgres(b, "fsync = on", "max_wal_size = '4GB'", "checkpoint_timeout = '1h'", "shared_buffers = '256MB'")
	name, beside := c.Database(), c.Database()
	db := open(b, c, name)
	defer db.Close()
	open(b, c, beside).Close() // makes the tables
	c.SQL(beside, "ALTER TABLE alert_rows DROP CONSTRAINT of_operator")
	raw, err := pgx.Connect(b.Context(), c.URL("postgres", beside))
	if err != nil {
		b.Fatal(err)
	}
	defer raw.Close(b.Context())
	storetest.Bench(b, db, backends(b, raw.PgConn().PID()), func(in *store.Batch, read []rules.Alert) func() error {
		rows := rawRows(in, read)
		return func() error {
			if _, err := raw.PgConn().Exec(b.Context(), "BEGIN").ReadAll(); err != nil {
				return err
			}
			if _, err := raw.PgConn().CopyFrom(b.Context(), bytes.NewReader(rows), `COPY alert_rows (operator, arrived, updated, sensor, status, status_by, tlp, id, rule, severity,
				first, last, count, proto, client, server, title, incident, body) FROM STDIN (FORMAT binary)`); err != nil {
				return err
			}
			_, err := raw.PgConn().Exec(b.Context(), "COMMIT").ReadAll()
			return err
		}
	})
}

// backends are the processes of the server that has the one of pid among them.
func backends(b *testing.B, pid uint32) func() []string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, parent, _ := strings.Cut(string(text), "PPid:")
	server := strings.Fields(parent)[0]
	return func() []string {
		children, err := os.ReadFile("/proc/" + server + "/task/" + server + "/children")
		if err != nil {
			b.Fatal(err)
		}
		return strings.Fields(string(children))
	}
}

// rawRows writes the rows of a batch as COPY takes them.
func rawRows(in *store.Batch, read []rules.Alert) []byte {
	rows := []byte("PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00") // signature, no flags, no extension
	bytes := func(v []byte) { rows = append(binary.BigEndian.AppendUint32(rows, uint32(len(v))), v...) }
	text := func(all ...string) {
		for _, v := range all {
			bytes([]byte(v))
		}
	}
	number := func(all ...int64) {
		for _, v := range all {
			bytes(binary.BigEndian.AppendUint64(nil, uint64(v)))
		}
	}
	for i, a := range read {
		rows = append(rows, 0, 19)
		text("north")
		number(int64(in.Records[i].Seq), 1)
		text("s1", "new", "", "", a.ID, a.Rule)
		number(int64(a.Severity), book.Nanos(a.First), book.Nanos(a.Last), int64(a.Count))
		text(a.Proto, a.Client, a.Server, a.Title, a.Incident)
		bytes(in.Records[i].Body)
	}
	return append(rows, 0xff, 0xff)
}
