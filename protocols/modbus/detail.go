package modbus

import (
	"strconv"

	"github.com/roje-ot/roje/protocols"
)

// A detail is what a message carries beyond what all protocols have in common. Each decoder owns one and refills it.
type detail struct {
	has       has
	framing   framing
	exception byte
	mei       byte
	sub       uint16
	subName   string
	tid       uint16
	asked     uint16 // the request's transaction identifier, where the response gives back another
	pid       uint16
	length    uint16
	addr      uint16
	count     uint16
	addr2     uint16 // of function 23's write
	count2    uint16
	and, or   uint16
	word      uint16 // data of a diagnostic, output states, status word
	events    uint16
	messages  uint16
	log       []byte
	files     []fileRef
	running   bool
	serverID  []byte
	id        *identification
	session   byte
	data      []byte // bytes that nothing else says
}

// has tells which optional members of a detail mean something.
type has uint32

const (
	hasTID has = 1 << iota
	hasAsked
	hasPID
	hasLength
	hasException
	hasSub
	hasMEI
	hasAddr
	hasCount
	hasWrite
	hasMasks
	hasWord
	hasOutputs
	hasStatus
	hasEvents
	hasMessages
	hasRunning
	hasID
	hasSession
)

func of(m *protocols.Message) *detail { return m.Detail.(*detail) }

// number is a field that is present if bit is.
func number(name, doc string, bit has, get func(*detail) uint16) protocols.Field {
	return protocols.Field{Name: name, Doc: doc, Int: func(m *protocols.Message) (int64, bool) {
		if d := of(m); d.has&bit != 0 {
			return int64(get(d)), true
		}
		return 0, false
	}}
}

// bytesField is a field of hex digits that is present where there are bytes.
func bytesField(name, doc string, get func(*detail) []byte) protocols.Field {
	return protocols.Field{Name: name, Doc: doc, JSON: func(dst []byte, m *protocols.Message) []byte {
		if b := get(of(m)); len(b) > 0 {
			return protocols.AppendHex(dst, b)
		}
		return dst
	}}
}

// fields is the "modbus" object of an event.
var fields = []protocols.Field{
	{Name: "framing", Doc: "mbap, rtu or ascii", Text: func(m *protocols.Message) (string, bool) {
		return framingNames[of(m).framing], true
	}},
	number("tid", "transaction identifier", hasTID, func(d *detail) uint16 { return d.tid }),
	number("asked_tid", "the request's transaction identifier, where the response gives back another", hasAsked, func(d *detail) uint16 { return d.asked }),
	number("pid", "protocol identifier, where it is not 0", hasPID, func(d *detail) uint16 { return d.pid }),
	number("len", "length field of the MBAP header, where it is wrong", hasLength, func(d *detail) uint16 { return d.length }),
	{Name: "unit", Doc: "unit identifier", Int: func(m *protocols.Message) (int64, bool) {
		return int64(m.Station), m.HasStation
	}},
	number("exception", "exception code", hasException, func(d *detail) uint16 { return uint16(d.exception) }),
	number("sub", "sub-function of diagnostics or UMAS", hasSub, func(d *detail) uint16 { return d.sub }),
	{Name: "sub_name", Doc: "name of the sub-function", Text: func(m *protocols.Message) (string, bool) {
		d := of(m)
		return d.subName, d.subName != ""
	}},
	number("addr", "first address of the request, also in its response", hasAddr, func(d *detail) uint16 { return d.addr }),
	number("count", "number of coils or registers; of values in a FIFO; number of bytes in a response whose request was not seen", hasCount, func(d *detail) uint16 { return d.count }),
	number("write_addr", "first address that function 23 writes", hasWrite, func(d *detail) uint16 { return d.addr2 }),
	number("write_count", "number of registers that function 23 writes", hasWrite, func(d *detail) uint16 { return d.count2 }),
	number("and_mask", "AND mask of function 22", hasMasks, func(d *detail) uint16 { return d.and }),
	number("or_mask", "OR mask of function 22", hasMasks, func(d *detail) uint16 { return d.or }),
	number("word", "data of a diagnostic, its value or counter", hasWord, func(d *detail) uint16 { return d.word }),
	number("outputs", "the eight exception status outputs", hasOutputs, func(d *detail) uint16 { return d.word }),
	number("status_word", "65535 while a program command is being processed", hasStatus, func(d *detail) uint16 { return d.word }),
	number("event_count", "communication events", hasEvents, func(d *detail) uint16 { return d.events }),
	number("message_count", "messages processed since the last restart or clear", hasMessages, func(d *detail) uint16 { return d.messages }),
	bytesField("event_log", "event bytes, newest first", func(d *detail) []byte { return d.log }),
	{Name: "files", Doc: "records read or written: file, record and length in registers", JSON: appendFiles},
	{Name: "running", Doc: "run indicator of a server's report", Bool: func(m *protocols.Message) (bool, bool) {
		d := of(m)
		return d.running, d.has&hasRunning != 0
	}},
	{Name: "server_id", Doc: "what the server reports of itself", JSON: func(dst []byte, m *protocols.Message) []byte {
		if b := of(m).serverID; len(b) > 0 {
			return protocols.AppendString(dst, b)
		}
		return dst
	}},
	number("mei", "type of encapsulated interface: 13 CANopen, 14 device identification", hasMEI, func(d *detail) uint16 { return uint16(d.mei) }),
	number("read_code", "device identification: 1 basic, 2 regular, 3 extended, 4 one object", hasID, func(d *detail) uint16 { return uint16(d.id.code) }),
	number("object", "device identification: object asked for first", hasID, func(d *detail) uint16 { return uint16(d.id.first) }),
	{Name: "conformity", Doc: "device identification: conformity level", Int: func(m *protocols.Message) (int64, bool) {
		d := of(m)
		if d.has&hasID == 0 || m.From == protocols.Client {
			return 0, false
		}
		return int64(d.id.conformity), true
	}},
	{Name: "more", Doc: "device identification: more objects follow, from this one on", Int: func(m *protocols.Message) (int64, bool) {
		d := of(m)
		if d.has&hasID == 0 || !d.id.more {
			return 0, false
		}
		return int64(d.id.next), true
	}},
	{Name: "parts", Doc: "device identification: responses that objects were joined from", Int: func(m *protocols.Message) (int64, bool) {
		d := of(m)
		if d.has&hasID == 0 || d.id.parts < 2 {
			return 0, false
		}
		return int64(d.id.parts), true
	}},
	{Name: "objects", Doc: "device identification: the objects, joined over continuations", JSON: appendObjects},
	number("session", "UMAS: reservation that the request belongs to", hasSession, func(d *detail) uint16 { return uint16(d.session) }),
	bytesField("data", "bytes that are not decoded further", func(d *detail) []byte { return d.data }),
}

func appendFiles(dst []byte, m *protocols.Message) []byte {
	for i, f := range of(m).files {
		if i == 0 {
			dst = append(dst, '[')
		} else {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"file":`...)
		dst = strconv.AppendUint(dst, uint64(f.file), 10)
		dst = append(dst, `,"record":`...)
		dst = strconv.AppendUint(dst, uint64(f.record), 10)
		dst = append(dst, `,"length":`...)
		dst = strconv.AppendUint(dst, uint64(f.length), 10)
		dst = append(dst, '}')
	}
	if len(of(m).files) > 0 {
		dst = append(dst, ']')
	}
	return dst
}
