package book

import (
	"context"

	"github.com/roje-ot/roje/collector/store"
)

var _ store.Chronicle = Book{}

// ActsAfter implements store.Chronicle.
func (b Book) ActsAfter(ctx context.Context, s store.Scope, n int64, limit int) ([]store.NumberedAct, error) {
	w, err := scopedWhere(s)
	if err == nil {
		err = checkLimit(limit)
	}
	if err != nil {
		return nil, err
	}
	w.and("n > ?", n)
	return List(ctx, b.Reader(s), `SELECT n, at, who, what, object, detail FROM acts `+w.String()+` ORDER BY n LIMIT ?`, w.with(limit), func(scan scan) (a store.NumberedAct, err error) {
		var at int64
		err = scan(&a.N, &at, &a.Who, &a.What, &a.Object, &a.Detail)
		a.At = FromNanos(at)
		return a, err
	})
}
