package history

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite" // as the store has it

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/book"
	"github.com/roje-ot/roje/collector/store/postgres"
	"github.com/roje-ot/roje/collector/store/sqlite"
	"github.com/roje-ot/roje/collector/store/storetest"
	"github.com/roje-ot/roje/testdata/need"
)

const operator = "north"

// makeAlerts is the statement that makes alerts of NUMBERS n, in words that differ by engine. One in a thousand is critical,
// the title of one in a hundred thousand has a needle in it; there are 200 sensors, 60 rules and some hosts.
const makeAlerts = `
INSERT INTO alerts (operator, id, arrived, updated, sensor, rule, severity, first, last, count, proto, client, server, title, incident, status, status_by, tlp, body)
SELECT 'north', 'alert-' || n, at, at, 'sensor-' || (n % 200), 'rule-' || (n % 60), CASE WHEN n % 1000 = 7 THEN 4 WHEN n % 50 = 3 THEN 3 ELSE n % 3 END, at, at, 1,
	CASE n % 3 WHEN 0 THEN 'modbus' WHEN 1 THEN 'dnp3' ELSE 'iec104' END, '10.' || (n % 7) || '.' || (n % 50) || '.' || (n % 250) || ':40000', '10.0.1.' || (n % 90) || ':502', title,
	CASE WHEN n % 40 < 5 THEN 'incident-' || (n / 40) ELSE '' END, CASE WHEN n % 10 = 1 THEN 'new' ELSE 'closed' END, '', '',
	CAST('{"id":"alert-' || n || '","rule":"rule-' || (n % 60) || '","title":"' || title || '","severity":"low","techniques":["T0836"],"first":"2026-03-01T08:00:00Z",' ||
		'"last":"2026-03-01T08:00:00Z","count":1,"proto":"modbus","score":{"impact":0.5,"novelty":1,"confidence":0.9}}' AS BYTES)
FROM (SELECT n, 1700000000000000000 + n * 10000000000 AS at, 'Host 10.' || (n % 7) || '.' || (n % 50) || '.' || (n % 250) || ' wrote register ' || (n % 5000) || ' of 10.0.1.' || (n % 90) ||
	CASE WHEN n % 100000 = 77777 THEN ', a needle' ELSE ', which it never did before' END AS title FROM NUMBERS) a`

func alertsOf(numbers, bytes string) string {
	return strings.NewReplacer("NUMBERS", numbers, "BYTES", bytes).Replace(makeAlerts)
}

// A filled store is one of an engine that can be given more alerts.
type filled struct {
	name string
	store.Store
	book   book.Book
	alerts int
	add    func(t testing.TB, from, to int)
	read   func(t testing.TB, s book.Statement) (pages int) // how many of the database's pages a statement reads; may be nil
}

// grow fills the store up to n alerts.
func (f *filled) grow(t testing.TB, n int) {
	const portion = 200_000
	for f.alerts < n {
		to := min(f.alerts+portion, n)
		f.add(t, f.alerts, to-1)
		f.alerts = to
	}
}

// fleet puts in what belongs to the alerts.
func fleet(t testing.TB, st store.Store) store.Scope {
	sc := storetest.For(t, operator)
	for i := range 200 {
		id := fmt.Sprint("sensor-", i)
		k := store.Token{ID: id, Created: storetest.Start, Expires: storetest.Start.AddDate(1, 0, 0)}
		err := st.CreateToken(t.Context(), sc, k)
		if err == nil {
			err = st.Enrol(t.Context(), sc, id, k.Secret, store.Sensor{ID: id, Name: "Site " + id, Enrolled: storetest.Start}, store.Cert{Sensor: id, Serial: id, Key: id, Public: []byte{1}, Issued: storetest.Start, Expires: storetest.Start}, storetest.Start)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return sc
}

func inSQLite(t testing.TB) *filled {
	dir := t.TempDir()
	db, err := sqlite.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	raw, err := sql.Open("sqlite", "file:"+filepath.Join(dir, sqlite.Folder, operator+".db")+"?_pragma=synchronous(OFF)&_pragma=busy_timeout(60000)&_pragma=cache_size(-500000)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close() })
	raw.SetMaxOpenConns(1)
	return &filled{name: "SQLite", Store: db, book: db.Book, add: func(t testing.TB, from, to int) {
		_, err := raw.Exec("WITH RECURSIVE numbers(n) AS (SELECT ? UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)"+alertsOf("numbers", "BLOB"), from, to)
		if err != nil {
			t.Fatal(err)
		}
	}}
}

func inPostgres(t testing.TB) *filled {
	c := need.Postgres(t, "max_wal_size = '4GB'", "checkpoint_timeout = '1h'", "shared_buffers = '256MB'", "synchronous_commit = off")
	name := c.Database()
	db, err := postgres.Open(t.Context(), c.URL("roje", name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return &filled{name: "PostgreSQL", Store: db, book: db.Book, add: func(t testing.TB, from, to int) {
		c.SQL(name, alertsOf(fmt.Sprintf("generate_series(%d::bigint, %d::bigint) n", from, to), "bytea"))
		c.SQL(name, "VACUUM ANALYZE alerts")
	}, read: func(t testing.TB, s book.Statement) (pages int) {
		lines, err := book.List(t.Context(), db.Reader(storetest.For(t, operator)), "EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF) "+s.Query, s.Args, func(scan func(...any) error) (line string, err error) {
			err = scan(&line)
			return line, err
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range lines { // the first that says so is of the whole
			if _, after, found := strings.Cut(line, "Buffers: shared"); found {
				for _, field := range strings.Fields(after) {
					var n int
					if _, err := fmt.Sscanf(strings.ReplaceAll(field, "=", " "), "hit %d", &n); err == nil {
						pages += n
					} else if _, err := fmt.Sscanf(strings.ReplaceAll(field, "=", " "), "read %d", &n); err == nil {
						pages += n
					}
				}
				break
			}
		}
		return pages
	}}
}
