package course

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// Dirty calls f with each page that has learned something since the last call, as a row to store: what was learned, and
// none of the values of the moment. f keeps both slices.
func (m *Memory) Dirty(f func(key, value []byte)) {
	for _, t := range m.tracks {
		for id, p := range t.pages {
			if p.dirty {
				p.dirty = false
				f(rowKey(t.key, id), p.row())
			}
		}
	}
}

// Rows calls f with every page, as Dirty does.
func (m *Memory) Rows(f func(key, value []byte)) {
	for _, t := range m.tracks {
		for id, p := range t.pages {
			f(rowKey(t.key, id), p.row())
		}
	}
}

const keyLen = 16 + 4 + 8

func rowKey(k Key, id uint64) []byte {
	addr := k.Server.As16()
	key := binary.BigEndian.AppendUint32(addr[:], k.Station)
	return binary.BigEndian.AppendUint64(key, id)
}

// row is each point of which something was learned: its place in the page, then what was.
func (p *page) row() []byte {
	var row []byte
	for i := range p.courses {
		if l := p.courses[i].learned; l.n > 0 {
			row = append(row, byte(i))
			row, _ = binary.Append(row, binary.BigEndian, stored{l.n, l.changes, l.falls, l.low, l.high, l.step, l.first, l.end, l.steady, l.pause, l.bit, l.kept, l.inconstant, l.bitsLearned})
		}
	}
	return row
}

// stored is learned in the layout of the file.
type stored struct {
	N, Changes, Falls             uint32
	Low, High, Step               float64
	First, End                    int64
	Steady, Pause                 int64
	Bit                           uint16
	Kept, Inconstant, BitsLearned bool
}

var storedLen = binary.Size(stored{})

// Load takes a row that Dirty gave.
func (m *Memory) Load(key, value []byte) error {
	if len(key) != keyLen || len(value)%(1+storedLen) != 0 {
		return errors.New("row of another length")
	}
	server := netip.AddrFrom16([16]byte(key[:16])).Unmap()
	id := binary.BigEndian.Uint64(key[20:])
	t := m.Track(Key{server, binary.BigEndian.Uint32(key[16:])}, true)
	if m.pages >= maxPages {
		m.Overflow++
		return nil
	}
	p := &page{salt: m.salt()}
	m.pages++
	for ; len(value) > 0; value = value[1+storedLen:] {
		var s stored
		if value[0] >= pageSize {
			return errors.New("place beyond the page")
		}
		if _, err := binary.Decode(value[1:], binary.BigEndian, &s); err != nil {
			return err
		}
		p.courses[value[0]].learned = learned{s.N, s.Changes, s.Falls, s.Low, s.High, s.Step, s.First, s.End, s.Steady, s.Pause, s.Bit, s.Kept, s.Inconstant, s.BitsLearned}
	}
	t.pages[id] = p
	return nil
}
