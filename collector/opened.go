package collector

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/book"
	"github.com/roje-ot/roje/collector/store/postgres"
	"github.com/roje-ot/roje/collector/store/sqlite"
)

// openStore opens the database at a URL or, where that is "", the file in the folder.
func openStore(ctx context.Context, data, url string) (store.Store, error) {
	if url != "" {
		return postgres.Open(ctx, url)
	}
	return sqlite.Open(data)
}

// OpenStore opens the store that the collector of a data folder uses, beside it or without one, and says what it last
// served.
func OpenStore(ctx context.Context, data string) (store.Store, store.Scope, Serving, error) {
	serving, err := ReadServing(data)
	if err != nil {
		return nil, store.Scope{}, serving, err
	}
	if _, err := os.Stat(filepath.Join(data, sqlite.FileName)); err != nil && serving.Store == "" {
		return nil, store.Scope{}, serving, fmt.Errorf("%s holds no collector's data; start one with 'roje-collector serve --data %s'", data, data)
	}
	scope, err := store.For(serving.Operator)
	if err != nil {
		return nil, scope, serving, err
	}
	db, err := openStore(ctx, data, serving.Store)
	return db, scope, serving, err
}

// Migrate copies everything from one store to another, which must be empty: each is a data folder or a postgres:// URL.
// No collector may use the folder meanwhile, and none should use the database. It returns how many rows of each table
// were copied. A data folder that is given as the destination is made.
func Migrate(ctx context.Context, from, to string) (map[string]int, error) {
	var stores [2]interface {
		book.Mover
		Close() error
	}
	for i, place := range []string{from, to} {
		if postgres.IsURL(place) {
			db, err := postgres.Open(ctx, place)
			if err != nil {
				return nil, err
			}
			defer db.Close()
			stores[i] = db
			continue
		}
		if _, err := os.Stat(filepath.Join(place, sqlite.FileName)); err != nil && i == 0 {
			return nil, fmt.Errorf("%s holds no collector's store: %w", place, cause(err))
		}
		if err := makeFolder(place); err != nil {
			return nil, err
		}
		lock, err := lockFolder(place)
		if err != nil {
			return nil, err
		}
		defer lock.Close()
		db, err := sqlite.Open(place)
		if err != nil {
			return nil, err
		}
		defer db.Close()
		stores[i] = db
	}
	return book.Move(ctx, stores[0], stores[1])
}
