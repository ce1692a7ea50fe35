package postgres

import (
	"bytes"
	"encoding/binary"

	"github.com/roje-ot/roje/collector/store/book"
	"github.com/roje-ot/roje/rules"
)

// stagingTable is what alerts are copied to: COPY does not write to a table with row-level security. It is of one
// connection, is not logged, and is empty again at each commit.
const stagingTable = `CREATE TEMP TABLE incoming (
	fresh boolean NOT NULL, id text NOT NULL, arrived bigint NOT NULL, rule text NOT NULL, severity bigint NOT NULL,
	first bigint NOT NULL, last bigint NOT NULL, count bigint NOT NULL,
	proto text NOT NULL, client text NOT NULL, server text NOT NULL, title text NOT NULL, incident text NOT NULL, body bytea NOT NULL
) ON COMMIT DELETE ROWS`

const copyIncoming = `COPY incoming FROM STDIN (FORMAT binary)`

// moveIncoming and updateFromIncoming make alerts of what was copied.
const (
	moveIncoming = `INSERT INTO alerts (operator, id, arrived, updated, sensor, rule, severity, first, last, count, proto, client, server, title, incident,
		status, status_by, tlp, body) SELECT ?, id, arrived, ?, ?, rule, severity, first, last, count, proto, client, server, title, incident, 'new', '', '', body
		FROM incoming WHERE fresh`
	updateFromIncoming = `UPDATE alerts SET updated = ?, rule = i.rule, severity = i.severity, first = i.first, last = i.last, count = i.count, proto = i.proto,
		client = i.client, server = i.server, title = i.title, incident = i.incident, body = i.body FROM incoming i WHERE operator = ? AND alerts.id = i.id AND NOT i.fresh`
)

// A staging writes the rows of stagingTable in the binary form of COPY: each field is its length in four bytes and its
// value, numbers in network order.
type staging struct{ bytes.Buffer }

func newStaging() *staging {
	s := &staging{}
	s.WriteString("PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00") // signature, no flags, no extension
	return s
}

func (s *staging) end() { s.Write([]byte{0xff, 0xff}) }

func (s *staging) bytes(v []byte) {
	s.Write(binary.BigEndian.AppendUint32(s.AvailableBuffer(), uint32(len(v))))
	s.Write(v)
}

func (s *staging) text(v string) {
	v = plain(v)
	s.Write(binary.BigEndian.AppendUint32(s.AvailableBuffer(), uint32(len(v))))
	s.WriteString(v)
}

func (s *staging) number(v int64) {
	s.Write(binary.BigEndian.AppendUint64([]byte{0, 0, 0, 8}, uint64(v)))
}

func (s *staging) alert(fresh bool, id string, arrived int64, a *rules.Alert, body []byte) {
	s.Write([]byte{0, 14, 0, 0, 0, 1, map[bool]byte{true: 1}[fresh]}) // fourteen fields, and the first
	s.text(id)
	s.number(arrived)
	s.text(a.Rule)
	s.number(int64(a.Severity))
	s.number(book.Nanos(a.First))
	s.number(book.Nanos(a.Last))
	s.number(int64(a.Count))
	for _, v := range [...]string{a.Proto, a.Client, a.Server, a.Title, a.Incident} {
		s.text(v)
	}
	s.bytes(body)
}
