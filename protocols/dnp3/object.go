package dnp3

import (
	"slices"

	"github.com/roje-ot/roje/protocols"
)

// An object is what is known of one group and variation, IEEE 1815 annex A. Adding knowledge is adding a row; decode,
// names and docs come from it.
type object struct {
	group, variation uint8
	any              bool // the row stands for every variation of the group that has none of its own
	name             string
	kind             protocols.Kind
	quiet            bool   // gives no points: what it says is in the message's fields
	shape            []step // nil: a request for any variation, or a class; no object of it exists
}

const other = protocols.OtherKind

// objects is sorted by group and variation. Variation 0 names the group.
var objects = slices.Concat(attributes, pointObjects(), []object{
	{group: 50, name: "Time and Date"},
	{group: 50, variation: 1, name: "absolute time", shape: shape(when)},
	{group: 50, variation: 2, name: "absolute time and interval", shape: shape(when, into(interval, u32))},
	{group: 50, variation: 3, name: "absolute time at last recorded time", shape: shape(when)},
	{group: 50, variation: 4, name: "indexed absolute time and long interval", shape: shape(when, into(interval, u32), into(intervalUnits, u8))},
	{group: 51, name: "Time and Date Common Time of Occurrence", quiet: true},
	{group: 51, variation: 1, name: "synchronised", quiet: true, shape: shape(step{how: common})},
	{group: 51, variation: 2, name: "unsynchronised", quiet: true, shape: shape(step{how: common, n: 1})},
	{group: 52, name: "Time Delay", quiet: true},
	{group: 52, variation: 1, name: "coarse", quiet: true, shape: shape(into(delaySeconds, u16))},
	{group: 52, variation: 2, name: "fine", quiet: true, shape: shape(into(delayMS, u16))},
	{group: 60, name: "Class Objects", quiet: true},
	{group: 60, variation: 1, name: "class 0", quiet: true},
	{group: 60, variation: 2, name: "class 1", quiet: true},
	{group: 60, variation: 3, name: "class 2", quiet: true},
	{group: 60, variation: 4, name: "class 3", quiet: true},

	{group: 70, name: "File Control", quiet: true},
	{group: 70, variation: 1, name: "file identifier (superseded)", quiet: true, shape: opaque},
	{group: 70, variation: 2, name: "authentication", quiet: true, shape: shape(
		skip(2), into(userLen, u16), skip(2), into(passwordLen, u16), secret)},
	{group: 70, variation: 3, name: "command", shape: shape(skip(2), into(fileNameLen, u16), when, into(filePermissions, u16), skip(4),
		into(fileSize, u32), into(fileMode, u16), into(fileBlockSize, u16), into(fileRequest, u16), nameText)},
	{group: 70, variation: 4, name: "command status", quiet: true, shape: shape(into(fileHandle, u32), into(fileSize, u32),
		into(fileBlockSize, u16), into(fileRequest, u16), into(fileStat, u8), rest)},
	{group: 70, variation: 5, name: "transport", quiet: true, shape: shape(into(fileHandle, u32), into(fileBlock, u32), secret)},
	{group: 70, variation: 6, name: "transport status", quiet: true, shape: shape(into(fileHandle, u32), into(fileBlock, u32),
		into(fileStat, u8), rest)},
	{group: 70, variation: 7, name: "descriptor", shape: shape(skip(2), into(fileNameLen, u16), into(fileType, u16), into(fileSize, u32),
		when, into(filePermissions, u16), into(fileRequest, u16), nameText)},
	{group: 70, variation: 8, name: "specification string", shape: shape(rest)},

	{group: 80, name: "Internal Indications", kind: other},
	{group: 80, variation: 1, name: "packed", kind: other, shape: shape(bit)},
	{group: 81, name: "Device Storage", kind: other},
	{group: 81, variation: 1, name: "buffer fill status", kind: other, shape: shape(u8, skip(2))},
	{group: 82, name: "Device Profile", quiet: true},
	{group: 82, variation: 1, name: "functions and indexes", quiet: true, shape: opaque},
	{group: 83, name: "Private Registration Object", quiet: true},
	{group: 83, variation: 1, name: "private registration object", quiet: true, shape: opaque},
	{group: 83, variation: 2, name: "private registration object descriptor", quiet: true, shape: opaque},
	{group: 85, name: "Data Set Prototype", quiet: true},
	{group: 85, variation: 1, name: "with UUID", quiet: true, shape: opaque},
	{group: 86, name: "Data Set Descriptor", quiet: true},
	{group: 86, variation: 1, name: "data set contents", quiet: true, shape: opaque},
	{group: 86, variation: 2, name: "characteristics", kind: other, shape: shape(u8)},
	{group: 86, variation: 3, name: "point index attributes", quiet: true, shape: opaque},
	{group: 87, name: "Data Set", quiet: true},
	{group: 87, variation: 1, name: "present value", quiet: true, shape: opaque},
	{group: 88, name: "Data Set Event", quiet: true},
	{group: 88, variation: 1, name: "snapshot", quiet: true, shape: opaque},
	{group: 90, name: "Application", kind: other},
	{group: 90, variation: 1, name: "identifier", kind: other, shape: shape(rest)},
	{group: 91, name: "Status of Requested Operation", quiet: true},
	{group: 91, variation: 1, name: "active configuration", quiet: true, shape: opaque},

	{group: 100, name: "Floating-point (superseded)", quiet: true},
	{group: 100, any: true, name: "any", quiet: true, shape: opaque},
	{group: 101, name: "Binary-coded Decimal Integer", kind: other},
	{group: 101, variation: 1, name: "small", kind: other, shape: shape(step{how: bcd, n: 2})},
	{group: 101, variation: 2, name: "medium", kind: other, shape: shape(step{how: bcd, n: 4})},
	{group: 101, variation: 3, name: "large", kind: other, shape: shape(step{how: bcd, n: 8})},
	{group: 102, name: "Unsigned Integer", kind: other},
	{group: 102, variation: 1, name: "8-bit", kind: other, shape: shape(u8)},

	{group: 110, name: "Octet String", kind: other},
	{group: 110, any: true, name: "as long as its variation", kind: other, shape: shape(step{how: octets})},
	{group: 111, name: "Octet String Event", kind: other},
	{group: 111, any: true, name: "as long as its variation", kind: other, shape: shape(step{how: octets})},
	{group: 112, name: "Virtual Terminal Output Block", kind: other},
	{group: 112, any: true, name: "as long as its variation", kind: other, shape: shape(step{how: octets})},
	{group: 113, name: "Virtual Terminal Event Data", kind: other},
	{group: 113, any: true, name: "as long as its variation", kind: other, shape: shape(step{how: octets})},
	{group: 114, name: "Extended Octet String", kind: other},
	{group: 114, variation: 1, name: "octets", kind: other, shape: shape(rest)},
	{group: 115, name: "Extended Octet String Event", kind: other},
	{group: 115, variation: 1, name: "octets", kind: other, shape: shape(rest)},

	{group: 120, name: "Authentication", quiet: true},
	{group: 120, variation: 1, name: "challenge", quiet: true, shape: shape(into(authSeq, u32), into(authUser, u16), into(authAlgorithm, u8),
		into(authReason, u8), secret)},
	{group: 120, variation: 2, name: "reply", quiet: true, shape: shape(into(authSeq, u32), into(authUser, u16), secret)},
	{group: 120, variation: 3, name: "aggressive mode request", quiet: true, shape: shape(into(authSeq, u32), into(authUser, u16))},
	{group: 120, variation: 4, name: "session key status request", quiet: true, shape: shape(into(authUser, u16))},
	{group: 120, variation: 5, name: "session key status", quiet: true, shape: shape(into(authSeq, u32), into(authUser, u16),
		into(authKeyWrap, u8), into(authKeyStatus, u8), into(authAlgorithm, u8), secret)},
	{group: 120, variation: 6, name: "session key change", quiet: true, shape: shape(into(authSeq, u32), into(authUser, u16), secret)},
	{group: 120, variation: 7, name: "error", quiet: true, shape: shape(into(authSeq, u32), into(authUser, u16), into(authAssociation, u16),
		into(authErrorCode, u8), when, secret)},
	{group: 120, variation: 8, name: "user certificate", quiet: true, shape: shape(into(authMethod, u8), skip(1), secret)},
	{group: 120, variation: 9, name: "message authentication code", quiet: true, shape: shape(secret)},
	{group: 120, variation: 10, name: "user status change", quiet: true, shape: shape(into(authMethod, u8), into(authOperation, u8),
		into(authSeq, u32), into(authRole, u16), skip(2), secret)},
	{group: 120, variation: 11, name: "update key change request", quiet: true, shape: shape(into(authMethod, u8), secret)},
	{group: 120, variation: 12, name: "update key change reply", quiet: true, shape: shape(into(authSeq, u32), into(authUser, u16), secret)},
	{group: 120, variation: 13, name: "update key change", quiet: true, shape: shape(into(authSeq, u32), into(authUser, u16), secret)},
	{group: 120, variation: 14, name: "update key change signature", quiet: true, shape: shape(secret)},
	{group: 120, variation: 15, name: "update key change confirmation", quiet: true, shape: shape(secret)},
	{group: 121, name: "Security Statistic", kind: other},
	{group: 121, variation: 1, name: "32-bit with flag", kind: other, shape: shape(ctrFlag, into(authAssociation, u16), u32)},
	{group: 122, name: "Security Statistic Event", kind: other},
	{group: 122, variation: 1, name: "32-bit with flag", kind: other, shape: shape(ctrFlag, into(authAssociation, u16), u32)},
	{group: 122, variation: 2, name: "32-bit with flag and time", kind: other, shape: shape(ctrFlag, into(authAssociation, u16), u32, when)},
})

// groupRows holds, per group, where its rows begin in objects and end.
var groupRows = func() (t [256][2]int) {
	for i, o := range objects {
		if t[o.group][1] == 0 {
			t[o.group][0] = i
		}
		t[o.group][1] = i + 1
	}
	return t
}()

// objectOf returns the row of a group and variation, or nil.
func objectOf(group, variation uint8) *object {
	r := groupRows[group]
	rows := objects[r[0]:r[1]]
	if int(variation) < len(rows) { // most groups have all their variations
		if o := &rows[variation]; o.variation == variation && !o.any {
			return o
		}
	}
	for i := range rows {
		if o := &rows[i]; o.variation == variation && !o.any || o.any && variation != 0 {
			return o
		}
	}
	return nil
}
