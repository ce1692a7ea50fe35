package modbusstation

import "encoding/binary"

// Diagnostic sub-functions (Application Protocol V1.1b3 §6.8).
const (
	returnQuery    = 0
	restart        = 1
	returnRegister = 2
	setDelimiter   = 3
	listenOnly     = 4
	clearCounters  = 10
	busMessages    = 11
	busErrors      = 12
	busExceptions  = 13
	serverMessages = 14
	clearOverrun   = 20
)

func diagnose(u *Unit, b []byte) ([]byte, byte) {
	sub := binary.BigEndian.Uint16(b)
	echo := func(v uint16) ([]byte, byte) { return words(sub, v), 0 }
	switch sub {
	case returnQuery, setDelimiter, clearOverrun:
		return b, 0
	case restart:
		u.silent, u.messages, u.errors, u.events = false, 0, 0, 0
		return b[:4], 0
	case listenOnly:
		u.silent = true
		return nil, 0
	case clearCounters:
		u.messages, u.errors, u.events = 0, 0, 0
		return b[:4], 0
	case returnRegister:
		return echo(0)
	case busMessages, serverMessages:
		return echo(u.messages)
	case busErrors, 15, 16, 17, 18:
		return echo(0)
	case busExceptions:
		return echo(u.errors)
	}
	return nil, illegalValue
}

// readRecord answers the sub-requests (§6.14): reference type 6, file 1.
func readRecord(u *Unit, b []byte) ([]byte, byte) {
	if b[0] < 7 || int(b[0]) != len(b)-1 || b[0]%7 != 0 {
		return nil, illegalValue
	}
	out := []byte{0}
	for b = b[1:]; len(b) > 0; b = b[7:] {
		at, n := int(binary.BigEndian.Uint16(b[3:])), int(binary.BigEndian.Uint16(b[5:]))
		if b[0] != 6 || len(out)+2+2*n > 246 {
			return nil, illegalValue
		}
		if binary.BigEndian.Uint16(b[1:]) != 1 || at+n > len(u.Records) {
			return nil, illegalAddress
		}
		out = append(append(out, byte(2*n+1), 6), words(u.Records[at:at+n]...)...)
	}
	out[0] = byte(len(out) - 1)
	return out, 0
}

// writeRecord does the sub-requests (§6.15) and echoes them.
func writeRecord(u *Unit, b []byte) ([]byte, byte) {
	if int(b[0]) != len(b)-1 {
		return nil, illegalValue
	}
	for rest := b[1:]; len(rest) > 0; {
		if len(rest) < 7 {
			return nil, illegalValue
		}
		at, n := int(binary.BigEndian.Uint16(rest[3:])), int(binary.BigEndian.Uint16(rest[5:]))
		if rest[0] != 6 || len(rest) < 7+2*n {
			return nil, illegalValue
		}
		if binary.BigEndian.Uint16(rest[1:]) != 1 || at+n > len(u.Records) {
			return nil, illegalAddress
		}
		store(u.Records[at:at+n], rest[7:])
		rest = rest[7+2*n:]
	}
	return b, 0
}

func readFIFO(u *Unit, b []byte) ([]byte, byte) {
	if binary.BigEndian.Uint16(b) != 0 || len(u.FIFO) > 31 {
		return nil, illegalAddress
	}
	n := uint16(len(u.FIFO))
	return append(words(2+2*n, n), words(u.FIFO...)...), 0
}

// identify is function 43, MEI 14 (§6.21): basic stream access in parts that fit, and single objects.
func identify(u *Unit, b []byte) ([]byte, byte) {
	const most = 120 // bytes of objects per answer, so that long identities continue
	mei, kind, first := b[0], b[1], int(b[2])
	if mei != 14 {
		return nil, illegalFunction
	}
	if kind < 1 || kind > 4 {
		return nil, illegalValue
	}
	if first >= len(u.Identity) {
		if kind == 4 || len(u.Identity) == 0 {
			return nil, illegalAddress
		}
		first = 0
	}
	last, size := first, 0
	for ; last < len(u.Identity) && (kind != 4 || last == first); last++ {
		if size += 2 + len(u.Identity[last]); size > most && last > first {
			break
		}
	}
	out := []byte{14, kind, 0x81, 0, 0, byte(last - first)}
	if kind != 4 && last < len(u.Identity) {
		out[3], out[4] = 0xff, byte(last)
	}
	for i := first; i < last; i++ {
		out = append(append(out, byte(i), byte(len(u.Identity[i]))), u.Identity[i]...)
	}
	return out, 0
}

// engineer answers function 90 as a controller with an engineering protocol inside Modbus does: session byte,
// sub-function, 0xFE for success and something that depends on it.
func engineer(u *Unit, b []byte) ([]byte, byte) {
	switch sub := b[1]; sub {
	case 0x02, 0x03: // read id, read project
		return append([]byte{b[0], 0xfe}, u.Project...), 0
	case 0x10: // reserve: hands a session out
		return []byte{0x00, 0xfe, 0x21}, 0
	case 0x22: // read variables
		return append([]byte{b[0], 0xfe}, words(u.Holding[:min(4, len(u.Holding))]...)...), 0
	case 0x30, 0x31, 0x32, 0x33, 0x34, 0x35: // upload and download
		return []byte{b[0], 0xfe, 0x00, 0x04}, 0
	case 0x01, 0x11, 0x12, 0x40, 0x41: // open, release, keep alive, start, stop
		return []byte{b[0], 0xfe}, 0
	}
	return []byte{b[0], 0xfd, 0x80}, 0
}
