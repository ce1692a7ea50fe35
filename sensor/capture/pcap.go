package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// pcapFormat is what the header of a classic capture file says about its records.
type pcapFormat struct {
	link    LinkType
	unit    int64 // nanoseconds per unit of the time's lower half
	header  int   // bytes before a record's frame
	swapped func(incl, orig uint32) bool
}

// pcapMagics are the first four bytes, read in the byte order of the writer.
var pcapMagics = map[uint32]pcapFormat{
	0xa1b2c3d4: {unit: 1000, header: 16},
	0xa1b23c4d: {unit: 1, header: 16},
	0xa1b2cd34: {unit: 1000, header: 24}, // "modified" pcap of old Linux: interface, protocol and packet type behind the lengths
}

func (f *File) openPcap() error {
	head, err := f.take(24)
	if len(head) >= 4 {
		f.order = binary.LittleEndian
		format, known := pcapMagics[f.order.Uint32(head)]
		if !known {
			f.order = binary.BigEndian
			format, known = pcapMagics[f.order.Uint32(head)]
		}
		if !known {
			return fmt.Errorf("%s: not a capture file: it starts with % x, which is neither pcap nor pcapng", f.path, head[:4])
		}
		f.pcap = format
	}
	if len(head) < 24 {
		return f.refuse(len(head), err)
	}
	major, minor := f.order.Uint16(head[4:]), f.order.Uint16(head[6:])
	if major != 2 {
		return fmt.Errorf("%s: not a capture file that is understood: pcap version %d.%d", f.path, major, minor)
	}
	// Before version 2.3 the two lengths of a record stood in the other order, in 2.3 in either.
	f.pcap.swapped = func(incl, orig uint32) bool { return minor < 3 || minor == 3 && incl > orig }
	f.pcap.link = LinkType(f.order.Uint32(head[20:])) // the upper half tells of checksums at the end of frames
	f.read = f.readPcap
	return nil
}

func (f *File) readPcap(p *Packet) error {
	start := f.at
	head, err := f.take(f.pcap.header)
	if err != nil {
		if len(head) == 0 && errors.Is(err, io.EOF) {
			return io.EOF
		}
		return f.damage(start, err, "it ends inside a record header")
	}
	sec, sub := f.order.Uint32(head), f.order.Uint32(head[4:])
	incl, orig := f.order.Uint32(head[8:]), f.order.Uint32(head[12:])
	if f.pcap.swapped(incl, orig) {
		incl, orig = orig, incl
	}
	if incl > maxRecord {
		return f.damage(start, nil, "a record claims %d bytes", incl)
	}
	p.At = int64(sec)*1e9 + int64(sub)*f.pcap.unit
	p.Link = f.pcap.link
	p.OrigLen = int(max(orig, incl))
	if p.Data, err = f.take(int(incl)); err != nil {
		return f.damage(start, err, "a record claims %d bytes, and %d are there", incl, len(p.Data))
	}
	return nil
}
