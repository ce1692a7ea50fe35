package dnp3

// A step reads one field of an object and says where it goes. A shape is the fields of an object, in order.
type step struct {
	how how
	n   int // bytes, where how has a choice
	to  reg
}

// how a field is read.
type how uint8

const (
	packed    how = iota // one bit per point, the whole header together; n is 1 or 2 bits
	flags                // an octet of flags: quality, and what the top bits are for n, one of the flag kinds below
	control              // control code of a CROB, IEEE 1815 11.3.10
	status               // status of a control, 7 bits
	commanded            // status in 7 bits, commanded state in the top one
	unsigned             // n bytes
	signed               // n bytes
	floating             // n bytes, IEEE 754
	bcd                  // n bytes, two digits each
	absolute             // 48-bit time of the point
	relative             // 16-bit time of the point, ms since the common time of occurrence
	common               // 48-bit common time of occurrence, sets the base of relative times; n is 1 if unsynchronised
	attribute            // a device attribute: type, length, value
	octets               // as many bytes as the variation says
	remainder            // text up to the end of the object
	sized                // text as long as the register says
	blind                // n bytes not looked at
	hidden               // up to the end of the object, not looked at: keys, passwords, file data
)

// What bits 5 to 7 of a flag octet are, IEEE 1815 11.6.
const (
	binaryFlags  = iota // chatter, reserved, state
	doubleFlags         // chatter, two bits of state
	outputFlags         // reserved, reserved, state
	counterFlags        // rollover, discontinuity, reserved
	analogFlags         // over range, reference error, reserved
	numFlagKinds
)

// A reg is where a number goes: into the point, or into a named field of the message.
type reg uint8

const (
	toValue reg = iota
	toCount
	toOn
	toOff
	fileHandle
	fileSize
	fileBlock
	fileBlockSize
	fileMode
	fileStat
	fileRequest
	fileType
	filePermissions
	fileNameLen
	userLen
	passwordLen
	authUser
	authSeq
	authAlgorithm
	authReason
	authKeyStatus
	authKeyWrap
	authErrorCode
	authAssociation
	authMethod
	authOperation
	authRole
	delaySeconds
	delayMS
	interval
	intervalUnits
	numRegs
)

// The fields that shapes are put together from.
var (
	u8  = step{how: unsigned, n: 1}
	u16 = step{how: unsigned, n: 2}
	u32 = step{how: unsigned, n: 4}
	i16 = step{how: signed, n: 2}
	i32 = step{how: signed, n: 4}
	f32 = step{how: floating, n: 4}
	f64 = step{how: floating, n: 8}

	bit       = step{how: packed, n: 1}
	twoBits   = step{how: packed, n: 2}
	binFlag   = step{how: flags, n: binaryFlags}
	dblFlag   = step{how: flags, n: doubleFlags}
	outFlag   = step{how: flags, n: outputFlags}
	ctrFlag   = step{how: flags, n: counterFlags}
	anaFlag   = step{how: flags, n: analogFlags}
	ctlCode   = step{how: control}
	ctlStatus = step{how: status}
	command   = step{how: commanded}
	when      = step{how: absolute}
	since     = step{how: relative}
	rest      = step{how: remainder}
	secret    = step{how: hidden}
)

func into(to reg, s step) step { s.to = to; return s }
func skip(n int) step          { return step{how: blind, n: n} }
func shape(s ...step) []step   { return s }

var (
	crob     = shape(ctlCode, into(toCount, u8), into(toOn, u32), into(toOff, u32), ctlStatus)
	opaque   = shape(secret)
	nameText = step{how: sized, to: fileNameLen}
)
