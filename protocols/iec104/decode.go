package iec104

import (
	"github.com/roje-ot/roje/protocols"
)

// A decoder holds one connection. It is used by one goroutine.
type decoder struct {
	ends    [2]end
	sizes   sizer
	balance int // who is the controlling station: above 0 end 0, below 0 end 1

	k  int   // the most I frames that waited for their acknowledgement, at least the standard's
	t1 int64 // the longest that one waited, at least the standard's

	phase   phase
	actor   protocols.Dir // who asked for the change of phase
	replied bool          // the other end said something else than the confirmation
	sawI    bool

	ownBroadcast bool // the station itself uses the broadcast address as its own

	kin     *protocols.Kin // of the connections between the two stations; nil if it has none
	group   *group         // what they share
	standby bool           // it spoke while another of the group was the active one
	ended   bool           // the connection has ended, as far as the transport tells

	pendings    [32]pending
	nextPending uint8

	det detail
	obj object
}

var _ protocols.Decoder = (*decoder)(nil)

// Lost forgets the place in dir's stream and suspends what depends on having seen all.
func (d *decoder) Lost(dir protocols.Dir) {
	d.ends[dir].lost()
	for i := range d.pendings {
		if d.pendings[i].dir == dir {
			d.pendings[i].used = false // it may have been followed by another that was missed
		}
	}
	d.phase = unknownPhase
	d.sawI = true // or may have been missed
}

// Decode reads one APDU. Every frame completes a message.
func (d *decoder) Decode(f protocols.Frame, m *protocols.Message) bool {
	m.Reset()
	m.Proto, m.Dir, m.Raw, m.Op = Protocol, f.Dir, f.Bytes, protocols.Session
	d.det = detail{u: noU}
	m.Detail = &d.det
	m.Name = "unknown"
	b := f.Bytes
	if len(b) < header {
		m.Faults |= protocols.Short
		m.From, m.Op = d.side(f.Dir), protocols.Other
		return true
	}
	form, legal := control(b)
	if !legal || b[0] != start || b[1] < minLength || b[1] > maxLength {
		m.Faults |= protocols.BadHeader
	}
	n := 2 + int(b[1])
	if len(b) > n {
		m.Faults |= protocols.TrailingBytes
		b = b[:max(n, header)]
	}
	whole := len(b) == n
	if !whole {
		m.Faults |= protocols.Short
	}
	d.det.format = form
	switch form {
	case formatU:
		d.unnumbered(f, b, m)
	case formatS:
		m.Name = formatNames[form]
		d.det.nr = receiveNumber(b)
		m.From = d.side(f.Dir)
		m.Faults |= d.acked(f.Dir, d.det.nr, f.At)
	default:
		d.numbered(f, b, whole, m)
	}
	if d.phase == starting && f.Dir != d.actor {
		d.replied = true
	}
	return true
}

// unnumbered reads a U frame.
func (d *decoder) unnumbered(f protocols.Frame, b []byte, m *protocols.Message) {
	u := unnumbered(b[2])
	d.det.u, m.Name = u, uNames[u]
	m.From = d.side(f.Dir)
	if u == noU {
		return
	}
	if u < testAct {
		side := protocols.Client
		if u%2 == 1 {
			side = protocols.Server
		}
		if !d.spoke(f.Dir, side, startWeight) {
			m.Faults |= protocols.BadDirection
		}
		m.From = d.side(f.Dir)
		d.turned(f.Dir, u)
		if u == startCon {
			d.carries()
		}
	}
	d.kindred()
	d.pairU(f.Dir, u, m, f.At)
}

// numbered reads an I frame.
func (d *decoder) numbered(f protocols.Frame, b []byte, whole bool, m *protocols.Message) {
	d.det.ns, d.det.nr = sendNumber(b), receiveNumber(b)
	m.From, m.Op = d.side(f.Dir), protocols.Other
	d.asdu(f, b[header:], whole, m)
	m.Faults |= d.acked(f.Dir, d.det.nr, f.At) | d.sentI(f.Dir, d.det.ns, f.At)
	if !d.mayTransfer(f.Dir) {
		m.Faults |= protocols.OutOfTurn
	}
	d.sawI = true
	if d.phase == unknownPhase {
		d.carries()
	}
}

// asdu reads what an I frame carries.
func (d *decoder) asdu(f protocols.Frame, a []byte, whole bool, m *protocols.Message) {
	det := &d.det
	m.Body = a
	if len(a) == 0 {
		m.Name = formatNames[formatI]
		m.Faults |= protocols.Short
		return
	}
	r := rowOf[a[0]]
	det.typ, det.has = a[0], hasType
	m.HasCode, m.Code = true, uint16(a[0])
	switch {
	case r != nil:
		m.Name, m.Op = r.name, r.op
	case a[0] >= 128:
		m.Name = "private"
	default:
		m.Faults |= protocols.BadCode
	}
	if whole {
		d.sizes.learn(r, a)
	}
	det.sizing = d.sizes.use
	z := d.sizes.sizing()
	head := 2 + int(z.cause) + int(z.common)
	if !d.head(a, z, m) {
		m.Faults |= protocols.Short
		return
	}
	if r == nil {
		return
	}
	m.Faults |= d.sender(r, f.Dir)
	m.From = d.side(f.Dir)
	if m.From == protocols.Server {
		m.Status = status(det.cause, det.pn)
	}
	d.obj.at = f.At
	det.at = f.At
	body := a[head:]
	if r.form&bodyless != 0 {
		d.guarded(r, body, m)
	} else {
		d.structure(r, m)
		body = body[d.objects(r, body, int(det.n), det.sq, m):]
		d.follow(r, f.Dir, body, m)
		m.Faults |= d.addresses(r, m)
		d.pair(r, m, f.At, d.elements(r, a[head:], z))
	}
}

// head reads type, qualifier, cause and common address; false if they are not all there.
func (d *decoder) head(a []byte, z *sizing, m *protocols.Message) bool {
	det := &d.det
	if len(a) >= 2 {
		det.n, det.sq, det.has = a[1]&0x7f, a[1]&0x80 != 0, det.has|hasVSQ
	}
	if len(a) >= 3 {
		det.cause, det.pn, det.test, det.has = a[2]&0x3f, a[2]&0x40 != 0, a[2]&0x80 != 0, det.has|hasCause
	}
	at := 2 + int(z.cause)
	if z.cause == 2 && len(a) >= 4 {
		det.origin, det.has = a[3], det.has|hasOrigin
		m.Master, m.HasMaster = uint32(a[3]), a[3] != 0
	}
	if len(a) < at+int(z.common) {
		return false
	}
	det.common, det.has = little(a[at:at+int(z.common)]), det.has|hasCommon
	m.Station, m.HasStation = det.common, true
	return true
}

// sender weighs who sent this and checks cause and direction.
func (d *decoder) sender(r *row, dir protocols.Dir) protocols.Faults {
	side, known, legal := r.class.sender(d.det.cause)
	switch {
	case !legal:
		return protocols.BadCause
	case known && !d.spoke(dir, side, messageWeight):
		return protocols.BadDirection
	}
	return 0
}

// structure checks the variable structure qualifier (7.2.2) against the type.
func (d *decoder) structure(r *row, m *protocols.Message) {
	if d.det.n == 0 || d.det.n > 1 && r.form&single != 0 {
		m.Faults |= protocols.BadQuantity
	}
	if d.det.sq && r.form&runs == 0 {
		m.Faults |= protocols.BadHeader
	}
}

// objects reads n information objects from b into points and returns how many octets they took.
func (d *decoder) objects(r *row, b []byte, n int, run bool, m *protocols.Message) int {
	z, o := d.sizes.sizing(), &d.obj
	o.row, o.det, o.faults = r, &d.det, 0
	pos, addr := 0, uint32(0)
	for i := 0; i < n; i++ {
		size := r.size
		if !run || i == 0 {
			size += int(z.object)
		}
		if pos+size > len(b) {
			m.Faults |= protocols.Short
			break
		}
		if !run || i == 0 {
			addr = little(b[pos : pos+int(z.object)])
			pos += int(z.object)
		}
		m.Points = append(m.Points, protocols.Point{Kind: r.kind, Type: uint16(r.id), Addr: addr, N: 1})
		o.p = &m.Points[len(m.Points)-1]
		for _, e := range r.shape {
			e.read(o, b[pos:pos+e.size])
			pos += e.size
		}
		o.flag(d.det.test, protocols.TestBit)
		addr++
	}
	m.Faults |= o.faults
	return pos
}

// follow takes what stands behind the objects: the data of a segment; anything else does not belong there.
func (d *decoder) follow(r *row, dir protocols.Dir, rest []byte, m *protocols.Message) {
	var data []byte
	if r.form&segment != 0 && len(m.Points) == 1 {
		n := int(d.det.file.length)
		if n > len(rest) {
			n = len(rest)
			m.Faults |= protocols.Short
		}
		data, rest = rest[:n], rest[n:]
	}
	if m.Faults&protocols.Short == 0 {
		if r.class == files && len(m.Points) == 1 {
			m.Faults |= d.ends[dir].transfer.moved(&d.det, data)
		}
		if len(rest) > 0 && d.det.n > 0 {
			m.Faults |= protocols.TrailingBytes
		}
	}
}

// addresses checks the common address (7.2.4) and the object addresses (7.2.5). Stations in the field number their
// data from 0; a command to 0 is one to nothing.
func (d *decoder) addresses(r *row, m *protocols.Message) (f protocols.Faults) {
	z, ca := d.sizes.sizing(), d.det.common
	switch {
	case ca == 0:
		f = protocols.BadAddress
	case ca == 1<<(8*z.common)-1 && !d.ownBroadcast && !mayBroadcast(r.id):
		f = protocols.BadAddress
		// A station that reports under the broadcast address has it for its own: that is said once.
		d.ownBroadcast = m.From == protocols.Server
	}
	for i := range m.Points {
		addr := m.Points[i].Addr
		if addr >= 1<<(8*z.object) || r.class.address == zero && addr != 0 || r.class.address == nonzero && addr == 0 && r.class.control != 0 {
			return f | protocols.BadAddress
		}
	}
	return f
}

// mayBroadcast says which types may be sent to all stations: clause 7.2.4 allows interrogations, clock and reset.
func mayBroadcast(id uint8) bool { return id == 100 || id == 101 || id == 103 || id == 105 }

// elements returns the first object's elements without its time tag.
func (d *decoder) elements(r *row, b []byte, z *sizing) []byte {
	if end := int(z.object) + r.bare; end <= len(b) {
		return b[z.object:end]
	}
	return nil
}
