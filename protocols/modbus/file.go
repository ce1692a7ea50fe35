package modbus

import (
	"encoding/binary"

	"github.com/roje-ot/roje/protocols"
)

// A fileRef is one record of a file, or part of it: length registers from record on (6.14).
type fileRef struct{ file, record, length uint16 }

// addr is the record as a point's address: the file in the upper half, the record in the lower.
func (f fileRef) addr() uint32 { return uint32(f.file)<<16 | uint32(f.record) }

const (
	fileReference = 6    // the only reference type
	mostRecord    = 9999 // the last record of a file
	leastFileAsk  = 7    // byte counts of functions 20 and 21
	mostFileAsk   = 245
	// The specification's table gives the request's least count to the response too, but a response that carries one
	// register is 4 bytes: length, reference type, and the register.
	leastFileTell = 4
	leastFileData = 9
	mostFileData  = 251
)

// fileRef reads one sub-request's reference type, file, record and length.
func (d *decoder) fileRef(m *protocols.Message) (f fileRef, ok bool) {
	kind := d.c.U8()
	f = fileRef{d.c.BE16(), d.c.BE16(), d.c.BE16()}
	if d.c.Short {
		return f, false
	}
	if kind != fileReference {
		m.Faults |= protocols.BadValue
	}
	if f.file == 0 || f.record > mostRecord {
		m.Faults |= protocols.BadAddress
	}
	return f, true
}

// fileCount reads the byte count and checks it.
func (d *decoder) fileCount(m *protocols.Message, least, most int) {
	n := int(d.c.U8())
	if d.c.Short {
		return
	}
	if n < least || n > most {
		m.Faults |= protocols.BadQuantity
	}
	if n != d.c.Left() {
		m.Faults |= protocols.BadLength
	}
}

// askFile decodes the request of function 20 (6.14).
func (d *decoder) askFile(m *protocols.Message) {
	d.fileCount(m, leastFileAsk, mostFileAsk)
	answer := 2
	for !d.c.Short && d.c.Left() > 0 {
		f, ok := d.fileRef(m)
		if !ok {
			break
		}
		answer += 2 + 2*int(f.length)
		d.now.files = append(d.now.files, f)
		m.Points = append(m.Points, protocols.Point{Type: fileRecords, Addr: f.addr(), N: max(1, uint32(f.length))})
	}
	if answer > mostLen-1 {
		m.Faults |= protocols.BadQuantity
	}
	d.detail.files = d.now.files
}

// tellFile decodes the response of function 20. A sub-response's length counts the reference type behind it.
func (d *decoder) tellFile(m *protocols.Message) {
	d.fileCount(m, leastFileTell, mostFileAsk)
	if d.now == nil {
		d.detail.data = d.c.Rest()
		return
	}
	d.detail.files = d.now.files
	for i := 0; !d.c.Short && d.c.Left() > 0; i++ {
		n, kind := int(d.c.U8()), d.c.U8()
		b := d.c.Take(n - 1)
		if d.c.Short {
			break
		}
		if kind != fileReference {
			m.Faults |= protocols.BadValue
		}
		if i >= len(d.now.files) || len(b) != 2*int(d.now.files[i].length) {
			m.Faults |= protocols.Mismatch
			continue
		}
		d.record(m, d.now.files[i], b)
	}
}

// record appends the registers of one record.
func (d *decoder) record(m *protocols.Message, f fileRef, b []byte) {
	for i := 0; i+1 < len(b); i += 2 {
		m.Points = append(m.Points, protocols.Point{Type: fileRecords, Addr: f.addr() + uint32(i>>1), N: 1,
			Has: protocols.HasValue, Value: float64(binary.BigEndian.Uint16(b[i:]))})
	}
}

// writeFile decodes function 21, whose response repeats the request (6.15).
func (d *decoder) writeFile(m *protocols.Message) {
	d.fileCount(m, leastFileData, mostFileData)
	files := d.ownFiles[:0]
	for !d.c.Short && d.c.Left() > 0 {
		f, ok := d.fileRef(m)
		if !ok {
			break
		}
		b := d.c.Take(2 * int(f.length))
		files = append(files, f)
		d.record(m, f, b)
	}
	d.ownFiles, d.detail.files = files, files
}
