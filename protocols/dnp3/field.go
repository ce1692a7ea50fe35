package dnp3

import (
	"strconv"

	"github.com/roje-ot/roje/protocols"
)

func detail(m *protocols.Message) *Detail { return m.Detail.(*Detail) }

// fields is the dnp3 object of an event. Marks that are mostly absent (indications, classes) stand there only when set.
var fields = []protocols.Field{
	{Name: "src", Doc: "link address of the sender", Int: linkInt(func(l link) int64 { return int64(l.src) })},
	{Name: "dst", Doc: "link address of the receiver", Int: linkInt(func(l link) int64 { return int64(l.dst) })},
	{Name: "link", Doc: "link function", Text: func(m *protocols.Message) (string, bool) {
		d := detail(m)
		return d.link.name(), d.hasLink
	}},
	{Name: "dir", Doc: "the frame says that the master sent it", Bool: linkBool(link.dir)},
	{Name: "prm", Doc: "from the primary station", Bool: linkBool(link.prm)},
	{Name: "fcb", Doc: "frame count bit, where it is valid", Bool: func(m *protocols.Message) (bool, bool) {
		d := detail(m)
		return d.link.ctl&ctlFCB != 0, d.hasLink && d.link.prm() && d.link.ctl&ctlFCV != 0
	}},
	{Name: "dfc", Doc: "the secondary station's buffers are full", Bool: mark(func(d *Detail) bool {
		return d.hasLink && !d.link.prm() && d.link.ctl&ctlFCV != 0
	})},
	{Name: "broadcast", Doc: "sent to all outstations", Bool: mark(func(d *Detail) bool { return d.hasLink && d.link.dst >= firstBroadcast })},
	{Name: "transport_seq", Doc: "sequence number of the last transport segment", Int: appInt(func(d *Detail) int64 { return int64(d.transport & segSeq) })},
	{Name: "fir", Doc: "first fragment of its message", Bool: appBit(appFir)},
	{Name: "fin", Doc: "last fragment of its message", Bool: appBit(appFin)},
	{Name: "con", Doc: "asks for a CONFIRM", Bool: appBit(appCon)},
	{Name: "uns", Doc: "belongs to unsolicited reporting", Bool: appBit(appUns)},
	{Name: "seq", Doc: "application sequence number", Int: appInt(func(d *Detail) int64 { return int64(d.app & seqMask) })},
	{Name: "iin", Doc: "internal indications that are set", JSON: appendIIN},
	{Name: "iin1", Doc: "first octet of the internal indications", Int: iinInt(0)},
	{Name: "iin2", Doc: "second octet of the internal indications", Int: iinInt(8)},
	{Name: "broadcast_received", Doc: "IIN1.0", Bool: iinBit(0)},
	{Name: "class_1_events", Doc: "IIN1.1", Bool: iinBit(1)},
	{Name: "class_2_events", Doc: "IIN1.2", Bool: iinBit(2)},
	{Name: "class_3_events", Doc: "IIN1.3", Bool: iinBit(3)},
	{Name: "need_time", Doc: "IIN1.4: asks for the time", Bool: iinBit(4)},
	{Name: "local", Doc: "IIN1.5: some outputs are under local control", Bool: iinBit(5)},
	{Name: "trouble", Doc: "IIN1.6: device trouble", Bool: iinBit(6)},
	{Name: "restart", Doc: "IIN1.7: the device has restarted", Bool: iinBit(7)},
	{Name: "no_func_code", Doc: "IIN2.0: function not supported", Bool: iinBit(8)},
	{Name: "object_unknown", Doc: "IIN2.1", Bool: iinBit(9)},
	{Name: "parameter_error", Doc: "IIN2.2", Bool: iinBit(10)},
	{Name: "event_overflow", Doc: "IIN2.3: events were lost", Bool: iinBit(11)},
	{Name: "already_executing", Doc: "IIN2.4", Bool: iinBit(12)},
	{Name: "config_corrupt", Doc: "IIN2.5", Bool: iinBit(13)},
	{Name: "objects", Doc: "object headers: group, variation, qualifier, range or count", JSON: appendObjects},
	{Name: "group", Doc: "group of the first object header", Int: firstInt(func(h *header) int64 { return int64(h.group) })},
	{Name: "var", Doc: "variation of the first object header", Int: firstInt(func(h *header) int64 { return int64(h.variation) })},
	{Name: "qualifier", Doc: "qualifier octet of the first object header", Int: firstInt(func(h *header) int64 { return int64(h.qualifier) })},
	{Name: "headers", Doc: "number of object headers", Int: appInt(func(d *Detail) int64 { return int64(len(d.objects)) })},
	{Name: "class_0", Doc: "names class 0 data", Bool: class(1)},
	{Name: "class_1", Doc: "names class 1 events", Bool: class(2)},
	{Name: "class_2", Doc: "names class 2 events", Bool: class(3)},
	{Name: "class_3", Doc: "names class 3 events", Bool: class(4)},
	{Name: "control", Doc: "operation of the first control: PULSE_ON, LATCH_OFF", Text: func(m *protocols.Message) (string, bool) {
		d := detail(m)
		op := int(d.code & 0x0f)
		if !d.hasControl || op >= len(operations) {
			return reservedWord, d.hasControl
		}
		return operations[op].name, true
	}},
	{Name: "trip_close", Doc: "trip-close code of the first control: CLOSE, TRIP", Text: func(m *protocols.Message) (string, bool) {
		d := detail(m)
		return tripClose[d.code>>6], d.hasControl
	}},
	{Name: "control_status", Doc: "first control status other than success", Int: func(m *protocols.Message) (int64, bool) {
		v := m.Status >> statusControl & 0xff
		return int64(v), v != 0
	}},
	{Name: "file_handle", Doc: "file handle", Int: register(fileHandle)},
	{Name: "file_mode", Doc: "file mode: 1 read, 2 write, 3 append", Int: register(fileMode)},
	{Name: "file_size", Doc: "file size, bytes", Int: register(fileSize)},
	{Name: "file_type", Doc: "0 directory, 1 file", Int: register(fileType)},
	{Name: "file_block", Doc: "block number", Int: func(m *protocols.Message) (int64, bool) {
		v, ok := detail(m).get(fileBlock)
		return v &^ lastBlock, ok
	}},
	{Name: "file_last", Doc: "the block is the last", Bool: mark(func(d *Detail) bool { return d.regs[fileBlock]&lastBlock != 0 })},
	{Name: "file_block_size", Doc: "longest block, bytes", Int: register(fileBlockSize)},
	{Name: "file_permissions", Doc: "permissions", Int: register(filePermissions)},
	{Name: "file_request", Doc: "file request identifier", Int: register(fileRequest)},
	{Name: "file_status", Doc: "file status; 0 is success", Int: register(fileStat)},
	{Name: "credentials", Doc: "a user name or password went by in clear; neither is kept", Bool: mark(func(d *Detail) bool { return d.credentials })},
	{Name: "auth_user", Doc: "secure authentication: user number", Int: register(authUser)},
	{Name: "auth_seq", Doc: "secure authentication: challenge or key change sequence number", Int: register(authSeq)},
	{Name: "auth_algorithm", Doc: "secure authentication: MAC algorithm", Int: register(authAlgorithm)},
	{Name: "auth_key_wrap", Doc: "secure authentication: key wrap algorithm", Int: register(authKeyWrap)},
	{Name: "auth_reason", Doc: "secure authentication: reason for the challenge", Int: register(authReason)},
	{Name: "auth_key_status", Doc: "secure authentication: 1 ok, 2 not initialised, 3 communication failed, 4 authentication failed", Int: register(authKeyStatus)},
	{Name: "auth_error", Doc: "secure authentication: error code", Int: register(authErrorCode)},
	{Name: "auth_association", Doc: "secure authentication: association", Int: register(authAssociation)},
	{Name: "auth_method", Doc: "secure authentication: key change method", Int: register(authMethod)},
	{Name: "auth_operation", Doc: "secure authentication: 1 add, 2 delete, 3 change the user", Int: register(authOperation)},
	{Name: "auth_role", Doc: "secure authentication: role of the user", Int: register(authRole)},
	{Name: "time_delay_ms", Doc: "time delay, ms", Int: func(m *protocols.Message) (int64, bool) {
		if s, ok := detail(m).get(delaySeconds); ok {
			return s * 1000, true
		}
		return detail(m).get(delayMS)
	}},
	{Name: "interval", Doc: "interval of a time object, ms or its own units", Int: register(interval)},
	{Name: "interval_units", Doc: "units of the interval, IEEE 1815 A.23.4", Int: register(intervalUnits)},
	{Name: "rest", Doc: "bytes that were not understood, hex, the first 256", JSON: appendRest},
}

const (
	lastBlock = 1 << 31
	restShown = 256
)

func linkInt(of func(link) int64) func(*protocols.Message) (int64, bool) {
	return func(m *protocols.Message) (int64, bool) { d := detail(m); return of(d.link), d.hasLink }
}

func linkBool(of func(link) bool) func(*protocols.Message) (bool, bool) {
	return func(m *protocols.Message) (bool, bool) { d := detail(m); return of(d.link), d.hasLink }
}

func appInt(of func(*Detail) int64) func(*protocols.Message) (int64, bool) {
	return func(m *protocols.Message) (int64, bool) { d := detail(m); return of(d), d.hasApp }
}

func appBit(bit uint8) func(*protocols.Message) (bool, bool) {
	return func(m *protocols.Message) (bool, bool) { d := detail(m); return d.app&bit != 0, d.hasApp }
}

// mark is a Bool that is there only when true.
func mark(of func(*Detail) bool) func(*protocols.Message) (bool, bool) {
	return func(m *protocols.Message) (bool, bool) { v := of(detail(m)); return v, v }
}

func iinInt(shift uint) func(*protocols.Message) (int64, bool) {
	return func(m *protocols.Message) (int64, bool) {
		d := detail(m)
		return int64(d.iin >> shift & 0xff), d.hasIIN
	}
}

func iinBit(bit uint) func(*protocols.Message) (bool, bool) {
	return mark(func(d *Detail) bool { return d.iin>>bit&1 != 0 })
}

func firstInt(of func(*header) int64) func(*protocols.Message) (int64, bool) {
	return func(m *protocols.Message) (int64, bool) {
		if o := detail(m).objects; len(o) > 0 {
			return of(&o[0]), true
		}
		return 0, false
	}
}

// class says whether a header names the class objects of a variation.
func class(variation uint8) func(*protocols.Message) (bool, bool) {
	return mark(func(d *Detail) bool {
		for i := range d.objects {
			if d.objects[i].group == groupClass && d.objects[i].variation == variation {
				return true
			}
		}
		return false
	})
}

func register(r reg) func(*protocols.Message) (int64, bool) {
	return func(m *protocols.Message) (int64, bool) { return detail(m).get(r) }
}

func appendIIN(dst []byte, m *protocols.Message) []byte {
	d := detail(m)
	if !d.hasIIN {
		return dst
	}
	dst = append(dst, '[')
	for i, name := range iinNames {
		if d.iin>>i&1 != 0 {
			dst = append(separate(dst), '"')
			dst = append(append(dst, name...), '"')
		}
	}
	return append(dst, ']')
}

func separate(dst []byte) []byte {
	if dst[len(dst)-1] != '[' {
		dst = append(dst, ',')
	}
	return dst
}

func appendObjects(dst []byte, m *protocols.Message) []byte {
	d := detail(m)
	if len(d.objects) == 0 {
		return dst
	}
	dst = append(dst, '[')
	for i := range d.objects {
		h := &d.objects[i]
		dst = append(separate(dst), `{"group":`...)
		dst = strconv.AppendUint(dst, uint64(h.group), 10)
		dst = append(dst, `,"var":`...)
		dst = strconv.AppendUint(dst, uint64(h.variation), 10)
		dst = append(dst, `,"qualifier":`...)
		dst = strconv.AppendUint(dst, uint64(h.qualifier), 10)
		if h.ranged {
			dst = append(dst, `,"range":[`...)
			dst = strconv.AppendUint(dst, uint64(h.start), 10)
			dst = append(dst, ',')
			dst = strconv.AppendUint(dst, uint64(h.stop), 10)
			dst = append(dst, ']')
		}
		if h.counted || h.ranged {
			dst = append(dst, `,"count":`...)
			dst = strconv.AppendUint(dst, h.count, 10)
		}
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

func appendRest(dst []byte, m *protocols.Message) []byte {
	d := detail(m)
	if d.restTo <= d.restAt || d.restTo > len(m.Body) {
		return dst
	}
	return protocols.AppendHex(dst, m.Body[d.restAt:min(d.restTo, d.restAt+restShown)])
}
