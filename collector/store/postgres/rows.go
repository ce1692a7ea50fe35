package postgres

import (
	"encoding/binary"
	"io"

	"github.com/roje-ot/roje/collector/store/book"
)

// copyFresh takes new alerts. COPY does not write to a table with row-level security, which alerts is; so it writes to the
// partition that has its rows. That one has no policy, and the collector's role may do nothing else with it; a constraint
// holds each row to the operator of the transaction, as the policy would.
const copyFresh = `COPY alert_rows (operator, updated, sensor, status, status_by, tlp, id, arrived, rule, severity, first, last, count,
	proto, client, server, title, incident, body) FROM STDIN (FORMAT binary)`

// freshFields is how many columns that has.
const freshFields = 19

// updateKnown brings alerts up to date, by an array for each column.
const updateKnown = `UPDATE alerts SET updated = $2, rule = i.rule, severity = i.severity, first = i.first, last = i.last, count = i.count, proto = i.proto,
	client = i.client, server = i.server, title = i.title, incident = i.incident, body = i.body
	FROM unnest($3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::bytea[])
	i (id, rule, severity, first, last, count, proto, client, server, title, incident, body) WHERE operator = $1 AND alerts.id = i.id`

// knownRows are the columns of updateKnown.
type knownRows struct {
	id, rule, proto, client, server, title, incident []string
	severity, first, last, count                     []int64
	body                                             [][]byte
}

func (k *knownRows) add(id string, of arrival) {
	a := of.alert
	k.id, k.rule = append(k.id, id), append(k.rule, plain(a.Rule))
	k.severity, k.count = append(k.severity, int64(a.Severity)), append(k.count, int64(a.Count))
	k.first, k.last = append(k.first, book.Nanos(a.First)), append(k.last, book.Nanos(a.Last))
	k.proto, k.client, k.server = append(k.proto, plain(a.Proto)), append(k.client, plain(a.Client)), append(k.server, plain(a.Server))
	k.title, k.incident = append(k.title, plain(a.Title)), append(k.incident, plain(a.Incident))
	k.body = append(k.body, of.body)
}

// args are the arguments of updateKnown.
func (k *knownRows) args(operator string, updated int64) []any {
	return []any{operator, updated, k.id, k.rule, k.severity, k.first, k.last, k.count, k.proto, k.client, k.server, k.title, k.incident, k.body}
}

// freshRows is what copyFresh takes, made as it is read: the server works on the first rows while others are made. It has the new
// alerts of some ids.
type freshRows struct {
	in   *intake
	ids  []string
	rows []byte // made, and read up to at
	at   int
	end  bool
}

func (in *intake) fresh(ids []string) *freshRows {
	const begin = "PGCOPY\n\xff\r\n\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00" // the form's name, no flags, no extension
	return &freshRows{in: in, ids: ids, rows: []byte(begin)}
}

// Read implements io.Reader.
func (f *freshRows) Read(b []byte) (int, error) {
	f.rows, f.at = append(f.rows[:0], f.rows[f.at:]...), 0
	for len(f.rows) < len(b) && !f.end {
		if len(f.ids) == 0 {
			f.rows, f.end = append(f.rows, 0xff, 0xff), true
			break
		}
		if p := f.in.there[f.ids[0]]; p.fresh {
			f.row(f.ids[0], p)
		}
		f.ids = f.ids[1:]
	}
	if len(f.rows) == 0 && len(b) > 0 {
		return 0, io.EOF
	}
	f.at = copy(b, f.rows)
	return f.at, nil
}

// row adds the row of a new alert, in the server's binary form: numbers are in network order, and each field is its length and
// its value.
func (f *freshRows) row(id string, p *present) {
	f.rows = binary.BigEndian.AppendUint16(f.rows, freshFields)
	f.text(f.in.operator)
	f.number(f.in.received)
	f.text(f.in.sensor)
	f.text("new")
	f.text("") // nobody has set that
	f.text("") // it is not released
	of := f.in.alerts[p.at]
	a := of.alert
	f.text(id)
	f.number(p.arrived)
	f.text(a.Rule)
	for _, v := range [...]int64{int64(a.Severity), book.Nanos(a.First), book.Nanos(a.Last), int64(a.Count)} {
		f.number(v)
	}
	for _, v := range [...]string{a.Proto, a.Client, a.Server, a.Title, a.Incident} {
		f.text(v)
	}
	f.size(len(of.body))
	f.rows = append(f.rows, of.body...)
}

func (f *freshRows) size(n int) { f.rows = binary.BigEndian.AppendUint32(f.rows, uint32(n)) }

func (f *freshRows) text(v string) {
	v = plain(v)
	f.size(len(v))
	f.rows = append(f.rows, v...)
}

func (f *freshRows) number(v int64) {
	f.size(8)
	f.rows = binary.BigEndian.AppendUint64(f.rows, uint64(v))
}
