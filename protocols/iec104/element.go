package iec104

import (
	"encoding/binary"
	"math"

	"github.com/roje-ot/roje/protocols"
)

// An element is one information element of IEC 60870-5-101 clause 7.2.6, or one field of the objects made of them.
type element struct {
	name string
	size int
	read func(o *object, b []byte) // b holds size octets
}

// An object is the information object that is being read: where its elements leave what they say.
type object struct {
	row    *row
	p      *protocols.Point
	det    *detail
	at     int64 // when the frame arrived, for times that need a date
	faults protocols.Faults
}

func (o *object) value(v float64) {
	o.p.Value = v
	o.p.Has |= protocols.HasValue
}

// quality takes the four bits that all quality descriptors share (7.2.6.1 to 7.2.6.4): BL, SB, NT, IV in 5 to 8.
func (o *object) quality(b byte) {
	o.p.Quality |= protocols.Quality(b>>4) << 1
	o.p.Has |= protocols.HasQuality
}

// flag adds one quality bit if it is set; a bit that is not in an element's quality descriptor says nothing if clear.
func (o *object) flag(set bool, q protocols.Quality) {
	if set {
		o.p.Quality |= q
		o.p.Has |= protocols.HasQuality
	}
}

// order takes the control octet of a command: its S/E bit and the qualifier between it and the state.
func (o *object) order(b, qualifier byte) {
	o.p.Control = b
	o.p.Has |= protocols.HasControl
	o.det.selects, o.det.has = b&0x80 != 0, o.det.has|hasSelect
	o.qualifier(qualifier)
}

// qualifier takes the number that says how the message is meant.
func (o *object) qualifier(b byte) {
	o.det.qualifier = b
	o.det.has |= hasQualifier
}

// within faults a number that lies in none of the ranges that the standard gives a meaning or leaves to the vendor.
func (o *object) within(b byte, ranges ...byte) {
	for i := 0; i+1 < len(ranges); i += 2 {
		if ranges[i] <= b && b <= ranges[i+1] {
			return
		}
	}
	o.faults |= protocols.BadValue
}

// The elements, in the order of clause 7.2.6.
var (
	siq = element{"SIQ", 1, func(o *object, b []byte) { o.value(float64(b[0] & 1)); o.quality(b[0]) }}
	diq = element{"DIQ", 1, func(o *object, b []byte) { o.value(float64(b[0] & 3)); o.quality(b[0]) }}
	qds = element{"QDS", 1, func(o *object, b []byte) { o.quality(b[0]); o.flag(b[0]&1 != 0, protocols.Overflow) }}
	qdp = element{"QDP", 1, func(o *object, b []byte) { o.quality(b[0]); o.flag(b[0]&8 != 0, protocols.ElapsedInvalid) }}
	vti = element{"VTI", 1, func(o *object, b []byte) {
		o.value(float64(int8(b[0]<<1) >> 1))
		o.flag(b[0]&0x80 != 0, protocols.Transient)
	}}
	bsi = element{"BSI", 4, func(o *object, b []byte) { o.value(float64(binary.LittleEndian.Uint32(b))) }}
	nva = element{"NVA", 2, func(o *object, b []byte) { o.value(float64(int16(binary.LittleEndian.Uint16(b))) / 32768) }}
	sva = element{"SVA", 2, func(o *object, b []byte) { o.value(float64(int16(binary.LittleEndian.Uint16(b)))) }}
	r32 = element{"R32", 4, readR32}
	bcr = element{"BCR", 5, readBCR}
	sep = element{"SEP", 1, func(o *object, b []byte) {
		o.value(float64(b[0] & 3))
		o.quality(b[0])
		o.flag(b[0]&8 != 0, protocols.ElapsedInvalid)
	}}
	spe = element{"SPE", 1, func(o *object, b []byte) { o.value(float64(b[0] & 0x3f)) }}
	oci = element{"OCI", 1, func(o *object, b []byte) { o.value(float64(b[0] & 0x0f)) }}
	scd = element{"SCD", 4, func(o *object, b []byte) {
		o.value(float64(binary.LittleEndian.Uint16(b)))
		o.p.OnMS = uint32(binary.LittleEndian.Uint16(b[2:])) // read by the field "changed"
	}}

	sco = element{"SCO", 1, func(o *object, b []byte) { o.value(float64(b[0] & 1)); o.order(b[0], b[0]>>2&0x1f) }}
	dco = element{"DCO", 1, readTwoBits}
	rco = element{"RCO", 1, readTwoBits}
	qos = element{"QOS", 1, func(o *object, b []byte) { o.order(b[0], b[0]&0x7f) }}

	coi = element{"COI", 1, func(o *object, b []byte) { o.qualifier(b[0]) }}
	qoi = element{"QOI", 1, func(o *object, b []byte) { o.qualifier(b[0]); o.within(b[0], 20, 36, 64, 255) }}
	qcc = element{"QCC", 1, func(o *object, b []byte) { o.qualifier(b[0]); o.within(b[0]&0x3f, 1, 5, 32, 63) }}
	qrp = element{"QRP", 1, func(o *object, b []byte) { o.qualifier(b[0]); o.within(b[0], 1, 2, 128, 255) }}
	qpm = element{"QPM", 1, func(o *object, b []byte) { o.qualifier(b[0]); o.within(b[0]&0x3f, 1, 4, 32, 63) }}
	qpa = element{"QPA", 1, func(o *object, b []byte) { o.qualifier(b[0]); o.within(b[0], 1, 3, 128, 255) }}
	fbp = element{"FBP", 2, func(o *object, b []byte) {
		v := binary.LittleEndian.Uint16(b)
		o.value(float64(v))
		if v != 0x55aa { // clause 7.2.6.14
			o.faults |= protocols.BadValue
		}
	}}
	tsc = element{"TSC", 2, func(o *object, b []byte) { o.value(float64(binary.LittleEndian.Uint16(b))) }}
	aid = element{"AID", 2, func(o *object, b []byte) { o.det.user, o.det.has = binary.LittleEndian.Uint16(b), o.det.has|hasUser }}

	nof = element{"NOF", 2, func(o *object, b []byte) {
		o.det.file.name, o.det.has = binary.LittleEndian.Uint16(b), o.det.has|hasFile
	}}
	nos = element{"NOS", 1, func(o *object, b []byte) { o.det.file.section, o.det.has = b[0], o.det.has|hasSection }}
	lof = element{"LOF", 3, func(o *object, b []byte) {
		n := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16
		o.det.file.length, o.det.has = n, o.det.has|hasLength
		o.value(float64(n))
	}}
	los = element{"LOS", 1, func(o *object, b []byte) { o.det.file.length, o.det.has = uint32(b[0]), o.det.has|hasLength }}
	chs = element{"CHS", 1, func(o *object, b []byte) { o.det.file.sum, o.det.has = b[0], o.det.has|hasSum }}
	frq = element{"FRQ", 1, func(o *object, b []byte) { o.qualifier(b[0]) }}
	srq = element{"SRQ", 1, func(o *object, b []byte) { o.qualifier(b[0]) }}
	scq = element{"SCQ", 1, func(o *object, b []byte) { o.qualifier(b[0]) }}
	lsq = element{"LSQ", 1, func(o *object, b []byte) { o.qualifier(b[0]); o.within(b[0], 1, 4, 128, 255) }}
	afq = element{"AFQ", 1, func(o *object, b []byte) { o.qualifier(b[0]); o.within(b[0]&0x0f, 1, 4, 11, 15) }}
	sof = element{"SOF", 1, func(o *object, b []byte) { o.p.OnMS = uint32(b[0]) }} // read by the field "directory"

	cp16 = element{"CP16Time2a", 2, func(o *object, b []byte) { o.p.OnMS = uint32(binary.LittleEndian.Uint16(b)) }}
	cp24 = element{"CP24Time2a", 3, readCP24}
	cp56 = element{"CP56Time2a", 7, readCP56}
	stop = element{"CP56Time2a", 7, func(*object, []byte) {}} // the end of a range of which the point shows the start
)

// readR32 reads IEEE STD 754 (7.2.6.8). Stations mark a value that they do not have as not a number; a set-point that
// is none is a fault.
func readR32(o *object, b []byte) {
	v := float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
	o.value(v)
	if (math.IsNaN(v) || math.IsInf(v, 0)) && o.row.kind == protocols.AnalogOut {
		o.faults |= protocols.BadValue
	}
}

// readBCR reads a binary counter (7.2.6.9) and leaves its sequence number for the field "counter_seq".
func readBCR(o *object, b []byte) {
	o.value(float64(int32(binary.LittleEndian.Uint32(b))))
	o.p.Has |= protocols.HasQuality
	o.p.Count = b[4] & 0x1f
	o.flag(b[4]&0x20 != 0, protocols.CarryOver)
	o.flag(b[4]&0x40 != 0, protocols.Adjusted)
	o.flag(b[4]&0x80 != 0, protocols.Invalid)
}

// readTwoBits reads DCO and RCO (7.2.6.16, 7.2.6.17), of which 0 and 3 are not permitted.
func readTwoBits(o *object, b []byte) {
	o.value(float64(b[0] & 3))
	o.order(b[0], b[0]>>2&0x1f)
	if b[0]&3 == 0 || b[0]&3 == 3 {
		o.faults |= protocols.BadValue
	}
}
