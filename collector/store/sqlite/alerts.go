package sqlite

import (
	"database/sql"
	"errors"
	"strings"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/book"
	"github.com/roje-ot/roje/rules"
)

// many is how many alerts one statement makes: a fifth less of processor time for each than one by one (2026-11).
const many = 20

// makeAlert makes an alert, unless there is one of its id. makeMany does so with many, and says by how many rows it has
// changed whether one was not made. Only OR IGNORE keeps SQLite from writing down each page first, so as to take back the
// rows before one that fails: that costs more than many save.
const (
	alertColumns = `(operator, id, arrived, updated, sensor, rule, severity, first, last, count, proto, client, server, title, incident, status, status_by, tlp, body)`
	alertRow     = `(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'new', '', '', ?)`
	makeAlert    = `INSERT INTO alerts ` + alertColumns + ` VALUES ` + alertRow + ` ON CONFLICT (operator, id) DO NOTHING`
)

var makeMany = `INSERT OR IGNORE INTO alerts ` + alertColumns + ` VALUES ` + alertRow + strings.Repeat(`, `+alertRow, many-1)

// An arrival is an alert that a fresh record brought.
type arrival struct {
	*rules.Alert
	body    []byte
	arrived int64
}

// values appends what makeAlert and makeMany are told of an alert.
func (in *intake) values(args []any, id string, a *arrival) []any {
	return append(args, in.operator, id, a.arrived, in.received, in.sensor, a.Rule, int64(a.Severity), book.Nanos(a.First), book.Nanos(a.Last), int64(a.Count),
		a.Proto, a.Client, a.Server, a.Title, a.Incident, a.body)
}

// arrive takes an alert, which is written with others.
func (in *intake) arrive(a *rules.Alert, body []byte) error {
	arrived, err := in.Count(in.operator, "arrived", in.received)
	if err != nil {
		return err
	}
	in.arrivals = append(in.arrivals, arrival{a, body, arrived})
	if len(in.arrivals) == many {
		return in.writeAlerts()
	}
	return nil
}

// writeAlerts writes the alerts that have arrived: all at once if they are many and all new, else one by one.
func (in *intake) writeAlerts() error {
	arrivals := in.arrivals
	in.arrivals = in.arrivals[:0]
	if len(arrivals) == many {
		in.args = in.args[:0]
		for i := range arrivals {
			in.args = in.values(in.args, arrivals[i].ID, &arrivals[i])
		}
		n, err := in.Exec(makeMany, in.args...)
		if err != nil {
			return err
		}
		if n == many {
			in.made += many
			for i := range arrivals {
				in.tell("new", arrivals[i].ID, &arrivals[i])
			}
			return nil
		}
	}
	for i := range arrivals {
		if err := in.alert(&arrivals[i]); err != nil {
			return err
		}
	}
	return nil
}

// alert makes an alert or brings it up to date. Two sensors may give the same id to what each of them saw; the second
// one's is then kept under the id with its name.
func (in *intake) alert(a *arrival) error {
	id := a.ID
	n, err := in.Exec(makeAlert, in.values(nil, id, a)...)
	if err != nil {
		return err
	}
	if n == 0 {
		var owner string
		var arrived int64
		if err := in.row(`SELECT sensor, arrived FROM alerts WHERE operator = ? AND id = ?`, []any{in.operator, id}, &owner, &arrived); err != nil {
			return err
		}
		switch {
		case arrived == a.arrived:
			n = 1 // makeMany has made it
		case owner != in.sensor:
			id += "@" + in.sensor
			if n, err = in.Exec(makeAlert, in.values(nil, id, a)...); err != nil {
				return err
			}
		}
	}
	if n > 0 {
		in.made++
		in.tell("new", id, a)
		return nil
	}
	// a lower count is an older word of it, which came by a slower lane
	err = in.row(`UPDATE alerts SET updated = ?, rule = ?, severity = ?, first = ?, last = ?, count = ?, proto = ?, client = ?, server = ?, title = ?,
		incident = ?, body = ? WHERE operator = ? AND id = ? AND count <= ? RETURNING arrived`, []any{
		in.received, a.Rule, int64(a.Severity), book.Nanos(a.First), book.Nanos(a.Last), int64(a.Count), a.Proto, a.Client, a.Server, a.Title,
		a.Incident, a.body, in.operator, id, int64(a.Count)}, &a.arrived)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err == nil {
		in.tell("updated", id, a)
	}
	return err
}

// tell has it known what became of an alert.
func (in *intake) tell(what, id string, a *arrival) {
	in.Tell(in.operator, store.Change{What: what, ID: id, Arrived: book.FromNanos(a.arrived), Level: a.Severity})
}
