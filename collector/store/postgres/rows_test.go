package postgres

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/book"
	"github.com/roje-ot/roje/collector/store/sqlite"
	"github.com/roje-ot/roje/collector/store/storetest"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/testdata/need"
)

// TestRowLevelSecurity asks the server as the collector's role does, with statements that forget their condition: there
// are rows of the operator that was named only, whatever the table, days' partitions included, and none can be written
// or changed for another.
func TestRowLevelSecurity(t *testing.T) {
	c := need.Postgres(t)
	name := c.Database()
	db := open(t, c, name)
	defer db.Close()
	storetest.Fill(t, db)
	raw, err := pgx.Connect(t.Context(), c.URL("roje", name))
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close(t.Context())
	tables := strings.Fields(c.SQL(name, `SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.relkind IN ('r', 'p') AND a.attname = 'operator' AND c.relnamespace = 'public'::regnamespace ORDER BY 1`))
	if len(tables) != len(book.Tables)-1+2 { // all but sessions, a day, and the rows of alerts
		t.Errorf("tables kept by operator: %v", tables)
	}
	for _, table := range tables {
		if table == "alert_rows" { // without a policy: see below
			continue
		}
		whole := c.SQL(name, "SELECT count(*) FROM "+table)
		for operator, want := range map[string]string{"": "0 0", "north": "", "nobody": "0 0", "south": ""} {
			tx, err := raw.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if operator != "" {
				if _, err := tx.Exec(t.Context(), "SET LOCAL roje.operator = '"+operator+"'"); err != nil {
					t.Fatal(err)
				}
			}
			var rows, foreign int
			if err := tx.QueryRow(t.Context(), "SELECT count(*), count(*) FILTER (WHERE operator <> $1) FROM "+table, operator).Scan(&rows, &foreign); err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(rows, " ", foreign); want != "" && got != want || foreign != 0 || want == "" && fmt.Sprint(2*rows) != whole {
				t.Errorf("table %s, for operator %q: %d rows, %d of others; %s rows are there", table, operator, rows, foreign, whole)
			}
			if tag, err := tx.Exec(t.Context(), "DELETE FROM "+table+" WHERE operator <> $1", operator); err != nil || tag.RowsAffected() != 0 {
				t.Errorf("table %s: deleted %d rows of others, %v", table, tag.RowsAffected(), err)
			}
			tx.Rollback(t.Context())
		}
	}
	const row = ` (operator, id, arrived, updated, sensor, rule, severity, first, last, count, proto, client, server, title, incident, status, status_by, tlp, body)
		VALUES ('%s', 'x', 1, 1, '', '', 1, 1, 1, 1, '', '', '', '', '', '', '', '', '')`
	for _, c := range []struct{ as, statement, want string }{
		{"north", "INSERT INTO counters (operator, name, value) VALUES ('south', 'x', 1)", "42501"},
		{"north", fmt.Sprintf("INSERT INTO alerts"+row, "south"), "42501"},
		{"north", fmt.Sprintf("INSERT INTO alert_rows"+row, "south"), "23514"}, // its constraint
		{"", fmt.Sprintf("INSERT INTO alert_rows"+row, "south"), "23514"},
		{"north", fmt.Sprintf("INSERT INTO alert_rows"+row, "north"), ""},
		{"north", "SELECT id FROM alert_rows WHERE operator = 'north'", "42501"}, // not even its own
		{"north", "UPDATE alert_rows SET tlp = 'x' WHERE operator = 'north'", "42501"},
		{"north", "DELETE FROM alert_rows WHERE operator = 'north'", "42501"},
		{"north", "TRUNCATE alert_rows", "42501"},
	} {
		tx, err := raw.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if c.as != "" {
			if _, err := tx.Exec(t.Context(), "SET LOCAL roje.operator = '"+c.as+"'"); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := tx.Exec(t.Context(), c.statement); code(err) != c.want {
			t.Errorf("for %q: %s: got %v, want code %q", c.as, c.statement, err, c.want)
		}
		tx.Rollback(t.Context())
	}
	if _, err := Open(t.Context(), c.URL("postgres", name)); err == nil || !strings.Contains(err.Error(), "bypasses row-level security") {
		t.Errorf("as the superuser: got %v, want it refused", err)
	}
}

// TestKeysAndColumns holds book.Tables against what the server and SQLite have, and that every index of the server begins
// with the operator. Sessions and the list of operators are the named exceptions.
func TestKeysAndColumns(t *testing.T) {
	c := need.Postgres(t)
	name := c.Database()
	open(t, c, name).Close()
	exempt := []string{"sessions", "operators", "roje_schema"}
	for _, line := range strings.Split(c.SQL(name, `SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'`), "\n") {
		f := strings.Split(line, "|")
		if !slices.Contains(exempt, f[0]) && !regexp.MustCompile(`USING btree \(operator[,)]`).MatchString(f[2]) {
			t.Errorf("index %s of %s does not begin with the operator: %s", f[1], f[0], f[2])
		}
	}
	kinds := map[string]book.Kind{"bigint": book.Int, "text": book.Text, "bytea": book.Bytes, "boolean": book.Bool}
	have := map[string]map[string]book.Kind{}
	for _, line := range strings.Split(c.SQL(name, `SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'public'`), "\n") {
		f := strings.Split(line, "|")
		if have[f[0]] == nil {
			have[f[0]] = map[string]book.Kind{}
		}
		have[f[0]][f[1]] = kinds[f[2]]
	}
	delete(have, "operators")
	delete(have, "roje_schema")
	if !reflect.DeepEqual(have["alert_rows"], have["alerts"]) {
		t.Errorf("the rows of alerts: got %v, want %v", have["alert_rows"], have["alerts"])
	}
	delete(have, "alert_rows") // its partition
	want := map[string]map[string]book.Kind{}
	for _, table := range book.Tables {
		want[table.Name] = map[string]book.Kind{}
		for i, column := range table.Columns {
			want[table.Name][column] = table.Kinds[i]
		}
	}
	if !reflect.DeepEqual(have, want) {
		t.Errorf("PostgreSQL:\n got %v\nwant %v", have, want)
	}
	lite, err := sqlite.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer lite.Close()
	for _, table := range book.Tables {
		columns, err := book.List(t.Context(), lite.Reader(store.Scope{}), `SELECT name FROM pragma_table_info(?)`, []any{table.Name}, func(scan func(...any) error) (name string, err error) {
			err = scan(&name)
			return name, err
		})
		same := append([]string{}, table.Columns...)
		slices.Sort(same)
		slices.Sort(columns)
		if err != nil || !slices.Equal(columns, same) {
			t.Errorf("SQLite's %s: got %v, %v; want %v", table.Name, columns, err, same)
		}
	}
}

// TestPagesUseAnIndex holds that no statement of a page sorts or reads all of a table.
func TestPagesUseAnIndex(t *testing.T) {
	c := need.Postgres(t, "enable_seqscan = off", "enable_sort = off", "enable_bitmapscan = off") // the test's tables are small
	db := open(t, c, c.Database())
	defer db.Close()
	storetest.Plans(t, db.Book, func(name string, s book.Statement) {
		rows, err := book.List(t.Context(), db.Reader(storetest.For(t, "north")), "EXPLAIN "+s.Query, s.Args, func(scan func(...any) error) (line string, err error) {
			err = scan(&line)
			return line, err
		})
		if err != nil {
			t.Fatal(err)
		}
		if plan := strings.Join(rows, "\n"); !regexp.MustCompile(`Index (Only )?Scan`).MatchString(plan) || strings.Contains(plan, "Sort") || strings.Contains(plan, "Seq Scan") {
			t.Errorf("%s: %s\n%s", name, s.Query, plan)
		}
	})
}

// TestDays holds that records lie in their days' partitions, and that a day goes when nobody has a record in it.
func TestDays(t *testing.T) {
	c := need.Postgres(t)
	name := c.Database()
	db := open(t, c, name)
	defer db.Close()
	days := func() string {
		return c.SQL(name, `SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relname ~ '^records_[0-9]+$' AND relkind = 'r'`)
	}
	note := func(operator string, seq uint64, at time.Time) {
		t.Helper()
		b := store.Batch{Header: batch.Header{Sensor: "s1", Epoch: "e", Lane: batch.Vital, Base: 1, From: seq, To: seq}, Records: []batch.Record{{Seq: seq, Kind: "note", Body: []byte("1")}}}
		b.Hash[0] = byte(seq)
		if _, err := db.Ingest(t.Context(), storetest.For(t, operator), "s1", []store.Batch{b}, at); err != nil {
			t.Fatal(err)
		}
	}
	late := time.Date(2026, 3, 1, 23, 59, 59, 999999999, time.UTC)
	note("north", 1, late)
	note("north", 2, late.Add(1))
	note("south", 1, late.Add(1))
	if got := days(); got != "records_20260301 records_20260302" {
		t.Errorf("days %s", got)
	}
	forget := func(operator, want string) {
		t.Helper()
		if _, err := db.Forget(t.Context(), storetest.For(t, operator), store.Cutoff{Records: late.Add(48 * time.Hour)}); err != nil {
			t.Fatal(err)
		}
		if got := days(); got != want {
			t.Errorf("after %s has forgotten: days %q, want %q", operator, got, want)
		}
	}
	forget("north", "records_20260302") // where south still has one
	forget("south", "")
	db.days["records_20260301"] = true // as another collector remembers it
	note("north", 3, late)
	if got := days(); got != "records_20260301" {
		t.Errorf("days %s, want the one that came back", got)
	}
}
