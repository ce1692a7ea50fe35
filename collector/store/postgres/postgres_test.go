package postgres

import (
	"testing"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/storetest"
	"github.com/roje-ot/roje/testdata/need"
)

func open(t testing.TB, c *need.Cluster, database string) *DB {
	t.Helper()
	db, err := Open(t.Context(), c.URL("roje", database))
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func TestStore(t *testing.T) {
	c := need.Postgres(t)
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, c, c.Database()) })
}
