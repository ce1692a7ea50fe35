package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/book"
	"github.com/roje-ot/roje/collector/store/sqlite"
)

var _ book.Mover = (*DB)(nil)

// portion is how many rows are written in one go.
const portion = 1000

// Dump implements book.Mover. Row-level security gives it one operator's rows at a time.
func (db *DB) Dump(ctx context.Context, each func(*book.Table, []any) error) error {
	c, err := db.pool.get(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
	if err != nil {
		return known(err)
	}
	defer db.pool.put(c)
	defer func() { c.run(context.WithoutCancel(ctx), "ROLLBACK") }()
	var operators []string
	rows, err := c.Query(ctx, `SELECT name FROM operators ORDER BY name`)
	if err == nil {
		operators, err = pgx.CollectRows(rows, pgx.RowTo[string])
	}
	if err != nil {
		return known(err)
	}
	for i := range book.Tables {
		t := &book.Tables[i]
		if !t.Scoped() {
			if err := dump(ctx, c, t, t.Read(false), nil, each); err != nil {
				return err
			}
			continue
		}
		for _, operator := range operators {
			if err := c.become(ctx, operator); err != nil {
				return known(err)
			}
			if err := dump(ctx, c, t, t.Read(true), []any{operator}, each); err != nil {
				return err
			}
		}
	}
	return nil
}

// become makes the rest of the transaction one of an operator.
func (c *conn) become(ctx context.Context, operator string) error {
	s, err := store.For(operator)
	if err != nil {
		return err
	}
	_, setting, _ := strings.Cut(begin(s, ""), "; ")
	return c.run(ctx, setting)
}

func dump(ctx context.Context, c *conn, t *book.Table, query string, args []any, each func(*book.Table, []any) error) error {
	rows, err := c.Query(ctx, numbered(query), args...)
	if err != nil {
		return known(err)
	}
	defer rows.Close()
	for rows.Next() {
		row, err := rows.Values()
		if err == nil {
			err = each(t, row)
		}
		if err != nil {
			return err
		}
	}
	return known(rows.Err())
}

// Load implements book.Mover, in one transaction that takes the part of one operator after the other.
func (db *DB) Load(ctx context.Context, fill func(func(*book.Table, []any) error) error) (err error) {
	c, err := db.pool.get(ctx, "BEGIN")
	if err != nil {
		return known(err)
	}
	defer db.pool.put(c)
	defer func() {
		if err != nil && !c.IsClosed() {
			c.run(context.WithoutCancel(ctx), "ROLLBACK")
		}
	}()
	var full bool
	if err := c.QueryRow(ctx, `SELECT EXISTS (SELECT FROM operators) OR EXISTS (SELECT FROM sessions)`).Scan(&full); err != nil {
		return known(err)
	}
	if full {
		return fmt.Errorf("the store is not empty: %w", store.ErrExists)
	}
	l := load{ctx: ctx, conn: c, operators: map[string]bool{}, days: map[string]bool{}}
	if err = fill(l.put); err == nil {
		err = l.flush()
	}
	if err != nil {
		return known(err)
	}
	return known(c.commit(ctx))
}

// A load writes rows in portions, each of one operator.
type load struct {
	*conn
	ctx       context.Context
	operator  string
	operators map[string]bool
	days      map[string]bool
	rows      pgx.Batch
	waiting   int
}

func (l *load) put(t *book.Table, row []any) error {
	if t.Scoped() {
		if operator, _ := row[0].(string); operator != l.operator {
			if err := l.turn(operator); err != nil {
				return err
			}
		}
	}
	if t.Name == "records" {
		for i, column := range t.Columns {
			if received, _ := row[i].(int64); column == "received" && !l.days[dayName(received)] {
				if err := attachDay(l.ctx, l.conn, received); err != nil {
					return err
				}
				l.days[dayName(received)] = true
			}
		}
	}
	l.rows.Queue(numbered(t.Write()), clean(append([]any(nil), row...))...)
	if l.waiting++; l.waiting < portion {
		return nil
	}
	return l.flush()
}

// turn goes on with another operator's rows.
func (l *load) turn(operator string) error {
	if err := l.flush(); err != nil {
		return err
	}
	if !l.operators[operator] {
		if _, err := l.Exec(l.ctx, `INSERT INTO operators (name) VALUES ($1)`, operator); err != nil {
			return err
		}
		l.operators[operator] = true
	}
	l.operator = operator
	return l.become(l.ctx, operator)
}

func (l *load) flush() error {
	if l.waiting == 0 {
		return nil
	}
	err := l.SendBatch(l.ctx, &l.rows).Close()
	l.rows, l.waiting = pgx.Batch{}, 0
	return err
}

// Backup implements store.Store: it writes the files of a SQLite store, with everything in one snapshot. A large database
// is better served by pg_basebackup and its archive of the log.
func (db *DB) Backup(ctx context.Context, path string) (err error) {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("backup: %s: %w", path, os.ErrExist)
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), ".backup-")
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	defer os.RemoveAll(dir)
	to, err := sqlite.Open(dir)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	_, err = book.Move(ctx, db, to)
	if err = errors.Join(err, to.Close()); err == nil { // which leaves nothing beside the files: their logs are taken in
		err = os.Rename(filepath.Join(dir, sqlite.Folder), filepath.Join(filepath.Dir(path), sqlite.Folder))
	}
	if err == nil {
		err = os.Rename(filepath.Join(dir, sqlite.FileName), path)
	}
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return nil
}
