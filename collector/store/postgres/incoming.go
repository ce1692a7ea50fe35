package postgres

import (
	"context"
	"encoding/binary"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/roje-ot/roje/collector/store/book"
	"github.com/roje-ot/roje/rules"
)

// insertIncoming and updateFromIncoming make alerts of an array of the schema's type incoming: the alerts of a batch are one
// argument. COPY does not write to a table with row-level security; to copy to a table beside and to read that again costs the
// server more than to read an argument, and an array for each column costs pgx more.
const (
	insertIncoming = `INSERT INTO alerts (operator, id, arrived, updated, sensor, rule, severity, first, last, count, proto, client, server, title, incident,
		status, status_by, tlp, body) SELECT ?, id, arrived, ?, ?, rule, severity, first, last, count, proto, client, server, title, incident, 'new', '', '', body
		FROM unnest(?::incoming[])`
	updateFromIncoming = `UPDATE alerts SET updated = ?, rule = i.rule, severity = i.severity, first = i.first, last = i.last, count = i.count, proto = i.proto,
		client = i.client, server = i.server, title = i.title, incident = i.incident, body = i.body
		FROM unnest(?::incoming[]) i WHERE operator = ? AND alerts.id = i.id`
)

const maxRoom = 1 << 20 // bytes that a connection keeps for the rows of its next batch

// knowIncoming asks for the number of the type, and tells pgx that what is given for an array of it is in the server's form.
func (c *conn) knowIncoming(ctx context.Context) error {
	var all uint32
	if err := c.QueryRow(ctx, `SELECT 'incoming'::regtype::oid, 'incoming[]'::regtype::oid`).Scan(&c.incoming, &all); err != nil {
		return err
	}
	c.TypeMap().RegisterType(&pgtype.Type{Name: "incoming[]", OID: all, Codec: pgtype.ByteaCodec{}})
	return nil
}

// incoming writes rows of the type in the server's binary form of an array: numbers in network order; a row is its
// length, the number of its fields, and for each its type, its length and its value.
type incoming []byte

// newIncoming begins an array of count rows of a type.
func newIncoming(room []byte, row uint32, count int) incoming {
	b := incoming(room[:0])
	for _, v := range [...]uint32{1, 0, row, uint32(count), 1} { // one dimension, no NULLs, the rows' type, how many, from 1
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}

func (b *incoming) field(kind, size int) {
	*b = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(*b, uint32(kind)), uint32(size))
}

func (b *incoming) text(v string) {
	v = plain(v)
	b.field(pgtype.TextOID, len(v))
	*b = append(*b, v...)
}

func (b *incoming) number(v int64) {
	b.field(pgtype.Int8OID, 8)
	*b = binary.BigEndian.AppendUint64(*b, uint64(v))
}

// alert adds a row.
func (b *incoming) alert(id string, arrived int64, a *rules.Alert, body []byte) {
	begin := len(*b)
	*b = append(*b, 0, 0, 0, 0, 0, 0, 0, 13) // the length is written below
	b.text(id)
	b.number(arrived)
	b.text(a.Rule)
	for _, v := range [...]int64{int64(a.Severity), book.Nanos(a.First), book.Nanos(a.Last), int64(a.Count)} {
		b.number(v)
	}
	for _, v := range [...]string{a.Proto, a.Client, a.Server, a.Title, a.Incident} {
		b.text(v)
	}
	b.field(pgtype.ByteaOID, len(body))
	*b = append(*b, body...)
	binary.BigEndian.PutUint32((*b)[begin:], uint32(len(*b)-begin-4))
}
