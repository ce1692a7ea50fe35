package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
)

// The blocks of pcapng (draft-ietf-opsawg-pcapng §4) that matter here. All others are passed over.
const (
	blockSection   = 0x0a0d0d0a
	blockInterface = 1
	blockOldPacket = 2
	blockSimple    = 3
	blockPacket    = 6

	byteOrderMagic = 0x1a2b3c4d
	maxIfaces      = 1 << 16
)

// iface is what an interface description says about the packets that name it.
type iface struct {
	link    LinkType
	snaplen uint32
	units   uint64 // time units per second
	offset  int64  // seconds to add
}

func (f *File) openNG() error {
	f.order = binary.LittleEndian
	f.read = f.readNG
	if err := f.section(0); err != nil {
		var damage *Damage
		if errors.As(err, &damage) {
			return fmt.Errorf("%s: not a capture file: pcapng: %s", f.path, damage.Reason)
		}
		return err
	}
	return nil
}

// section reads a section header block, which starts at start and says the byte order of all until the next one.
func (f *File) section(start int64) error {
	head, err := f.take(16)
	if err != nil {
		return f.damage(start, err, "it ends inside a section header")
	}
	switch uint32(byteOrderMagic) {
	case binary.LittleEndian.Uint32(head[8:]):
		f.order = binary.LittleEndian
	case binary.BigEndian.Uint32(head[8:]):
		f.order = binary.BigEndian
	default:
		return f.damage(start, nil, "a section header without the byte order mark")
	}
	size, major := f.order.Uint32(head[4:]), f.order.Uint16(head[12:])
	if size < 28 || size%4 != 0 || major != 1 {
		return f.damage(start, nil, "a section header of version %d claims %d bytes", major, size)
	}
	f.ifaces = f.ifaces[:0]
	if err := f.skip(int64(size) - 16); err != nil {
		return f.damage(start, err, "it ends inside a section header")
	}
	return nil
}

func (f *File) readNG(p *Packet) error {
	for {
		start := f.at
		f.release()
		head, err := f.in.Peek(8)
		if err != nil {
			if len(head) == 0 && errors.Is(err, io.EOF) {
				return io.EOF
			}
			return f.damage(start, err, "it ends inside a block header")
		}
		kind, size := f.order.Uint32(head), f.order.Uint32(head[4:])
		if kind == blockSection {
			if err := f.section(start); err != nil {
				return err
			}
			continue
		}
		if size < 12 || size%4 != 0 {
			return f.damage(start, nil, "a block claims %d bytes", size)
		}
		if kind != blockInterface && kind != blockOldPacket && kind != blockSimple && kind != blockPacket {
			if err := f.skip(int64(size)); err != nil {
				return f.damage(start, err, "it ends inside a block")
			}
			continue
		}
		if size > maxRecord {
			return f.damage(start, nil, "a block claims %d bytes", size)
		}
		block, err := f.take(int(size))
		if err != nil {
			return f.damage(start, err, "a block claims %d bytes, and %d are there", size, len(block))
		}
		if tail := f.order.Uint32(block[size-4:]); tail != size {
			return f.damage(start, nil, "a block claims %d bytes at its start and %d at its end", size, tail)
		}
		body := block[8 : size-4]
		if kind == blockInterface {
			if len(body) < 8 || len(f.ifaces) == maxIfaces {
				return f.damage(start, nil, "an interface description of %d bytes, number %d", len(body), len(f.ifaces))
			}
			f.ifaces = append(f.ifaces, f.describe(body))
			continue
		}
		if why := f.packet(p, kind, body); why != "" {
			return f.damage(start, nil, "%s", why)
		}
		return nil
	}
}

// describe reads an interface description block (§4.2) and the options that bear on time.
func (f *File) describe(body []byte) iface {
	d := iface{link: LinkType(f.order.Uint16(body)), snaplen: f.order.Uint32(body[4:]), units: 1e6}
	for options := body[8:]; len(options) >= 4; {
		code, size := f.order.Uint16(options), int(f.order.Uint16(options[2:]))
		options = options[4:]
		if code == 0 || size > len(options) {
			break
		}
		switch {
		case code == 9 && size == 1: // if_tsresol: a negative power of 2 or of 10
			d.units = resolution(options[0])
		case code == 14 && size == 8: // if_tsoffset
			d.offset = int64(f.order.Uint64(options))
		}
		options = options[min((size+3)&^3, len(options)):]
	}
	return d
}

func resolution(v byte) uint64 {
	power := int(v & 0x7f)
	if v&0x80 != 0 {
		return 1 << min(power, 63)
	}
	units := uint64(1)
	for range min(power, 19) {
		units *= 10
	}
	return units
}

// packet reads one of the three packet blocks (§4.3, §4.4, appendix A), and says what is wrong with it.
func (f *File) packet(p *Packet, kind uint32, body []byte) (why string) {
	fixed := 20
	if kind == blockSimple {
		fixed = 4
	}
	if len(body) < fixed {
		return fmt.Sprintf("a packet block of %d bytes", len(body))
	}
	var incl uint32
	var stamp uint64
	switch kind {
	case blockSimple:
		p.OrigLen = int(f.order.Uint32(body))
		incl = min(uint32(p.OrigLen), uint32(len(body)-4))
	case blockOldPacket:
		p.Iface = int(f.order.Uint16(body))
	default:
		p.Iface = int(f.order.Uint32(body))
	}
	if p.Iface >= len(f.ifaces) {
		return fmt.Sprintf("a packet of interface %d, and %d are described", p.Iface, len(f.ifaces))
	}
	d := &f.ifaces[p.Iface]
	p.Link = d.link
	if kind == blockSimple {
		if d.snaplen != 0 {
			incl = min(incl, d.snaplen)
		}
		p.At = f.last
	} else {
		stamp = uint64(f.order.Uint32(body[4:]))<<32 | uint64(f.order.Uint32(body[8:]))
		incl, p.OrigLen = f.order.Uint32(body[12:]), int(f.order.Uint32(body[16:]))
		p.At = d.time(stamp)
		f.last = p.At
	}
	if int64(incl) > int64(len(body)-fixed) {
		return fmt.Sprintf("a packet claims %d bytes in a block that has room for %d", incl, len(body)-fixed)
	}
	p.Data = body[fixed : fixed+int(incl)]
	p.OrigLen = max(p.OrigLen, int(incl))
	return ""
}

// maxSeconds keeps an absurd time stamp within what nanoseconds can say (the year 2242).
const maxSeconds = 1 << 33

func (d *iface) time(stamp uint64) int64 {
	sec, rest := stamp/d.units, stamp%d.units
	hi, lo := bits.Mul64(rest, 1e9)
	nanos, _ := bits.Div64(hi, lo, d.units)
	total := int64(min(sec, maxSeconds)) + max(min(d.offset, maxSeconds), -maxSeconds)
	return max(min(total, maxSeconds), 0)*1e9 + int64(nanos)
}
