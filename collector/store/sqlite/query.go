package sqlite

import (
	"context"
	"database/sql"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/roje-ot/roje/collector/store"
)

// scan reads the columns of one row.
type scan func(into ...any) error

// list runs a query and reads each row by one.
func list[T any](ctx context.Context, db *sql.DB, query string, args []any, one func(scan) (T, error)) ([]T, error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, known(err)
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
	return all, known(rows.Err())
}

// A where is the conditions of a query. It begins with the operator: see scopedWhere.
type where struct {
	text strings.Builder
	args []any
}

// scopedWhere is the only way to make a where.
func scopedWhere(s store.Scope) (*where, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	w := &where{args: []any{s.Operator()}}
	w.text.WriteString("WHERE operator = ?")
	return w, nil
}

func (w *where) and(condition string, args ...any) {
	w.text.WriteString(" AND " + condition)
	w.args = append(w.args, args...)
}

// in adds that column is any of the values; of none, nothing is picked. With several values the column's index would not
// give rows in the order of a page: the "+" keeps SQLite from it.
func in[T any](w *where, column string, values []T) {
	for _, v := range values {
		w.args = append(w.args, v)
	}
	switch len(values) {
	case 0:
		w.text.WriteString(" AND 0")
	case 1:
		w.text.WriteString(" AND " + column + " = ?")
	default:
		w.text.WriteString(" AND +" + column + " IN (?" + strings.Repeat(", ?", len(values)-1) + ")")
	}
}

func (w *where) String() string { return w.text.String() }

// with returns the arguments with more after them.
func (w *where) with(more ...any) []any { return append(append([]any{}, w.args...), more...) }

// makeCursor writes where a list of the given kind ended.
func makeCursor(kind string, at ...int64) string {
	text := kind
	for _, n := range at {
		text += "." + strconv.FormatInt(n, 36)
	}
	return base64.RawURLEncoding.EncodeToString([]byte(text))
}

// parseCursor reads what makeCursor wrote, n numbers for a list of that kind.
func parseCursor(kind, cursor string, n int) ([]int64, error) {
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(text) > 100 {
		return nil, store.ErrCursor
	}
	parts := strings.Split(string(text), ".")
	if parts[0] != kind || len(parts) != n+1 {
		return nil, store.ErrCursor
	}
	at := make([]int64, n)
	for i := range at {
		if at[i], err = strconv.ParseInt(parts[i+1], 36, 64); err != nil {
			return nil, store.ErrCursor
		}
	}
	return at, nil
}

func checkLimit(limit int) error {
	if limit < 1 || limit > 1000 {
		return fmt.Errorf("a page of %d is not between 1 and 1000", limit)
	}
	return nil
}
