package history

import (
	"database/sql"
	"encoding/json"
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
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/testdata/need"
)

const operator = "north"

// makeAlerts is the statement that makes alerts of NUMBERS n as intake would write them, in words that differ by engine. One in
// a thousand is critical, the title of one in a hundred thousand has a needle in it; there are 200 sensors, 60 rules and some
// hosts. TestHistory holds the columns against the bodies.
const makeAlerts = `
INSERT INTO alerts (operator, id, arrived, updated, sensor, rule, severity, first, last, count, proto, client, server, title, incident, status, status_by, tlp, body)
SELECT 'north', 'alert-' || n, at, at, 'sensor-' || (n % 200), rule, severity, at, at, 1, proto, client, server, title, incident, CASE WHEN n % 10 = 1 THEN 'new' ELSE 'closed' END, '', '',
	CAST('{"id":"alert-' || n || '","rule":"' || rule || '","title":"' || title || '","severity":"' ||
		CASE severity WHEN 0 THEN 'notice' WHEN 1 THEN 'low' WHEN 2 THEN 'medium' WHEN 3 THEN 'high' ELSE 'critical' END || '","techniques":["T0836"],"first":"' || STAMP || '",' ||
		'"last":"' || STAMP || '","count":1,"client":"' || client || '","server":"' || server || '","proto":"' || proto || '","score":{"impact":0.5,"novelty":1,"confidence":0.9}' ||
		CASE WHEN incident = '' THEN '' ELSE ',"incident":"' || incident || '"' END || '}' AS BYTES)
FROM (SELECT n, 1700000000000000000 + n * 10000000000 AS at, 'rule-' || (n % 60) AS rule, CASE WHEN n % 1000 = 7 THEN 4 WHEN n % 50 = 3 THEN 3 ELSE n % 3 END AS severity,
	CASE n % 3 WHEN 0 THEN 'modbus' WHEN 1 THEN 'dnp3' ELSE 'iec104' END AS proto, '10.' || (n % 7) || '.' || (n % 50) || '.' || (n % 250) || ':40000' AS client, '10.0.1.' || (n % 90) || ':502' AS server,
	'Host 10.' || (n % 7) || '.' || (n % 50) || '.' || (n % 250) || ' wrote register ' || (n % 5000) || ' of 10.0.1.' || (n % 90) ||
	CASE WHEN n % 100000 = 77777 THEN ', a needle' ELSE ', which it never did before' END AS title, CASE WHEN n % 40 < 5 THEN 'incident-' || (n / 40) ELSE '' END AS incident FROM NUMBERS) a`

// in writes statements in the words of an engine: where numbers come from, what bytes are called, and how at is written as a
// time of JSON.
func in(statements, numbers, bytes, stamp string) string {
	return strings.NewReplacer("NUMBERS", numbers, "BYTES", bytes, "STAMP", stamp).Replace(statements)
}

// A filled store is one of an engine that can be given more alerts.
type filled struct {
	name string
	store.Store
	book   book.Book
	alerts int
	add    func(t testing.TB, statement string, from, to int) // runs one of NUMBERS with from to to
	read   func(t testing.TB, s book.Statement) (pages int)   // how many of the database's pages a statement reads; may be nil
}

// grow fills the store up to n alerts.
func (f *filled) grow(t testing.TB, n int) {
	const portion = 200_000
	for f.alerts < n {
		to := min(f.alerts+portion, n)
		f.add(t, makeAlerts, f.alerts, to-1)
		f.alerts = to
	}
}

// faithful holds that the newest rows are what intake would have made of their bodies.
func faithful(t *testing.T, st *filled, sc store.Scope) {
	type row struct {
		ID, Rule                               string
		Severity                               rules.Severity
		First, Last, Count                     int64
		Proto, Client, Server, Title, Incident string
	}
	n := 0
	_, err := book.List(t.Context(), st.book.Reader(sc), `SELECT id, rule, severity, first, last, count, proto, client, server, title, incident, body FROM alerts WHERE operator = ? ORDER BY arrived DESC LIMIT 1000`,
		[]any{operator}, func(scan func(...any) error) (r row, err error) {
			var body []byte
			if err := scan(&r.ID, &r.Rule, &r.Severity, &r.First, &r.Last, &r.Count, &r.Proto, &r.Client, &r.Server, &r.Title, &r.Incident, &body); err != nil {
				return r, err
			}
			var a rules.Alert
			if err := json.Unmarshal(body, &a); err != nil {
				return r, err
			}
			if want := (row{a.ID, a.Rule, a.Severity, book.Nanos(a.First), book.Nanos(a.Last), int64(a.Count), a.Proto, a.Client, a.Server, a.Title, a.Incident}); r != want {
				t.Errorf("%s: a row of\n%+v, its body says\n%+v", st.name, r, want)
			}
			n++
			return r, nil
		})
	if err != nil || n != 1000 {
		t.Errorf("%s: %d rows, %v", st.name, n, err)
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
	return &filled{name: "SQLite", Store: db, book: db.Book, add: func(t testing.TB, statement string, from, to int) {
		_, err := raw.Exec("WITH RECURSIVE numbers(n) AS (SELECT ? UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)"+in(statement, "numbers", "BLOB", "strftime('%Y-%m-%dT%H:%M:%SZ', at / 1000000000, 'unixepoch')"), from, to)
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
	return &filled{name: "PostgreSQL", Store: db, book: db.Book, add: func(t testing.TB, statement string, from, to int) {
		c.SQL(name, "SET roje.operator = '"+operator+"'; "+in(statement, fmt.Sprintf("generate_series(%d::bigint, %d::bigint) n", from, to), "bytea", `to_char(to_timestamp(at / 1000000000) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')`))
		c.SQL(name, "VACUUM ANALYZE "+strings.Fields(statement)[2])
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
