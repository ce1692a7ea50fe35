package main

import (
	"context"
	"fmt"

	"github.com/roje-ot/roje/collector"
	"github.com/roje-ot/roje/collector/store"
)

// openStore opens the store of a collector that has served, and the scope of its operator.
func openStore(data string) (store.Store, store.Scope, error) {
	db, scope, _, err := collector.OpenStore(context.Background(), data)
	return db, scope, err
}

// opened runs do with the store of a data folder.
func opened(ctx context.Context, data string, do func(db store.Store, s store.Scope) error) error {
	db, scope, _, err := collector.OpenStore(ctx, data)
	if err != nil {
		return err
	}
	defer db.Close()
	return do(db, scope)
}

// withUser opens the store of a data folder and does something with one of its users.
func withUser(ctx context.Context, data, name string, do func(store.Store, store.Scope, store.User) error) error {
	return opened(ctx, data, func(db store.Store, s store.Scope) error {
		u, err := db.GetUser(ctx, s, name)
		if err == nil {
			err = do(db, s, u)
		}
		if err != nil {
			return fmt.Errorf("user %s: %w", name, err)
		}
		return nil
	})
}
