package dnp3station

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"
)

// Application functions (clause 4.2.2.5).
const (
	Confirm            = 0
	Read               = 1
	Write              = 2
	Select             = 3
	Operate            = 4
	DirectOperate      = 5
	DirectOperateNR    = 6
	Freeze             = 7
	FreezeNR           = 8
	FreezeClear        = 9
	FreezeClearNR      = 10
	FreezeAtTime       = 11
	FreezeAtTimeNR     = 12
	ColdRestart        = 13
	WarmRestart        = 14
	InitializeData     = 15
	InitializeApp      = 16
	StartApp           = 17
	StopApp            = 18
	SaveConfig         = 19
	EnableUnsolicited  = 20
	DisableUnsolicited = 21
	AssignClass        = 22
	DelayMeasure       = 23
	RecordTime         = 24
	OpenFile           = 25
	CloseFile          = 26
	DeleteFile         = 27
	FileInfo           = 28
	AuthenticateFile   = 29
	AbortFile          = 30
	ActivateConfig     = 31
	AuthRequest        = 32
	AuthRequestNR      = 33
	Response           = 129
	Unsolicited        = 130
	AuthResponse       = 131
)

// Objects is the object part of a fragment, encoded.
type Objects []byte

// All is a header for all points of a group (qualifier 06).
func All(g, v byte) Objects { return Objects{g, v, 0x06} }

// Range is a header for points start to stop with their data, if any (qualifier 00).
func Range(g, v, start, stop byte, data ...byte) Objects {
	return append(Objects{g, v, 0x00, start, stop}, data...)
}

// Count is a header with a count and no indexes (qualifier 07).
func Count(g, v, n byte, data ...byte) Objects { return append(Objects{g, v, 0x07, n}, data...) }

// At is one point with its data, 8-bit count and index (qualifier 17).
func At(g, v, index byte, data ...byte) Objects {
	return append(Objects{g, v, 0x17, 1, index}, data...)
}

// At16 is one point with its data, 16-bit count and index (qualifier 28).
func At16(g, v byte, index uint16, data ...byte) Objects {
	return append(append(Objects{g, v, 0x28, 1, 0}, le16(index)...), data...)
}

// Free is one object of variable size (qualifier 5B).
func Free(g, v byte, data ...byte) Objects {
	return append(append(Objects{g, v, 0x5b, 1}, le16(uint16(len(data)))...), data...)
}

// Join concatenates objects.
func Join(parts ...Objects) Objects {
	var o Objects
	for _, p := range parts {
		o = append(o, p...)
	}
	return o
}

func le16(v uint16) []byte { return binary.LittleEndian.AppendUint16(nil, v) }
func le32(v uint32) []byte { return binary.LittleEndian.AppendUint32(nil, v) }

// le48 is a DNP3 time: milliseconds since 1970 in UTC.
func le48(t time.Time) []byte {
	return binary.LittleEndian.AppendUint64(nil, uint64(t.UnixMilli()))[:6]
}

func float(v float64) []byte { return le32(math.Float32bits(float32(v))) }

// CROB is a control relay output block (group 12, variation 1).
func CROB(code, count byte, on, off time.Duration) []byte {
	b := append([]byte{code, count}, le32(uint32(on.Milliseconds()))...)
	return append(append(b, le32(uint32(off.Milliseconds()))...), 0)
}

// Control codes of a CROB.
const (
	PulseOn  = 0x01
	LatchOn  = 0x03
	LatchOff = 0x04
	Close    = 0x41
	Trip     = 0x81
)

// sizes of the objects that requests carry data of.
var sizes = map[[2]byte]int{
	{12, 1}: 11, {34, 1}: 2, {34, 2}: 4, {34, 3}: 4, {41, 1}: 5, {41, 2}: 3, {41, 3}: 5, {41, 4}: 9,
	{50, 1}: 6, {50, 2}: 10, {50, 3}: 6, {51, 1}: 6, {52, 1}: 2, {52, 2}: 2, {102, 1}: 1,
}

// head is one object header of a request, with what it carries.
type head struct {
	g, v, q     byte
	start, stop int // of a range
	count       int
	items       []item
	whole       []byte // as it was sent, header included
}

type item struct {
	index int
	data  []byte
}

// heads reads the objects of a request with function fc.
func heads(fc byte, b []byte) ([]head, error) {
	var list []head
	carries := fc == Write || fc >= Select && fc <= DirectOperateNR || fc == FreezeAtTime || fc == FreezeAtTimeNR
	for len(b) > 0 {
		whole := b
		if len(b) < 3 {
			return nil, fmt.Errorf("dnp3: object header of %d bytes", len(b))
		}
		h := head{g: b[0], v: b[1], q: b[2]}
		b = b[3:]
		prefix, need := 0, map[byte]int{0x00: 2, 0x01: 4, 0x06: 0, 0x07: 1, 0x08: 2, 0x17: 1, 0x28: 2, 0x5b: 3}
		n, known := need[h.q]
		if !known || len(b) < n {
			return nil, fmt.Errorf("dnp3: qualifier %02x", h.q)
		}
		switch h.q {
		case 0x00:
			h.start, h.stop = int(b[0]), int(b[1])
		case 0x01:
			h.start, h.stop = int(binary.LittleEndian.Uint16(b)), int(binary.LittleEndian.Uint16(b[2:]))
		case 0x07:
			h.count = int(b[0])
		case 0x08:
			h.count = int(binary.LittleEndian.Uint16(b))
		case 0x17:
			h.count, prefix = int(b[0]), 1
		case 0x28:
			h.count, prefix = int(binary.LittleEndian.Uint16(b)), 2
		case 0x5b:
			h.count = 1
			size := int(binary.LittleEndian.Uint16(b[1:]))
			if len(b) < 3+size {
				return nil, fmt.Errorf("dnp3: object of %d bytes", size)
			}
			h.items = []item{{0, b[3 : 3+size]}}
			n += size
		}
		b = b[n:]
		if h.q <= 0x01 {
			h.count = h.stop - h.start + 1
		}
		size := sizes[[2]byte{h.g, h.v}]
		switch {
		case h.q == 0x5b || h.q == 0x06:
			h.count = 0
		case !carries:
			size = 0
		case h.g == 80: // packed bits
			if len(b) < (h.count+7)/8 {
				return nil, fmt.Errorf("dnp3: packed bits end early")
			}
			h.items = []item{{h.start, b[:(h.count+7)/8]}}
			b, h.count = b[(h.count+7)/8:], 0
		case h.g == 110:
			size = int(h.v)
		}
		for i := range h.count {
			if size+prefix == 0 {
				break
			}
			if len(b) < size+prefix {
				return nil, fmt.Errorf("dnp3: group %d ends in an object", h.g)
			}
			it := item{h.start + i, b[prefix : prefix+size]}
			for j := range prefix {
				if j == 0 {
					it.index = 0
				}
				it.index |= int(b[j]) << (8 * j)
			}
			h.items = append(h.items, it)
			b = b[prefix+size:]
		}
		h.whole = whole[:len(whole)-len(b)]
		list = append(list, h)
	}
	return list, nil
}

// FreezeTime is a time and interval for a freeze (group 50, variation 2).
func FreezeTime(at time.Time, every time.Duration) Objects {
	return Count(50, 2, 1, append(le48(at), le32(uint32(every.Milliseconds()))...)...)
}

// Deadband is an analog input deadband (group 34, variation 1).
func Deadband(index byte, v uint16) Objects { return Range(34, 1, index, index, le16(v)...) }

// Text is an octet string (group 110; the variation is the length).
func Text(index byte, text string) Objects {
	return Range(110, byte(len(text)), index, index, []byte(text)...)
}
