package book

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/roje-ot/roje/collector/store"
)

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

func (w *where) String() string { return w.text.String() }

// with returns the arguments with more after them.
func (w *where) with(more ...any) []any { return append(append([]any{}, w.args...), more...) }

// MakeCursor writes where a list of the given kind ended.
func MakeCursor(kind string, at ...int64) string {
	text := kind
	for _, n := range at {
		text += "." + strconv.FormatInt(n, 36)
	}
	return base64.RawURLEncoding.EncodeToString([]byte(text))
}

// ParseCursor reads what MakeCursor wrote, n numbers for a list of that kind.
func ParseCursor(kind, cursor string, n int) ([]int64, error) {
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
