package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/book"
)

var _ book.Mover = (*DB)(nil)

// Dump implements book.Mover.
func (db *DB) Dump(ctx context.Context, each func(*book.Table, []any) error) error {
	snapshot, err := db.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return known(err)
	}
	defer snapshot.Rollback()
	for i := range book.Tables {
		t := &book.Tables[i]
		rows, err := snapshot.QueryContext(ctx, t.Read(false))
		if err != nil {
			return known(err)
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
		if err = errors.Join(err, rows.Err()); err != nil {
			return known(err)
		}
	}
	return nil
}

// Load implements book.Mover.
func (db *DB) Load(ctx context.Context, fill func(func(*book.Table, []any) error) error) error {
	return db.change(func(t *tx) error {
		for i := range book.Tables {
			var n int
			if err := t.row(book.Tables[i].Any(), nil, &n); err != nil {
				return err
			}
			if n > 0 {
				return fmt.Errorf("the store is not empty (%s): %w", book.Tables[i].Name, store.ErrExists)
			}
		}
		return fill(func(table *book.Table, row []any) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			_, err := t.Exec(table.Write(), row...)
			return err
		})
	})
}
