package dnp3

import (
	"encoding/binary"

	"github.com/roje-ot/roje/protocols"
)

// Sizes of the FT3 frame, IEEE 1815 9.2.4.
const (
	headerLen  = 10  // with its check
	minLength  = 5   // LEN of a frame without user data
	blockLen   = 16  // user data bytes per check
	maxSegment = 250 // user data bytes of the longest frame, transport octet included
)

// Bits of the control octet, IEEE 1815 9.2.4.1.3.
const (
	ctlDir = 0x80 // from the master
	ctlPrm = 0x40 // from the primary station: starts a transaction
	ctlFCB = 0x20 // frame count bit; reserved where PRM is 0
	ctlFCV = 0x10 // frame count valid; data flow control where PRM is 0
)

// Reserved addresses, IEEE 1815 9.2.4.1.4: FFF0 to FFFB are reserved, FFFC is self, FFFD to FFFF broadcast.
const (
	firstReserved  = 0xfff0
	selfAddress    = 0xfffc
	firstBroadcast = 0xfffd
)

// A linkFunction is what is known of one link function code.
type linkFunction struct {
	name string // empty: reserved
	fcv  bool   // FCV must be set (PRM=1); where it is false, FCV must be clear
	data bool   // carries user data
}

// linkFunctions holds the codes of IEEE 1815 tables 9-1 and 9-2: first those of PRM=0, then those of PRM=1.
var linkFunctions = [2][16]linkFunction{
	{
		0:  {name: "ACK"},
		1:  {name: "NACK"},
		11: {name: "LINK_STATUS"},
		14: {name: "NOT_FUNCTIONING"},
		15: {name: "NOT_SUPPORTED"},
	},
	{
		0: {name: "RESET_LINK_STATES"},
		1: {name: "RESET_USER_PROCESS"},
		2: {name: "TEST_LINK_STATES", fcv: true},
		3: {name: "CONFIRMED_USER_DATA", fcv: true, data: true},
		4: {name: "UNCONFIRMED_USER_DATA", data: true},
		9: {name: "REQUEST_LINK_STATUS"},
	},
}

const (
	resetLinkStates = 0 // PRM=1
	unknownName     = "unknown"
)

// A link is the header of a frame.
type link struct {
	length   uint8
	ctl      uint8
	dst, src uint16
}

// headerAt reads the header at the front of b; ok is false unless it is whole and its check agrees.
func headerAt(b []byte) (l link, ok bool) {
	if len(b) < headerLen || b[0] != 0x05 || b[1] != 0x64 || b[2] < minLength || !sealed(b[:headerLen]) {
		return l, false
	}
	return headerOf(b), true
}

// headerOf reads the header at the front of b, whose check is not looked at.
func headerOf(b []byte) link {
	return link{length: b[2], ctl: b[3], dst: binary.LittleEndian.Uint16(b[4:]), src: binary.LittleEndian.Uint16(b[6:])}
}

// frameLen is the length of the whole frame whose LEN octet is length (at least minLength).
func frameLen(length uint8) int {
	n := int(length) - minLength
	return headerLen + n + 2*((n+blockLen-1)/blockLen)
}

func (l link) prm() bool               { return l.ctl&ctlPrm != 0 }
func (l link) dir() bool               { return l.ctl&ctlDir != 0 }
func (l link) function() *linkFunction { return &linkFunctions[l.ctl>>6&1][l.ctl&0x0f] }

// userData says whether an application reads what the frame carries. Data under a reserved function of a primary
// station counts, and under TEST_LINK_STATES: there are stations that take it.
func (l link) userData() bool {
	fn := l.function()
	return fn.data || l.prm() && l.length > minLength && (fn.name == "" || fn.fcv)
}

func (l link) name() string { return orUnknown(l.function().name) }

func orUnknown(name string) string {
	if name == "" {
		return unknownName
	}
	return name
}

// check returns what the header alone shows to be wrong.
func (l link) check() (f protocols.Faults) {
	fn := l.function()
	switch {
	case fn.name == "":
		f |= protocols.BadCode
	case l.prm() && fn.fcv != (l.ctl&ctlFCV != 0):
		f |= protocols.BadHeader
	case !l.prm() && l.ctl&ctlFCB != 0:
		f |= protocols.BadHeader
	}
	switch hasData := l.length > minLength; {
	case hasData && !fn.data && fn.name != "":
		f |= protocols.TrailingBytes
	case !hasData && fn.data:
		f |= protocols.BadLength
	}
	if l.src >= firstReserved || l.dst >= firstReserved && l.dst < selfAddress {
		f |= protocols.BadAddress
	}
	return f
}

// userBytes returns the user data of the frame b without its checks, and says what is wrong with the blocks. What lies
// in one block is returned where it is, the rest is appended to dst. The frame may be cut short. The checks of a sound
// frame are known to agree.
func (l link) userBytes(dst, b []byte, sound bool) ([]byte, protocols.Faults) {
	var f protocols.Faults
	want := int(l.length) - minLength
	b = b[headerLen:]
	if sound && want <= blockLen && want <= len(b) {
		return b[:want:want], f
	}
	for want > 0 {
		n := min(want, blockLen)
		if len(b) < n+2 {
			return dst, f | protocols.Short
		}
		if !sound && !sealed(b[:n+2]) {
			return dst, f | protocols.BadChecksum
		}
		dst = append(dst, b[:n]...)
		b, want = b[n+2:], want-n
	}
	return dst, f
}
