// Package book is what every store that speaks SQL asks of its tables in the same words: the queue, the releases, the
// fleet, the users, the streams. A store embeds Book and brings an Engine; how it takes in what sensors deliver, and how
// it shares its news, is its own.
//
// Statements are written with "?" for their arguments. Each names the operator it works for; a test reads them.
package book

import (
	"context"
	"database/sql"
	"time"

	"github.com/roje-ot/roje/collector/store"
)

// Rows are the rows of an answer, as *sql.Rows gives them.
type Rows interface {
	Next() bool
	Scan(into ...any) error
	Err() error
	Close() error
}

// A Reader answers queries.
type Reader interface {
	Query(ctx context.Context, query string, args ...any) (Rows, error)
}

// A Tx is an open transaction of one operator. It belongs to the function it was given to, for the time of its call.
type Tx interface {
	Reader
	// Exec runs a statement and returns how many rows it changed.
	Exec(query string, args ...any) (int64, error)
	// Count raises a counter of the operator by one, or to least if that is more, and returns it. No other transaction gets
	// the same number.
	Count(operator, name string, least int64) (int64, error)
	// Tell has a change published once the transaction is committed.
	Tell(operator string, c store.Change)
}

// An Engine runs statements. Its errors are those of package store where a caller can act on them.
type Engine interface {
	// Reader reads s's data; the zero Scope reads the tables that are of no operator.
	Reader(s store.Scope) Reader
	// Change runs do in a transaction and returns when it is on disk, or an error and nothing was changed. do may run again
	// where the engine had to begin anew, and must leave nothing outside that a second run does not replace.
	Change(ctx context.Context, s store.Scope, do func(Tx) error) error
	Dialect() Dialect
}

// A Dialect is what engines say differently.
type Dialect struct {
	Find    string // function of a text and a part of it that gives the part's place, 0 if it is not there
	Unhinge string // put before a column to keep its index from the order of a page
}

// Book implements most of store.Store upon an Engine.
type Book struct{ Engine }

// change runs do with the words that book has for a transaction.
func (b Book) change(ctx context.Context, s store.Scope, do func(work) error) error {
	return b.Change(ctx, s, func(t Tx) error { return do(work{t}) })
}

type work struct{ Tx }

// scan reads the columns of one row.
type scan = func(into ...any) error

// List runs a query and reads each row by one.
func List[T any](ctx context.Context, r Reader, query string, args []any, one func(func(into ...any) error) (T, error)) ([]T, error) {
	rows, err := r.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		v, err := one(rows.Scan)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

// One is List for a query of one row; store.ErrNotFound where there is none.
func One[T any](ctx context.Context, r Reader, query string, args []any, one func(func(into ...any) error) (T, error)) (T, error) {
	var none T
	all, err := List(ctx, r, query, args, one)
	if err != nil {
		return none, err
	}
	if len(all) == 0 {
		return none, store.ErrNotFound
	}
	return all[0], nil
}

// row reads one row into variables.
func (t work) row(query string, args []any, into ...any) error {
	_, err := One(context.Background(), t, query, args, func(scan scan) (struct{}, error) { return struct{}{}, scan(into...) })
	return err
}

// Nanos is how a time is stored: Unix nanoseconds, 0 for times that have none.
func Nanos(t time.Time) int64 {
	if y := t.Year(); y < 1678 || y > 2261 {
		return 0
	}
	return t.UnixNano()
}

// FromNanos is the time that Nanos wrote.
func FromNanos(n int64) time.Time { return time.Unix(0, n).UTC() }

func fromNull(n sql.NullInt64) *time.Time {
	if !n.Valid {
		return nil
	}
	t := FromNanos(n.Int64)
	return &t
}
