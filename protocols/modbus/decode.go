package modbus

import (
	"encoding/binary"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/protocols/wire"
)

// A decoder is the state of one connection.
type decoder struct {
	datagram  bool
	framing   framing // of the last frame in either direction
	delimiter byte    // last byte of an ASCII frame besides LF; LF until diagnostic 3 sets another (6.8.1)
	streams   [2]stream
	roles     roles
	turns     turns
	parts     parts
	ownFiles  []fileRef // of function 21

	// Of the message that is being decoded:
	detail detail
	pdu    []byte
	c      wire.Cursor // over pdu, behind the function code
	now    *exchange   // a request's own, or the one that a response belongs to; nil if that was not seen
	text   []byte      // the bytes of an ASCII frame
}

var _ protocols.Decoder = (*decoder)(nil)

func newDecoder(h protocols.Hint) protocols.Decoder {
	d := &decoder{datagram: h.Datagram, delimiter: '\n'}
	d.roles.hinted, d.roles.server = h.Known, h.Server&1
	for i := range d.streams {
		d.streams[i].fresh = true
	}
	return d
}

// Decode implements protocols.Decoder.
func (d *decoder) Decode(f protocols.Frame, m *protocols.Message) bool {
	m.Reset()
	d.detail = detail{}
	m.Proto, m.Dir, m.Raw, m.Detail, m.Name = Protocol, f.Dir&1, f.Bytes, &d.detail, unknownName
	adu := d.unwrap(f, m)
	if len(adu) > 0 {
		m.Station, m.HasStation = uint32(adu[0]), true
	}
	if len(adu) < 2 {
		m.Faults |= protocols.Short
		m.From, _ = d.roles.side(m.Dir, false)
		return true
	}
	d.pdu = adu[1:]
	m.Body = d.pdu
	d.c = wire.New(d.pdu[1:])
	d.assign(m)
	fc := d.pdu[0]
	m.HasCode, m.Code = true, uint16(fc&0x7f)
	if r := &rows[fc&0x7f]; r.name != "" {
		m.Name, m.Op = r.name, r.op
		m.Faults |= r.fault
	} else {
		m.Faults |= protocols.BadCode
	}
	if m.From == protocols.Client {
		d.request(f.At, m)
	} else {
		d.response(f.At, m)
	}
	if d.c.Short {
		m.Faults |= protocols.Short
	} else if d.c.Left() > 0 {
		m.Faults |= protocols.TrailingBytes
	}
	if m.Faults&(protocols.Short|protocols.TrailingBytes) != 0 && d.detail.framing == mbap {
		d.detail.has |= hasLength
	}
	return true
}

// unwrap takes the framing off: what is left is the unit and the PDU.
func (d *decoder) unwrap(f protocols.Frame, m *protocols.Message) []byte {
	d.detail.framing = d.streams[m.Dir].framing
	switch b := f.Bytes; d.detail.framing {
	case rtu:
		if !crcOK(b) {
			m.Faults |= protocols.BadChecksum
		}
		return b[:max(0, len(b)-2)]
	case ascii:
		d.text = unhex(d.text[:0], b)
		var sum byte
		for _, c := range d.text {
			sum += c
		}
		if sum != 0 {
			m.Faults |= protocols.BadChecksum
		}
		return d.text[:max(0, len(d.text)-1)]
	default:
		d.detail.framing = mbap
		if len(b) < headerLen {
			return nil
		}
		d.detail.tid, d.detail.pid, d.detail.length = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint16(b[4:])
		d.detail.has |= hasTID
		if d.detail.pid != 0 {
			m.Faults |= protocols.BadHeader
			d.detail.has |= hasPID
		}
		if int(d.detail.length) != len(b)-6 {
			m.Faults |= protocols.Short
			d.detail.has |= hasLength
		}
		return b[6:]
	}
}

// assign says which side sent the PDU.
func (d *decoder) assign(m *protocols.Message) {
	asks, tells := shape(d.pdu, len(d.pdu))
	d.roles.note(m.Dir, asks, tells)
	answers := !asks && tells
	if asks == tells && !d.roles.hinted {
		answers = d.turns.echoed(m.Dir, d.detail.tid, byte(m.Station), sumOf(d.pdu))
	}
	side, changed := d.roles.side(m.Dir, answers)
	if changed {
		d.turns, d.parts = turns{all: d.turns.all[:0]}, parts{}
	}
	m.From = side
	if asks != tells && asks != (side == protocols.Client) {
		m.Faults |= protocols.BadDirection
	}
}

// request decodes what a client sent and remembers it.
func (d *decoder) request(at int64, m *protocols.Message) {
	r, fc, unit := &rows[d.pdu[0]&0x7f], d.pdu[0], byte(m.Station)
	e := d.turns.ask()
	e.at, e.tid, e.unit, e.fc, e.sum, e.dir = at, d.detail.tid, unit, fc, sumOf(d.pdu), m.Dir
	d.now = e
	switch {
	case fc&0x7f == 0 || fc&0x80 != 0:
		m.Faults |= protocols.BadCode
		d.detail.data = d.c.Rest()
		return
	case r.request != nil:
		r.request(d, m)
	default:
		d.opaque()
	}
	e.stage = waiting
	d.turns.supersede(e)
	if m.Turn == protocols.Alone && d.expects(m) {
		m.Turn = protocols.Request
	}
}

// expects reports whether an answer to the request must come. Unit 0 is a broadcast on a serial line and for writes;
// over MBAP it can also be the device itself, which then answers (Messaging on TCP/IP 4.4.2.2).
func (d *decoder) expects(m *protocols.Message) bool {
	switch {
	case d.pdu[0] == diagnosticsCode && d.detail.sub == forceListenOnly:
		return false
	case m.Station != 0 || d.turns.unitZero:
		return true
	}
	return d.detail.framing == mbap && m.Op != protocols.Write
}

// response decodes what a server sent, in the light of its request.
func (d *decoder) response(at int64, m *protocols.Message) {
	fc := d.pdu[0]
	r := &rows[fc&0x7f]
	answer := reply{tid: d.detail.tid, unit: byte(m.Station), fc: fc & 0x7f, exception: fc&0x80 != 0, sum: sumOf(d.pdu), pdu: d.pdu}
	d.now, m.Turn = d.turns.match(&answer)
	if e := d.now; e != nil {
		if m.Turn != protocols.Duplicate {
			e.stage, e.answer = answered, answer.sum
			m.RTT = max(0, at-e.at) // clocks of captures go back at times
		}
		if e.tid != d.detail.tid {
			d.detail.asked = e.tid
			d.detail.has |= hasAsked
		}
		if !answer.fits(e) {
			m.Faults |= protocols.Mismatch
		}
		d.turns.unitZero = d.turns.unitZero || m.Station == 0
	}
	switch {
	case answer.exception:
		d.exception(m)
	case fc == 0:
		m.Faults |= protocols.BadCode
		d.detail.data = d.c.Rest()
	case r.response != nil:
		r.response(d, m)
	default:
		d.opaque()
	}
}

// exception decodes an exception response (6, 7).
func (d *decoder) exception(m *protocols.Message) {
	code := d.c.U8()
	if d.c.Short {
		return
	}
	d.detail.exception = code
	d.detail.has |= hasException
	m.Status = uint32(code)
	if exceptionNames[code] == "" {
		m.Faults |= protocols.BadValue
	}
	if m.Status == 0 {
		m.Status = noException
	}
	e := d.now
	if e == nil {
		return
	}
	switch rows[e.fc].subject {
	case rangeSubject:
		d.detail.addr, d.detail.count = e.addr, e.count
		d.detail.has |= hasAddr | hasCount
	case subSubject:
		d.setSub(e.sub)
	}
	if e.fc == meiCode {
		d.detail.mei = e.mei
		d.detail.has |= hasMEI
	}
	d.refine(m)
}

// opaque keeps the bytes of a PDU whose content no public document tells.
func (d *decoder) opaque() { d.detail.data = d.c.Rest() }
