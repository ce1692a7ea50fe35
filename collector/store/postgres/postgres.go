// Package postgres keeps the collector's store in PostgreSQL 15, for as many collectors as connect to it: they keep nothing
// of their own.
//
// A call is a transaction that begins by saying whose data it is for (SET LOCAL roje.operator). Row-level security shows
// it no other rows, even if a statement forgot its condition; Open refuses a role that this does not bind. When a change
// returns without an error it is committed, with synchronous_commit on: with a synchronous standby it is there too.
//
// Collectors tell each other of changes by LISTEN and NOTIFY. The URL may name several servers; the one that can be
// written to is used, and another one after it was promoted.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/book"
	"github.com/roje-ot/roje/collector/store/news"
)

const (
	connectTimeout = 10 * time.Second
	commitTimeout  = 30 * time.Second // a commit is not given up with its caller
	attempts       = 5                // of a transaction that stood in another one's way
)

// DB is a store in a database. Make it by Open.
type DB struct {
	book.Book
	pool *pool
	hub  news.Hub
	post post

	mu        sync.Mutex
	operators map[string]bool // that are in the table of operators
	days      map[string]bool // that have their partition
}

var _ store.Store = (*DB)(nil)

// IsURL says whether a text is the URL of a database.
func IsURL(text string) bool {
	return strings.HasPrefix(text, "postgres://") || strings.HasPrefix(text, "postgresql://")
}

// Open opens the store at a postgres:// URL, and brings its schema up to date.
func Open(ctx context.Context, url string) (*DB, error) {
	p, err := newPool(url)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	c, err := p.connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if err = check(ctx, c); err == nil {
		err = migrate(ctx, c, migrations[:])
	}
	c.Close(context.WithoutCancel(ctx))
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	db := &DB{pool: p, operators: map[string]bool{}, days: map[string]bool{}}
	db.Book = book.Book{Engine: engine{db}}
	if err := db.post.start(ctx, p, &db.hub); err != nil {
		p.close()
		return nil, fmt.Errorf("open store: %w", err)
	}
	return db, nil
}

// Close closes the connections. Changes that were answered are committed.
func (db *DB) Close() error {
	db.post.stop()
	db.hub.Close()
	db.pool.close()
	return nil
}

// Subscribe implements store.Store.
func (db *DB) Subscribe(s store.Scope) (<-chan store.Change, func()) { return db.hub.Subscribe(s) }

// Ready implements store.Store.
func (db *DB) Ready(ctx context.Context) error {
	c, err := db.pool.get(ctx, "BEGIN READ WRITE")
	if err != nil {
		return fmt.Errorf("store: %w", known(err))
	}
	defer db.pool.put(c)
	if err := c.run(ctx, "UPDATE roje_schema SET version = version WHERE false"); err != nil {
		c.run(ctx, "ROLLBACK")
		return fmt.Errorf("store: write: %w", known(err))
	}
	return c.commit(ctx)
}

// engine is how Book sees the database.
type engine struct{ *DB }

func (e engine) Dialect() book.Dialect { return book.Dialect{Find: "strpos"} }

// begin opens a transaction of an operator, whose name is one that batch.CheckName let through.
func begin(s store.Scope, mode string) string {
	return "BEGIN " + mode + "; SET LOCAL roje.operator = '" + strings.ReplaceAll(s.Operator(), "'", "''") + "'"
}

func (e engine) Reader(s store.Scope) book.Reader { return reader{e.DB, s} }

type reader struct {
	db *DB
	s  store.Scope
}

func (r reader) Query(ctx context.Context, query string, args ...any) (book.Rows, error) {
	c, err := r.db.pool.get(ctx, begin(r.s, "READ ONLY"))
	if err != nil {
		return nil, known(err)
	}
	end := func() {
		c.run(context.WithoutCancel(ctx), "ROLLBACK")
		r.db.pool.put(c)
	}
	rows, err := c.Query(ctx, numbered(query), clean(args)...)
	if err != nil {
		end()
		return nil, known(err)
	}
	return &answer{rows, end}, nil
}

// answer is rows whose end is told.
type answer struct {
	pgx.Rows
	end func()
}

func (a *answer) Err() error { return known(a.Rows.Err()) }

func (a *answer) Close() error {
	a.Rows.Close()
	if a.end != nil {
		a.end()
		a.end = nil
	}
	return nil
}

// A tx is an open transaction.
type tx struct {
	*conn
	ctx     context.Context
	db      *DB
	changes []news.Scoped
	work    pgx.Batch // statements whose answers nobody asks for: they run in one round trip before the commit
}

func (e engine) Change(ctx context.Context, s store.Scope, do func(book.Tx) error) error {
	return e.change(ctx, s, func(t *tx) error { return do(t) })
}

// change runs do in a transaction until it is committed or cannot be. do runs again after a deadlock, and after the
// connection was lost before the commit.
func (db *DB) change(ctx context.Context, s store.Scope, do func(*tx) error) error {
	for attempt := 1; ; attempt++ {
		again, err := db.try(ctx, s, do)
		if err == nil || !again || attempt == attempts || ctx.Err() != nil {
			return known(err)
		}
	}
}

// try is one attempt; again says that nothing was changed and another one may do better.
func (db *DB) try(ctx context.Context, s store.Scope, do func(*tx) error) (again bool, err error) {
	c, err := db.pool.get(ctx, begin(s, "READ WRITE"))
	if err != nil {
		return false, err
	}
	defer db.pool.put(c)
	t := &tx{conn: c, ctx: ctx, db: db}
	if err = t.introduce(s); err == nil {
		if err = do(t); err == nil {
			if err = db.post.send(t); err == nil && t.work.Len() > 0 {
				err = t.SendBatch(ctx, &t.work).Close()
			}
		}
	}
	if err != nil {
		if !c.IsClosed() {
			c.run(context.WithoutCancel(ctx), "ROLLBACK")
		}
		return passing(err) || c.IsClosed(), err
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	if err := c.commit(last); err != nil {
		return passing(err), err
	}
	db.mu.Lock()
	db.operators[s.Operator()] = true
	db.mu.Unlock()
	db.hub.Publish(t.changes)
	return false, nil
}

// introduce puts the operator on the list of them, once in a process.
func (t *tx) introduce(s store.Scope) error {
	t.db.mu.Lock()
	done := t.db.operators[s.Operator()]
	t.db.mu.Unlock()
	if done || s.Operator() == "" {
		return nil
	}
	_, err := t.Exec(`INSERT INTO operators (name) VALUES (?) ON CONFLICT DO NOTHING`, s.Operator())
	return err
}

// Query implements book.Reader.
func (t *tx) Query(ctx context.Context, query string, args ...any) (book.Rows, error) {
	rows, err := t.conn.Query(ctx, numbered(query), clean(args)...)
	if err != nil {
		return nil, err
	}
	return &answer{Rows: rows}, nil
}

// Exec implements book.Tx.
func (t *tx) Exec(query string, args ...any) (int64, error) {
	tag, err := t.conn.Exec(t.ctx, numbered(query), clean(args)...)
	return tag.RowsAffected(), err
}

// Count implements book.Tx. The counter's row is locked until the transaction ends.
func (t *tx) Count(operator, name string, least int64) (n int64, err error) {
	err = t.QueryRow(t.ctx, `INSERT INTO counters (operator, name, value) VALUES ($1, $2, greatest(1, $3::bigint))
		ON CONFLICT (operator, name) DO UPDATE SET value = greatest(counters.value + 1, $3::bigint) WHERE counters.operator = $1 RETURNING value`, operator, name, least).Scan(&n)
	return n, err
}

// Tell implements book.Tx.
func (t *tx) Tell(operator string, c store.Change) {
	t.changes = append(t.changes, news.Scoped{Operator: operator, Change: c})
}

// passing says whether an error may not come again: a deadlock, a server that is no primary any more.
func passing(err error) bool {
	switch code(err) {
	case "40001", "40P01", "25006": // serialization_failure, deadlock_detected, read_only_sql_transaction
		return true
	}
	return false
}

// code is the server's code of an error, "" if it is not the server's.
func code(err error) string {
	if e := (*pgconn.PgError)(nil); errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// known turns the server's errors into those of the store.
func known(err error) error {
	if c := code(err); c == "53100" || c == "53000" { // disk_full, insufficient_resources
		return fmt.Errorf("%w: %w", store.ErrFull, err)
	}
	return err
}

// numbered writes the "?" of a statement as $1, $2 and so on. There are no other "?" in statements.
func numbered(query string) string {
	var b strings.Builder
	for n, part := range strings.Split(query, "?") {
		if n > 0 {
			b.WriteString("$" + strconv.Itoa(n))
		}
		b.WriteString(part)
	}
	return b.String()
}

// clean makes texts such that PostgreSQL takes them: UTF-8 without NUL.
func clean(args []any) []any {
	for i, a := range args {
		if text, ok := a.(string); ok {
			args[i] = plain(text)
		}
	}
	return args
}

func plain(text string) string {
	if strings.IndexByte(text, 0) >= 0 {
		text = strings.ReplaceAll(text, "\x00", "\uFFFD")
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}
