package dnp3

import (
	"math"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/protocols/wire"
)

// quality holds what bits 5 to 7 of a flag octet mean, by flag kind; bits 0 to 4 are the same for all.
var quality = [numFlagKinds][3]protocols.Quality{
	binaryFlags:  {protocols.Chatter},
	doubleFlags:  {protocols.Chatter},
	counterFlags: {protocols.Rollover, protocols.Discontinuity},
	analogFlags:  {protocols.Overflow, protocols.ReferenceErr},
}

// qualities is what each flag octet says, by flag kind.
var qualities = func() (all [numFlagKinds][256]protocols.Quality) {
	for kind := range all {
		for v := range all[kind] {
			of := protocols.Quality(v&0x1f) * protocols.Online
			if v&1 == 0 {
				of |= protocols.Offline
			}
			for i, q := range quality[kind] {
				if v&(0x20<<i) != 0 {
					of |= q
				}
			}
			all[kind][v] = of
		}
	}
	return all
}()

// stateOf is the state that a flag octet carries, by flag kind.
var stateOf = [numFlagKinds]struct{ shift, mask uint8 }{
	binaryFlags: {7, 1}, doubleFlags: {6, 3}, outputFlags: {7, 1},
}

// fields reads one object into pt and the message's registers.
func (r *reader) fields(o *object, h *header, c *wire.Cursor, pt *protocols.Point) (f protocols.Faults) {
	for i := range o.shape {
		if c.Short {
			return f
		}
		s := &o.shape[i]
		switch s.how {
		case packed: // behind an index: one octet per object
			pt.Value, pt.Has = float64(c.U8()&(1<<s.n-1)), pt.Has|protocols.HasValue
		case flags:
			r.flags(s.n, c.U8(), pt)
		case control:
			if v := c.U8(); !c.Short {
				f |= r.control(v, pt)
			}
		case status:
			r.status(h, c.U8()&0x7f, pt)
		case commanded:
			v := c.U8()
			r.status(h, v&0x7f, pt)
			pt.Value, pt.Has = float64(v>>7), pt.Has|protocols.HasValue
		case unsigned:
			if v := c.LE(s.n); !c.Short {
				r.number(s.to, v, pt)
			}
		case signed:
			shift := 64 - 8*s.n
			pt.Value, pt.Has = float64(int64(c.LE(s.n)<<shift)>>shift), pt.Has|protocols.HasValue
		case floating:
			pt.Value, pt.Has = readFloat(c, s.n), pt.Has|protocols.HasValue
		case bcd:
			f |= readBCD(c, s.n, pt)
		case absolute:
			f |= setTime(pt, c.LE48())
		case relative:
			r.since(c.LE16(), pt)
		case common:
			f |= r.common(c.LE48(), s.n != 0)
		case attribute:
			f |= r.attribute(c, h, pt)
		case octets:
			n := int(h.variation)
			if h.prefix().size {
				n = c.Left()
			}
			setText(c, n, pt)
		case remainder:
			setText(c, c.Left(), pt)
		case sized:
			setText(c, int(r.d.regs[s.to]), pt)
		case blind:
			c.Skip(s.n)
		case hidden:
			c.Skip(c.Left())
		}
	}
	return f
}

func (r *reader) flags(kind int, v byte, pt *protocols.Point) {
	pt.Quality, pt.Has = qualities[kind][v], pt.Has|protocols.HasQuality
	if s := stateOf[kind]; s.mask != 0 {
		pt.Value, pt.Has = float64(v>>s.shift&s.mask), pt.Has|protocols.HasValue
	}
}

// operations says what a CROB's operation type commands, IEEE 1815 table 11-5: the state 1, the state 0 or none.
var operations = [5]struct {
	name  string
	state int8
}{{"NUL", -1}, {"PULSE_ON", 1}, {"PULSE_OFF", 0}, {"LATCH_ON", 1}, {"LATCH_OFF", 0}}

// tripClose holds the trip-close codes.
var tripClose = [4]string{"NUL", "CLOSE", "TRIP", reservedWord}

const (
	tccClose = 1
	tccTrip  = 2
	tccNone  = 3
)

// control reads the control code: the commanded state is the point's value.
func (r *reader) control(v byte, pt *protocols.Point) (f protocols.Faults) {
	pt.Control = v
	pt.Has |= protocols.HasControl | protocols.HasPulse
	r.d.control(v)
	op, tcc := int(v&0x0f), v>>6
	if op >= len(operations) || tcc == tccNone {
		return protocols.BadValue
	}
	state := operations[op].state
	switch {
	case state < 0:
		return 0
	case tcc == tccClose:
		state = 1
	case tcc == tccTrip:
		state = 0
	}
	pt.Value, pt.Has = float64(state), pt.Has|protocols.HasValue
	return 0
}

// status notes the status of a control. In a response to the control it is the outstation's verdict; in an event
// (groups 13 and 43) it tells of another message.
func (r *reader) status(h *header, v byte, pt *protocols.Point) {
	pt.Status = v
	pt.Has |= protocols.HasStatus
	if v != 0 && r.m.From == protocols.Server && (h.group == groupCROB || h.group == groupSetpoint) {
		refuse(&r.m.Status, statusControl, uint32(v))
	}
}

// number puts v where the step says.
func (r *reader) number(to reg, v uint64, pt *protocols.Point) {
	switch to {
	case toValue:
		pt.Value, pt.Has = float64(v), pt.Has|protocols.HasValue
	case toCount:
		pt.Count = uint8(v)
	case toOn:
		pt.OnMS = uint32(v)
	case toOff:
		pt.OffMS = uint32(v)
	default:
		r.d.set(to, uint32(v))
		switch to {
		case fileStat:
			refuse(&r.m.Status, statusFile, uint32(v))
		case authErrorCode:
			refuse(&r.m.Status, statusAuth, uint32(v))
		case userLen, passwordLen:
			r.d.credentials = r.d.credentials || v != 0
		}
	}
}

func readFloat(c *wire.Cursor, n int) float64 {
	if n == 4 {
		return float64(math.Float32frombits(c.LE32()))
	}
	return math.Float64frombits(c.LE64())
}

// readBCD reads n octets of two decimal digits, the lowest first.
func readBCD(c *wire.Cursor, n int, pt *protocols.Point) (f protocols.Faults) {
	b := c.Take(n)
	v := 0.0
	for i := len(b) - 1; i >= 0; i-- {
		hi, lo := b[i]>>4, b[i]&15
		if hi > 9 || lo > 9 {
			f = protocols.BadValue
		}
		v = v*100 + float64(hi)*10 + float64(lo)
	}
	pt.Value, pt.Has = v, pt.Has|protocols.HasValue
	return f
}

const (
	nsPerMS = 1_000_000
	maxMS   = math.MaxInt64 / nsPerMS // the year 2262
)

// setTime notes ms since 1970, UTC, as the point's time.
func setTime(pt *protocols.Point, ms uint64) protocols.Faults {
	if ms > maxMS {
		return protocols.BadTime
	}
	pt.Time = int64(ms) * nsPerMS
	pt.Has |= protocols.HasTime
	return 0
}

// common sets what later relative times in the fragment count from.
func (r *reader) common(ms uint64, unsync bool) protocols.Faults {
	r.sync = noCTO
	if ms > maxMS-math.MaxUint16 {
		return protocols.BadTime
	}
	r.cto, r.sync = int64(ms)*nsPerMS, synchronised
	if unsync {
		r.sync = unsynchronised
	}
	return 0
}

// since resolves a relative time; without a common time of occurrence it is only an age.
func (r *reader) since(ms uint16, pt *protocols.Point) {
	pt.Time = r.cto + int64(ms)*nsPerMS
	switch r.sync {
	case noCTO:
		pt.Time = int64(ms) * nsPerMS
		pt.Has |= protocols.HasAge
		return
	case unsynchronised:
		pt.Quality |= protocols.TimeUnsynchronised
	}
	pt.Has |= protocols.HasTime
}

// setText makes the next n bytes the point's text.
func setText(c *wire.Cursor, n int, pt *protocols.Point) {
	at := c.Pos()
	c.Skip(n)
	if !c.Short {
		pt.Off, pt.Len = uint16(at), uint16(n)
		pt.Has |= protocols.HasText
	}
}

// Data types of device attributes, IEEE 1815 A.1.
const (
	typeText     = 1
	typeUnsigned = 2
	typeSigned   = 3
	typeFloat    = 4
	typeOctets   = 5
	typeBits     = 6
	typeTime     = 7
	typeList     = 254
	typeLongList = 255 // its length is 256 more than the octet says
)

func (r *reader) attribute(c *wire.Cursor, _ *header, pt *protocols.Point) (f protocols.Faults) {
	kind, n := c.U8(), int(c.U8())
	has := protocols.HasValue
	switch {
	case kind == typeText || kind == typeOctets || kind == typeBits:
		setText(c, n, pt)
		return 0
	case kind == typeUnsigned && n <= 8:
		pt.Value = float64(c.LE(n))
	case kind == typeSigned && n > 0 && n <= 8:
		shift := 64 - 8*n
		pt.Value = float64(int64(c.LE(n)<<shift) >> shift)
	case kind == typeFloat && (n == 4 || n == 8):
		pt.Value = readFloat(c, n)
	case kind == typeTime && n == 6:
		return setTime(pt, c.LE48())
	case kind == typeLongList:
		c.Skip(n + 256)
		return 0
	default:
		has = 0
		c.Skip(n)
		if kind != typeList {
			f = protocols.BadValue
		}
	}
	pt.Has |= has
	return f
}
