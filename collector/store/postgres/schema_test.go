package postgres

import (
	"fmt"
	"testing"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/storetest"
	"github.com/roje-ot/roje/testdata/need"
)

// TestUpgrade holds that alerts of a database of every version that ever was are there after the upgrade, each operator's,
// and are brought up to date as others are.
func TestUpgrade(t *testing.T) {
	c := need.Postgres(t)
	for v := 1; v < len(migrations); v++ {
		name := c.Database()
		from, err := newPool(c.URL("roje", name))
		if err != nil {
			t.Fatal(err)
		}
		old, err := from.connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := migrate(t.Context(), old, migrations[:v]); err != nil {
			t.Fatal(err)
		}
		for i, operator := range []string{"north", "south"} {
			err := old.run(t.Context(), fmt.Sprintf(`BEGIN; SET LOCAL roje.operator = '%s'; INSERT INTO operators VALUES ('%[1]s');
				INSERT INTO alerts (operator, id, arrived, updated, sensor, rule, severity, first, last, count, proto, client, server, title, incident, status, status_by, tlp, body)
				VALUES ('%[1]s', 's1-00000001', %d, 1, 's1', 'r', 2, 1, 1, 1, 'modbus', '', '', 'old', '', 'ack', 'ana', '', '{"id":"s1-00000001","count":1}'); COMMIT`, operator, i+1))
			if err != nil {
				t.Fatalf("version %d: %v", v, err)
			}
		}
		old.Close(t.Context())
		db := open(t, c, name)
		for _, operator := range []string{"north", "south"} {
			sc := storetest.For(t, operator)
			in := storetest.PlainBatch("s1", 1, 2, [32]byte{}) // the first of its two is the alert that is there
			if _, err := db.Ingest(t.Context(), sc, "s1", []store.Batch{in}, storetest.Start); err != nil {
				t.Fatalf("version %d: %v", v, err)
			}
			got, _, err := db.ListAlerts(t.Context(), sc, store.Filter{}, "", 10)
			if err != nil || len(got) != 2 || got[1].ID != "s1-00000001" || got[1].Status != store.Acked || got[1].Title == "old" {
				t.Errorf("version %d, %s: %+v, %v; want two alerts, the older one acknowledged and brought up to date", v, operator, got, err)
			}
		}
		db.Close()
	}
}
