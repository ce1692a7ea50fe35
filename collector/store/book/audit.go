package book

import (
	"context"
	"errors"
	"fmt"

	"github.com/roje-ot/roje/collector/store"
)

var _ store.Audit = Book{}

// errNothing undoes a transaction that has found nothing to do.
var errNothing = errors.New("nothing to do")

// AppendLeaves implements store.Audit. The counter's row keeps others out: it is raised before anything is read.
func (b Book) AppendLeaves(ctx context.Context, s store.Scope, write func(n, act int64) ([][]byte, int64, error)) error {
	if err := s.Check(); err != nil {
		return err
	}
	err := b.change(ctx, s, func(t work) error {
		next, err := t.Count(s.Operator(), "leaf", 0)
		if err != nil {
			return err
		}
		var act int64
		err = t.row(`SELECT value FROM counters WHERE operator = ? AND name = 'leaf_act'`, []any{s.Operator()}, &act)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		leaves, last, err := write(next-1, act)
		if err == nil && len(leaves) == 0 {
			err = errNothing
		}
		if err != nil {
			return err
		}
		for i, leaf := range leaves {
			if i > 0 {
				if next, err = t.Count(s.Operator(), "leaf", 0); err != nil {
					return err
				}
			}
			if _, err := t.Exec(`INSERT INTO leaves (operator, n, leaf) VALUES (?, ?, ?)`, s.Operator(), next-1, leaf); err != nil {
				return err
			}
		}
		if last > act {
			_, err = t.Count(s.Operator(), "leaf_act", last)
		}
		return err
	})
	if errors.Is(err, errNothing) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("audit log: %w", err)
	}
	return nil
}

// AppendCheckpoint implements store.Audit.
func (b Book) AppendCheckpoint(ctx context.Context, s store.Scope, note []byte) error {
	if err := s.Check(); err != nil {
		return err
	}
	return b.change(ctx, s, func(t work) error {
		n, err := t.Count(s.Operator(), "checkpoint", 0)
		if err == nil {
			_, err = t.Exec(`INSERT INTO checkpoints (operator, n, note) VALUES (?, ?, ?)`, s.Operator(), n-1, note)
		}
		return err
	})
}

// Leaves implements store.Audit.
func (b Book) Leaves(ctx context.Context, s store.Scope, n int64, limit int) ([][]byte, error) {
	return b.texts(ctx, s, `SELECT leaf FROM leaves WHERE operator = ? AND n >= ? ORDER BY n LIMIT ?`, n, limit)
}

// Checkpoints implements store.Audit.
func (b Book) Checkpoints(ctx context.Context, s store.Scope, n int64, limit int) ([][]byte, error) {
	return b.texts(ctx, s, `SELECT note FROM checkpoints WHERE operator = ? AND n >= ? ORDER BY n LIMIT ?`, n, limit)
}

func (b Book) texts(ctx context.Context, s store.Scope, query string, n int64, limit int) ([][]byte, error) {
	err := s.Check()
	if err == nil {
		err = checkLimit(limit)
	}
	if err != nil {
		return nil, err
	}
	return List(ctx, b.Reader(s), query, []any{s.Operator(), n, limit}, func(scan scan) (text []byte, err error) { err = scan(&text); return text, err })
}
