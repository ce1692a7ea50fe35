package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/book"
)

var _ book.Mover = (*DB)(nil)

// Dump implements book.Mover: one snapshot of each file.
func (db *DB) Dump(ctx context.Context, each func(*book.Table, []any) error) error {
	operators, files := db.all()
	snapshots := make([]*sql.Tx, len(files))
	for i, f := range files {
		var err error
		if snapshots[i], err = f.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true}); err != nil {
			return known(err)
		}
		defer snapshots[i].Rollback()
	}
	for i := range book.Tables {
		t := &book.Tables[i]
		for k, operator := range operators {
			if t.Scoped() == (operator == "") {
				continue
			}
			if err := dump(ctx, snapshots[k], t, each); err != nil {
				return known(err)
			}
		}
	}
	return nil
}

func dump(ctx context.Context, snapshot *sql.Tx, t *book.Table, each func(*book.Table, []any) error) error {
	rows, err := snapshot.QueryContext(ctx, t.Read(false))
	if err != nil {
		return err
	}
	row, into := make([]any, len(t.Columns)), make([]any, len(t.Columns))
	for rows.Next() {
		for i := range row {
			row[i], into[i] = nil, &row[i]
		}
		if err = rows.Scan(into...); err != nil {
			break
		}
		for i, v := range row {
			if n, ok := v.(int64); ok && t.Kinds[i] == book.Bool {
				row[i] = n != 0
			}
		}
		if err = each(t, row); err != nil {
			break
		}
	}
	rows.Close()
	return errors.Join(err, rows.Err())
}

// Load implements book.Mover. New files are filled, and get their names when all of them are on disk.
func (db *DB) Load(ctx context.Context, fill func(func(*book.Table, []any) error) error) (err error) {
	if err := db.empty(); err != nil {
		return err
	}
	l := &load{db: db, parts: map[string]*part{}}
	defer func() {
		for _, p := range l.parts {
			err = errors.Join(err, p.close(), os.RemoveAll(p.path))
		}
	}()
	if err := fill(func(t *book.Table, row []any) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return l.put(t, row)
	}); err != nil {
		return known(err)
	}
	return l.keep()
}

// empty returns an error if the store is not, and takes its empty files away.
func (db *DB) empty() error {
	operators, files := db.all()
	for i, f := range files {
		for k := range book.Tables {
			var n int
			if err := f.read.QueryRow(book.Tables[k].Any()).Scan(&n); err != nil {
				return known(err)
			}
			if n > 0 {
				return fmt.Errorf("the store is not empty (%s): %w", book.Tables[k].Name, store.ErrExists)
			}
		}
		if operators[i] == "" {
			continue
		}
		db.mu.Lock()
		delete(db.files, operators[i])
		db.mu.Unlock()
		if err := errors.Join(f.close(), os.Remove(db.path(operators[i]))); err != nil {
			return err
		}
	}
	return nil
}

// A load fills files that have no name yet.
type load struct {
	db    *DB
	parts map[string]*part // by operator
	rest  []loose
}

// A loose row is of no operator. There are few.
type loose struct {
	table *book.Table
	row   []any
}

// A part is a file that is filled, in one transaction.
type part struct {
	path  string
	conn  *sql.DB
	tx    *sql.Tx
	stmts map[string]*sql.Stmt
}

func (l *load) put(t *book.Table, row []any) error {
	if !t.Scoped() {
		l.rest = append(l.rest, loose{t, append([]any(nil), row...)})
		return nil
	}
	operator, _ := row[0].(string)
	p := l.parts[operator]
	if p == nil {
		if _, err := store.For(operator); err != nil {
			return err
		}
		p = &part{path: l.db.path(operator) + ".new", stmts: map[string]*sql.Stmt{}}
		l.parts[operator] = p
		if err := p.begin(); err != nil {
			return err
		}
	}
	s := p.stmts[t.Name]
	if s == nil {
		var err error
		if s, err = p.tx.Prepare(t.Write()); err != nil {
			return err
		}
		p.stmts[t.Name] = s
	}
	_, err := s.Exec(row...)
	return err
}

func (p *part) begin() (err error) {
	if err = blank(p.path); err != nil {
		return err
	}
	if p.conn, err = sql.Open("sqlite", plainDSN(p.path)); err != nil {
		return err
	}
	p.conn.SetMaxOpenConns(1)
	p.tx, err = p.conn.Begin()
	return err
}

// close ends a part, as it is.
func (p *part) close() (err error) {
	if p.tx != nil {
		p.tx.Rollback()
	}
	if p.conn != nil {
		err = p.conn.Close()
	}
	p.tx, p.conn = nil, nil
	return err
}

// keep commits everything that was put.
func (l *load) keep() error {
	for _, p := range l.parts {
		if err := errors.Join(p.tx.Commit(), p.close()); err != nil {
			return known(err)
		}
	}
	err := l.db.common.change(func(t *tx) error {
		for _, r := range l.rest {
			if _, err := t.Exec(r.table.Write(), r.row...); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for operator, p := range l.parts {
		if err := settle(p.path, l.db.path(operator)); err != nil {
			return err
		}
		if _, err := l.db.open(operator); err != nil {
			return err
		}
	}
	return nil
}
