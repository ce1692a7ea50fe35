package course

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"net/netip"
)

// A table is one kind of rows of the file, a row for each page.
const (
	courseTable   = iota // what was learned
	extentTable          // in which hours its values went how far
	approvalTable        // what was approved
	driftTable           // how far approved ranges were widened
	refusalTable         // what was refused
	tables
)

var (
	errPlace  = errors.New("place beyond the page")
	errLength = errors.New("row of another length")
)

// rest is an error where something is left of a row.
func rest(row []byte) error {
	if len(row) > 0 {
		return errLength
	}
	return nil
}

// rowsOf is how each table is written and read, in the order in which they are to be loaded.
var rowsOf = [tables]struct {
	name string
	row  func(*page) []byte
	load func(*page, []byte) error
}{
	courseTable:   {"course", (*page).row, (*page).load},
	extentTable:   {"extent", (*page).extentRow, (*page).loadExtents},
	approvalTable: {Approvals, (*page).approvalRow, (*page).loadApprovals},
	driftTable:    {"drift", (*page).driftRow, (*page).loadDrift},
	refusalTable:  {"refusal", (*page).refusalRow, (*page).loadRefusals},
}

// Approvals is the table of what was approved.
const Approvals = "approval"

// Tables names the tables, in the order in which Load must be given their rows.
func Tables() (names []string) {
	for _, t := range rowsOf {
		names = append(names, t.name)
	}
	return names
}

// Dirty calls f with each row that has changed since the last call, by the name of its table. None holds values of the
// moment. f keeps both slices.
func (m *Memory) Dirty(f func(table string, key, value []byte)) {
	for _, t := range m.tracks {
		for id, p := range t.pages {
			for n, row := range rowsOf {
				if p.dirty[n] {
					p.dirty[n] = false
					f(row.name, rowKey(t.key, id), row.row(p))
				}
			}
		}
	}
}

// Rows calls f with every row, as Dirty does.
func (m *Memory) Rows(f func(table string, key, value []byte)) {
	for _, t := range m.tracks {
		for id, p := range t.pages {
			for _, row := range rowsOf {
				if value := row.row(p); len(value) > 0 {
					f(row.name, rowKey(t.key, id), value)
				}
			}
		}
	}
}

const keyLen = 16 + 4 + 8

func rowKey(k Key, id uint64) []byte {
	addr := k.Server.As16()
	key := binary.BigEndian.AppendUint32(addr[:], k.Station)
	return binary.BigEndian.AppendUint64(key, id)
}

// Load takes a row of Dirty or Rows, table by table in the order of Tables.
func (m *Memory) Load(table string, key, value []byte) error {
	if len(key) != keyLen {
		return errLength
	}
	t := m.Track(Key{netip.AddrFrom16([16]byte(key[:16])).Unmap(), binary.BigEndian.Uint32(key[16:])}, true)
	p := t.make(binary.BigEndian.Uint64(key[20:]))
	if p == nil {
		return nil // counted in Overflow
	}
	for _, row := range rowsOf {
		if row.name == table {
			return row.load(p, value)
		}
	}
	return errors.New("unknown table " + table)
}

// row is each point of which something was learned: its place in the page, then what was.
func (p *page) row() (row []byte) {
	for i := range p.courses {
		if l := p.courses[i].Learned; l.N > 0 {
			row, _ = binary.Append(append(row, byte(i)), binary.BigEndian, l)
		}
	}
	return row
}

var learnedLen = binary.Size(Learned{})

func (p *page) load(row []byte) error {
	for ; len(row) >= 1+learnedLen; row = row[1+learnedLen:] {
		if row[0] >= pageSize {
			return errPlace
		}
		if _, err := binary.Decode(row[1:], binary.BigEndian, &p.courses[row[0]].Learned); err != nil {
			return err
		}
	}
	return rest(row)
}

func (p *page) extentRow() (row []byte) {
	for i := range p.extents {
		if e := p.extents[i]; e.Lows.N > 0 {
			row, _ = binary.Append(append(row, byte(i)), binary.BigEndian, e)
		}
	}
	return row
}

var extentLen = binary.Size(extent{})

func (p *page) loadExtents(row []byte) error {
	for ; len(row) >= 1+extentLen; row = row[1+extentLen:] {
		if row[0] >= pageSize {
			return errPlace
		}
		e := &p.extents[row[0]]
		if _, err := binary.Decode(row[1:], binary.BigEndian, e); err != nil || e.Lows.N > Hours || e.Highs.N > Hours {
			return errors.Join(err, errors.New("more hours than are kept"))
		}
	}
	return rest(row)
}

// approvalRow is each point that is approved: its place, what was approved, when, and by whom.
func (p *page) approvalRow() (row []byte) {
	for n := range uint8(pageSize) {
		if a := p.approval(n); a != nil {
			row, _ = binary.Append(append(row, n), binary.BigEndian, a.Learned)
			row = binary.BigEndian.AppendUint64(row, uint64(a.by.When))
			who := a.by.Who[:min(len(a.by.Who), 255)]
			row = append(append(row, byte(len(who))), who...)
		}
	}
	return row
}

func (p *page) loadApprovals(row []byte) error {
	head := 1 + learnedLen + 8 + 1
	var by *Grant
	for len(row) >= head && len(row) >= head+int(row[head-1]) {
		var l Learned
		if _, err := binary.Decode(row[1:], binary.BigEndian, &l); err != nil || row[0] >= pageSize {
			return errors.Join(err, errPlace)
		}
		end := head + int(row[head-1])
		g := Grant{string(row[head:end]), int64(binary.BigEndian.Uint64(row[1+learnedLen:]))}
		if by == nil || *by != g { // most points of a page are approved together
			by = &g
		}
		p.approve(row[0], l, by)
		row = row[end:]
	}
	return rest(row)
}

func (p *page) refusalRow() []byte {
	if len(p.refusals) == 0 {
		return nil
	}
	row, err := json.Marshal(p.refusals)
	if err != nil {
		panic(err) // strings and finite numbers
	}
	return row
}

func (p *page) loadRefusals(row []byte) error {
	if len(row) == 0 {
		return nil
	}
	p.refusals = nil
	if err := json.Unmarshal(row, &p.refusals); err != nil {
		return err
	}
	for place, r := range p.refusals {
		if place >= pageSize || r == nil {
			return errPlace
		}
	}
	return nil
}
