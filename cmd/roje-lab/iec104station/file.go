package iec104station

import "time"

// File is what an outstation offers, or has been sent: sections in order.
type File struct {
	Name     uint16
	Sections [][]byte
	Made     time.Time
}

func (f *File) length() (n uint32) {
	for _, s := range f.Sections {
		n += uint32(len(s))
	}
	return n
}

const segment = 200 // bytes of a file in one ASDU

// Qualifiers of file transfer (IEC 60870-5-101 clauses 7.2.6.30 to 7.2.6.32).
const (
	selectFile     = 1
	requestFile    = 2
	requestSection = 6
	lastOfFile     = 1
	lastOfSection  = 3
	ackFile        = 1
	ackSection     = 3
)

// transfer is the file transfer that is going on on a connection.
type transfer struct {
	sections [][]byte
	at       int // section, from 0
	name     uint16
	incoming []byte
}

// checksum is the sum of the bytes mod 256.
func checksum(b []byte) (sum byte) {
	for _, v := range b {
		sum += v
	}
	return sum
}

// ready announces a file; ready to be read, or about to be written.
func (l *link) ready(a ASDU, f *File) error {
	a.Type, a.Objects = 120, []Object{{a.Objects[0].IOA, join(u16(f.Name), u24(f.length()), []byte{0})}}
	return l.send(&a)
}

// sectionReadyNow announces the section that t is at.
func (l *link) sectionReadyNow(a ASDU, t *transfer) error {
	a.Type = 121
	a.Objects = []Object{{a.Objects[0].IOA, join(u16(t.name), []byte{byte(t.at + 1)}, u24(uint32(len(t.sections[t.at]))), []byte{0})}}
	return l.send(&a)
}

// sectionNow sends the section that t is at, in segments, and its checksum.
func (l *link) sectionNow(a ASDU, t *transfer) error {
	ioa, s := a.Objects[0].IOA, t.sections[t.at]
	head := join(u16(t.name), []byte{byte(t.at + 1)})
	for rest := s; len(rest) > 0; {
		n := min(len(rest), segment)
		part := a
		part.Type, part.Objects = 125, []Object{{ioa, join(head, []byte{byte(n)}, rest[:n])}}
		if err := l.send(&part); err != nil {
			return err
		}
		rest = rest[n:]
	}
	a.Type, a.Objects = 123, []Object{{ioa, join(head, []byte{lastOfSection, checksum(s)})}}
	return l.send(&a)
}

// advance takes the acknowledgement of a section: the next one, or the end of the file.
func (l *link) advance(a ASDU, t *transfer) error {
	if t.at++; t.at < len(t.sections) {
		return l.sectionReadyNow(a, t)
	}
	var sum byte
	for _, s := range t.sections {
		sum += checksum(s)
	}
	a.Type, a.Objects = 123, []Object{{a.Objects[0].IOA, join(u16(t.name), []byte{byte(len(t.sections)), lastOfFile, sum})}}
	return l.send(&a)
}

// call asks for a file or for a section.
func (l *link) call(a ASDU, name uint16, section, qualifier byte) error {
	a.Type, a.Objects = 122, []Object{{a.Objects[0].IOA, join(u16(name), []byte{section, qualifier})}}
	return l.send(&a)
}

// acknowledge says that a section or a file has come.
func (l *link) acknowledge(a ASDU, name uint16, section, qualifier byte) error {
	a.Type, a.Objects = 124, []Object{{a.Objects[0].IOA, join(u16(name), []byte{section, qualifier})}}
	return l.send(&a)
}

// The outstation's part.

// reply is a in the other direction, ready to be filled in.
func (d *duty) reply(a *ASDU) ASDU {
	return ASDU{Cause: FileTransfer, OA: a.OA, CA: d.CA, Objects: []Object{{IOA: a.Objects[0].IOA}}}
}

// fileCall answers select, request and directory calls.
func (d *duty) fileCall(a *ASDU) error {
	o := a.Objects[0]
	if a.Cause == Requested {
		return d.directory()
	}
	f := d.Files[o.IOA]
	if f == nil {
		return d.mirror(a, UnknownIOA, true)
	}
	switch o.Data[3] & 0x0f {
	case selectFile:
		d.file = transfer{sections: f.Sections, name: f.Name}
		return d.ready(d.reply(a), f)
	case requestFile:
		return d.sectionReadyNow(d.reply(a), &d.file)
	case requestSection:
		return d.sectionNow(d.reply(a), &d.file)
	}
	return d.mirror(a, FileTransfer, true)
}

// directory lists the files (type 126), the last one marked.
func (d *duty) directory() error {
	var objects []Object
	for ioa := uint32(0); len(objects) < len(d.Files); ioa++ {
		if f := d.Files[ioa]; f != nil {
			var status byte
			if len(objects) == len(d.Files)-1 {
				status = 0x20
			}
			objects = append(objects, Object{ioa, join(u16(f.Name), u24(f.length()), []byte{status}, cp56(f.Made))})
		}
	}
	return d.send(d.report(126, Requested, objects...))
}

func (d *duty) fileAck(a *ASDU) error {
	if a.Objects[0].Data[3]&0x0f == ackSection && d.file.at < len(d.file.sections) {
		return d.advance(d.reply(a), &d.file)
	}
	return nil
}

// fileReady begins to take a file that the master sends.
func (d *duty) fileReady(a *ASDU) error {
	b := a.Objects[0].Data
	d.file = transfer{name: uint16(b[0]) | uint16(b[1])<<8}
	return d.call(d.reply(a), d.file.name, 0, requestFile)
}

func (d *duty) sectionReady(a *ASDU) error {
	return d.call(d.reply(a), d.file.name, a.Objects[0].Data[2], requestSection)
}

func (d *duty) fileSegment(a *ASDU) error {
	d.file.incoming = append(d.file.incoming, a.Objects[0].Data[4:]...)
	return nil
}

// fileLast ends a section or the file, which is kept from then on.
func (d *duty) fileLast(a *ASDU) error {
	b := a.Objects[0].Data
	if b[3] == lastOfSection {
		d.file.sections = append(d.file.sections, d.file.incoming)
		d.file.incoming = nil
		return d.acknowledge(d.reply(a), d.file.name, b[2], ackSection)
	}
	d.mu.Lock()
	d.Files[a.Objects[0].IOA] = &File{Name: d.file.name, Sections: d.file.sections, Made: d.Clock.Now()}
	d.mu.Unlock()
	return d.acknowledge(d.reply(a), d.file.name, b[2], ackFile)
}
