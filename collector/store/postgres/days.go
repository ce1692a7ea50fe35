package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/roje-ot/roje/collector/store"
)

// dayName is the partition of records that were received at a time, in Unix nanoseconds.
func dayName(received int64) string {
	return "records_" + time.Unix(0, received).UTC().Format("20060102")
}

// makeDay makes the partition of a day, unless it is there, and commits: readers and other days' writers go on beside it.
func (db *DB) makeDay(ctx context.Context, received int64) error {
	name := dayName(received)
	db.mu.Lock()
	done := db.days[name]
	db.mu.Unlock()
	if done {
		return nil
	}
	c, err := db.pool.get(ctx, "BEGIN")
	if err != nil {
		return known(err)
	}
	defer db.pool.put(c)
	if err := attachDay(ctx, c, received); err != nil {
		c.run(context.WithoutCancel(ctx), "ROLLBACK")
		return fmt.Errorf("partition %s: %w", name, known(err))
	}
	if err := c.commit(ctx); err != nil {
		return known(err)
	}
	db.mu.Lock()
	db.days[name] = true
	db.mu.Unlock()
	return nil
}

// attachDay does so in the transaction that is open. A partition can be named in a statement itself, so it has the policy
// of the whole.
func attachDay(ctx context.Context, c *conn, received int64) error {
	name := dayName(received)
	if err := c.run(ctx, fmt.Sprintf("SELECT pg_advisory_xact_lock(%d)", lockDays)); err != nil {
		return err
	}
	var there bool
	if err := c.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", name).Scan(&there); err != nil || there {
		return err
	}
	from := time.Unix(0, received).UTC().Truncate(24 * time.Hour)
	return c.run(ctx, strings.NewReplacer("NAME", name, "FROM_NS", fmt.Sprint(from.UnixNano()), "TO_NS", fmt.Sprint(from.Add(24*time.Hour).UnixNano())).Replace(`
CREATE TABLE NAME (LIKE records INCLUDING ALL);
ALTER TABLE NAME ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY of_operator ON NAME USING (operator = current_setting('roje.operator', true));
ALTER TABLE records ATTACH PARTITION NAME FOR VALUES FROM (FROM_NS) TO (TO_NS)`))
}

// Forget implements store.Keeping. Days that are left empty, by all operators, are dropped.
func (db *DB) Forget(ctx context.Context, s store.Scope, c store.Cutoff) (store.Forgotten, error) {
	done, err := db.Book.Forget(ctx, s, c)
	if err == nil && !c.Records.IsZero() {
		err = db.dropDays(ctx, c.Records)
	}
	return done, err
}

// dropDays drops the partitions that end before a time and hold no row of anybody. It gives way to others: a day that
// cannot be locked at once is left for another time.
func (db *DB) dropDays(ctx context.Context, before time.Time) error {
	c, err := db.pool.get(ctx, "BEGIN READ ONLY")
	if err != nil {
		return known(err)
	}
	defer db.pool.put(c)
	rows, err := c.Query(ctx, `SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'records'::regclass AND c.relname < $1 ORDER BY 1`,
		dayName(before.UnixNano()))
	var days []string
	if err == nil {
		days, err = pgx.CollectRows(rows, pgx.RowTo[string])
	}
	c.run(context.WithoutCancel(ctx), "ROLLBACK")
	for _, day := range days {
		if err == nil {
			err = db.dropDay(ctx, c, day)
		}
	}
	return known(err)
}

// dropDay drops one, if it is empty: that is seen with its row-level security off, in a transaction that keeps the lock
// and goes on to drop it, or is undone.
func (db *DB) dropDay(ctx context.Context, c *conn, day string) error {
	err := c.run(ctx, "BEGIN; SET LOCAL lock_timeout = '2s'; LOCK TABLE ONLY records IN ACCESS EXCLUSIVE MODE; ALTER TABLE "+day+" DISABLE ROW LEVEL SECURITY")
	var used bool
	if err == nil {
		err = c.QueryRow(ctx, "SELECT EXISTS (SELECT FROM "+day+")").Scan(&used)
	}
	if err == nil && !used {
		if err = c.run(ctx, "DROP TABLE "+day); err == nil {
			err = c.commit(ctx)
		}
		if err == nil {
			db.mu.Lock()
			delete(db.days, day)
			db.mu.Unlock()
			return nil
		}
	}
	if !c.IsClosed() {
		c.run(context.WithoutCancel(ctx), "ROLLBACK")
	}
	if code(err) == "55P03" { // lock_not_available
		return nil
	}
	return err
}
