package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"
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
