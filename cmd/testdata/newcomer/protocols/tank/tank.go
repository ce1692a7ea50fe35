// Package tank decodes the Tank Gauge Protocol, which was made up to show how a protocol is added: see
// docs/adding-a-protocol.md.
//
//	54 4b LEN | SEQ CODE TANK ...                            | SUM
//	 "TK"     |          request:  read: nothing, set: VALUE | of all bytes before, modulo 256
//	          |          response: CODE+80, STATUS, VALUE    |
//
// LEN counts the bytes between itself and SUM. VALUE has two bytes, the most significant first. A response has the
// number of its request.
package tank

import (
	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/protocols/wire"
)

// Protocol is the row of the catalog.
var Protocol = &protocols.Protocol{
	Name:  "tank",
	Title: "Tank Gauge Protocol",
	TCP:   []uint16{5557},
	Codes: []protocols.Code{
		{Code: readLevel, Name: "read_level", Op: protocols.Read, Depth: "request and response, value"},
		{Code: setLimit, Name: "set_limit", Op: protocols.Write, Depth: "request and response, value"},
	},
	Field: []protocols.Field{
		{Name: "seq", Doc: "number of the request", Int: func(m *protocols.Message) (int64, bool) { return int64(m.Detail.(*detail).seq), true }},
	},
	New:          func(protocols.Hint) protocols.Decoder { return &decoder{} },
	Probe:        probe,
	AppendStatus: func(dst []byte, status uint32) []byte { return append(dst, statusWords[min(status, 3)]...) },
}

const (
	readLevel = 1
	setLimit  = 2
	response  = 0x80
	overhead  = 4 // start, LEN and SUM
	leastLen  = 3 // SEQ, CODE and TANK
)

var statusWords = [...]string{"ok", "no_such_tank", "refused", "unknown"}

// front judges what stands at the front of b: a frame of n bytes, perhaps one (0), or none (-1).
func front(b []byte) (n int) {
	switch {
	case len(b) > 0 && b[0] != 'T', len(b) > 1 && b[1] != 'K', len(b) > 2 && b[2] < leastLen:
		return -1
	case len(b) < 3 || len(b) < int(b[2])+overhead:
		return 0
	}
	n = int(b[2]) + overhead
	if sum(b[:n-1]) != b[n-1] {
		return -1
	}
	return n
}

func sum(b []byte) (s byte) {
	for _, v := range b {
		s += v
	}
	return s
}

// probe wants two frames in a row.
func probe(b []byte, last bool) protocols.Guess {
	for range 2 {
		n := front(b)
		if n < 0 || n == 0 && last {
			return protocols.No
		}
		if n == 0 {
			return protocols.Maybe
		}
		b = b[n:]
	}
	return protocols.Yes
}

type detail struct{ seq uint8 }

type decoder struct {
	detail detail
	asked  [256]int64 // when the request with that number was sent; 0 if none waits
}

// Split implements protocols.Decoder.
func (d *decoder) Split(_ protocols.Dir, b []byte, last bool) (skip, n int) {
	for ; skip < len(b); skip++ {
		if n := front(b[skip:]); n > 0 || n == 0 && !last {
			return skip, n
		}
	}
	return skip, 0
}

// Lost implements protocols.Decoder.
func (d *decoder) Lost(protocols.Dir) { d.asked = [256]int64{} }

// Decode implements protocols.Decoder.
func (d *decoder) Decode(f protocols.Frame, m *protocols.Message) bool {
	m.Reset()
	m.Proto, m.Dir, m.Raw, m.Detail, m.Name = Protocol, f.Dir, f.Bytes, &d.detail, "unknown"
	m.Body = f.Bytes[min(3, len(f.Bytes)):max(min(3, len(f.Bytes)), len(f.Bytes)-1)]
	c := wire.New(m.Body)
	d.detail.seq = c.U8()
	code := c.U8()
	m.Station, m.HasStation = uint32(c.U8()), true
	m.Code, m.HasCode = uint16(code&^response), true
	if row, ok := Protocol.Code(m.Code); ok {
		m.Name, m.Op = row.Name, row.Op
	} else {
		m.Faults |= protocols.BadCode
	}
	asked := &d.asked[d.detail.seq]
	if code&response == 0 {
		m.Turn, *asked = protocols.Request, f.At
	} else {
		m.From, m.Turn = protocols.Server, protocols.Unpaired
		if *asked != 0 {
			m.Turn, m.RTT, *asked = protocols.Response, f.At-*asked, 0
		}
		m.Status = uint32(c.U8())
	}
	if c.Left() >= 2 {
		m.Points = append(m.Points, protocols.Point{Kind: protocols.AnalogIn, Addr: m.Station, N: 1, Has: protocols.HasValue, Value: float64(c.BE16())})
	}
	if c.Short {
		m.Faults |= protocols.Short
	} else if c.Left() > 0 {
		m.Faults |= protocols.TrailingBytes
	}
	return true
}
