package postgres

import (
	"context"
	"encoding/binary"
	"io"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/roje-ot/roje/collector/store/book"
)

// copyIncoming takes new alerts. COPY does not write to a table with row-level security, which alerts is; so it writes to the
// partition that has its rows. That one has no policy, and the collector's role may do nothing else with it; a constraint
// holds each row to the operator of the transaction, as the policy would.
const copyIncoming = `COPY alert_rows (operator, updated, sensor, status, status_by, tlp, id, arrived, rule, severity, first, last, count,
	proto, client, server, title, incident, body) FROM STDIN (FORMAT binary)`

// updateFromIncoming brings alerts up to date by an array of the schema's type incoming: those of a batch are one argument.
const updateFromIncoming = `UPDATE alerts SET updated = ?, rule = i.rule, severity = i.severity, first = i.first, last = i.last, count = i.count, proto = i.proto,
	client = i.client, server = i.server, title = i.title, incident = i.incident, body = i.body
	FROM unnest(?::incoming[]) i WHERE operator = ? AND alerts.id = i.id`

// knowIncoming asks for the number of the type, and tells pgx that what is given for an array of it is in the server's form.
func (c *conn) knowIncoming(ctx context.Context) error {
	var all uint32
	if err := c.QueryRow(ctx, `SELECT 'incoming'::regtype::oid, 'incoming[]'::regtype::oid`).Scan(&c.incoming, &all); err != nil {
		return err
	}
	c.TypeMap().RegisterType(&pgtype.Type{Name: "incoming[]", OID: all, Codec: pgtype.ByteaCodec{}})
	return nil
}

// incoming writes rows in the server's binary forms: numbers are in network order, and each field is its length and its value.
// In an array, its type stands before.
type incoming struct {
	b     []byte
	array bool
}

// A copying is what copyIncoming takes, made as it is read: the server works on the first rows while others are made. It has
// the new alerts of some ids.
type copying struct {
	in   *intake
	ids  []string
	rows incoming // made and not read yet, from at on
	at   int
	end  bool
}

func (in *intake) copying(ids []string) *copying {
	const begin = "PGCOPY\n\xff\r\n\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00" // the form's name, no flags, no extension
	return &copying{in: in, ids: ids, rows: incoming{b: append(in.room[:0], begin...)}}
}

// Read implements io.Reader.
func (c *copying) Read(p []byte) (int, error) {
	if c.at == len(c.rows.b) {
		c.at, c.rows.b = 0, c.rows.b[:0]
	}
	for len(c.rows.b)-c.at < len(p) && !c.end {
		if len(c.ids) == 0 {
			c.rows.b, c.end = append(c.rows.b, 0xff, 0xff), true
			break
		}
		id := c.ids[0]
		c.ids = c.ids[1:]
		if p := c.in.there[id]; p.fresh {
			c.rows.fresh(c.in, id, p)
		}
	}
	n := copy(p, c.rows.b[c.at:])
	if c.at += n; n == 0 && len(p) > 0 {
		c.in.room = c.rows.b
		return 0, io.EOF
	}
	return n, nil
}

// newArray begins an array of count rows of a type.
func newArray(row uint32, count int) *incoming {
	in := &incoming{array: true}
	for _, v := range [...]uint32{1, 0, row, uint32(count), 1} { // one dimension, no NULLs, the rows' type, how many, from 1
		in.b = binary.BigEndian.AppendUint32(in.b, v)
	}
	return in
}

func (in *incoming) field(kind, size int) {
	if in.array {
		in.b = binary.BigEndian.AppendUint32(in.b, uint32(kind))
	}
	in.b = binary.BigEndian.AppendUint32(in.b, uint32(size))
}

func (in *incoming) text(v string) {
	v = plain(v)
	in.field(pgtype.TextOID, len(v))
	in.b = append(in.b, v...)
}

func (in *incoming) number(v int64) {
	in.field(pgtype.Int8OID, 8)
	in.b = binary.BigEndian.AppendUint64(in.b, uint64(v))
}

// fresh adds the row of a new alert.
func (in *incoming) fresh(of *intake, id string, p *present) {
	in.b = binary.BigEndian.AppendUint16(in.b, 6+ofAlert)
	in.text(of.operator)
	in.number(of.received)
	in.text(of.sensor)
	in.text("new")
	in.text("") // nobody has set that
	in.text("") // it is not released
	in.alert(id, p, of.alerts[p.at])
}

// known adds the row of an alert that is there, to an array.
func (in *incoming) known(id string, p *present, a arrival) {
	begin := len(in.b)
	in.b = append(in.b, 0, 0, 0, 0, 0, 0, 0, ofAlert) // the length is written below
	in.alert(id, p, a)
	binary.BigEndian.PutUint32(in.b[begin:], uint32(len(in.b)-begin-4))
}

const ofAlert = 13 // fields that alert adds

func (in *incoming) alert(id string, p *present, of arrival) {
	a := of.alert
	in.text(id)
	in.number(p.arrived)
	in.text(a.Rule)
	for _, v := range [...]int64{int64(a.Severity), book.Nanos(a.First), book.Nanos(a.Last), int64(a.Count)} {
		in.number(v)
	}
	for _, v := range [...]string{a.Proto, a.Client, a.Server, a.Title, a.Incident} {
		in.text(v)
	}
	in.field(pgtype.ByteaOID, len(of.body))
	in.b = append(in.b, of.body...)
}
