package postgres

import (
	"github.com/jackc/pgx/v5"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/book"
)

// A present is an alert that is in the database or was made by this call.
type present struct {
	sensor  string
	count   int64
	arrived int64
	fresh   bool // made by this call
	at      int  // its latest word's place in the call's alerts
	changed bool
}

// look asks for the alerts of some ids.
func (in *intake) look(ask *pgx.Batch, ids []string) {
	ask.Queue(`SELECT id, sensor, count, arrived FROM alerts WHERE operator = $1 AND id = ANY($2) FOR UPDATE`, in.operator, ids).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var id string
			p := &present{}
			if err := rows.Scan(&id, &p.sensor, &p.count, &p.arrived); err != nil {
				return err
			}
			in.there[id] = p
		}
		return rows.Err()
	})
}

// lookAgain asks for the ids that alerts have instead of those that another sensor was the first to use.
func (in *intake) lookAgain() error {
	var ids []string
	for _, a := range in.alerts {
		if p := in.there[a.alert.ID]; p != nil && p.sensor != in.sensor {
			ids = append(ids, a.alert.ID+"@"+in.sensor)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	var ask pgx.Batch
	in.look(&ask, ids)
	return in.SendBatch(in.ctx, &ask).Close()
}

// writeAlerts makes alerts or brings them up to date, and says how many are new. Two sensors may give the same id to what
// each of them saw; the second one's is then kept under the id with its name. The lock of the counter keeps other
// transactions of the operator from making alerts, from the look at those that are there to the commit.
func (in *intake) writeAlerts() (made int64, err error) {
	if len(in.alerts) == 0 {
		return 0, nil
	}
	there, arrived := in.there, in.arrived
	if err := in.lookAgain(); err != nil {
		return 0, err
	}
	var order []string // of the alerts that are written, by their first word in the call
	for i, a := range in.alerts {
		id := a.alert.ID
		p := there[id]
		if p != nil && p.sensor != in.sensor {
			id += "@" + in.sensor
			p = there[id]
		}
		what := "updated"
		if p == nil {
			arrived = max(arrived+1, in.received)
			p = &present{sensor: in.sensor, arrived: arrived, fresh: true}
			there[id] = p
			what, made = "new", made+1
		} else if int64(a.alert.Count) < p.count {
			continue // an older word of it, which came by a slower lane
		}
		if !p.changed {
			p.changed, order = true, append(order, id)
		}
		p.count, p.at = int64(a.alert.Count), i
		in.Tell(in.operator, store.Change{What: what, ID: id, Arrived: book.FromNanos(p.arrived), Level: a.alert.Severity})
	}
	if err := in.writeThem(order, int(made)); err != nil {
		return 0, err
	}
	in.work.Queue(`UPDATE counters SET value = $2 WHERE operator = $1 AND name = 'arrived'`, in.operator, arrived)
	return made, nil
}

// writeThem makes the alerts of some ids, of which made are new, and queues what brings the others up to date.
func (in *intake) writeThem(ids []string, made int) error {
	if made < len(ids) {
		var k knownRows
		for _, id := range ids {
			if p := in.there[id]; !p.fresh {
				k.add(id, in.alerts[p.at])
			}
		}
		in.work.Queue(updateKnown, k.args(in.operator, in.received)...)
	}
	if made == 0 {
		return nil
	}
	_, err := in.PgConn().CopyFrom(in.ctx, in.fresh(ids), copyFresh)
	return err
}
