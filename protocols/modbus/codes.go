package modbus

import (
	"encoding/binary"

	"github.com/roje-ot/roje/protocols"
)

// Function codes that the decoder treats apart.
const (
	readCoils          = 1
	readDiscreteInputs = 2
	readInputRegisters = 4
	writeSingleCoil    = 5
	diagnosticsCode    = 8
	writeMultipleCoils = 15
	meiCode            = 43
	umasCode           = 90
)

const unknownName = "unknown"

// A row is what is known of one function code.
type row struct {
	name     string
	op       protocols.Op
	depth    string
	fault    protocols.Faults // of every message with this code
	ask      form
	reply    form
	request  func(*decoder, *protocols.Message) // nil: its bytes are kept as they are
	response func(*decoder, *protocols.Message)
	answers  func(p []byte, e *exchange) bool // whether the response p fits the request e; nil: any does
	subject  subject                          // what an exception to it is about
}

// A subject is what an exception says of its request in the event.
type subject uint8

const (
	noSubject    subject = iota
	rangeSubject         // the addresses
	subSubject           // the sub-function
)

// rows is indexed by function code. Codes from 65 to 72 and 100 to 110 are the user's (5.1); the reserved ones are those
// of Annex A, with the names of older controllers' manuals.
var rows = func() (t [128]row) {
	t = [128]row{
		1: {name: "read_coils", op: protocols.Read, depth: "request and response, values",
			ask: fixed(5), reply: bits(), request: (*decoder).askRead, response: (*decoder).tellBits, answers: bitsAnswer, subject: rangeSubject},
		2: {name: "read_discrete_inputs", op: protocols.Read, depth: "request and response, values",
			ask: fixed(5), reply: bits(), request: (*decoder).askRead, response: (*decoder).tellBits, answers: bitsAnswer, subject: rangeSubject},
		3: {name: "read_holding_registers", op: protocols.Read, depth: "request and response, values",
			ask: fixed(5), reply: registers(), request: (*decoder).askRead, response: (*decoder).tellRegisters, answers: registersAnswer, subject: rangeSubject},
		4: {name: "read_input_registers", op: protocols.Read, depth: "request and response, values",
			ask: fixed(5), reply: registers(), request: (*decoder).askRead, response: (*decoder).tellRegisters, answers: registersAnswer, subject: rangeSubject},
		5: {name: "write_single_coil", op: protocols.Write, depth: "request and response, value",
			ask: fixed(5), reply: fixed(5), request: (*decoder).singleCoil, response: (*decoder).singleCoil, answers: echoAnswer, subject: rangeSubject},
		6: {name: "write_single_register", op: protocols.Write, depth: "request and response, value",
			ask: fixed(5), reply: fixed(5), request: (*decoder).singleRegister, response: (*decoder).singleRegister, answers: echoAnswer, subject: rangeSubject},
		7: {name: "read_exception_status", op: protocols.Diagnose, depth: "request and response, outputs",
			ask: fixed(1), reply: fixed(2), request: (*decoder).nothing, response: (*decoder).tellOutputs},
		8: {name: "diagnostics", op: protocols.Diagnose, depth: "request and response, sub-functions, data; restart communications is a restart",
			ask:     form{walk: diagnosticForm, sure: echoedData},
			reply:   form{walk: diagnosticForm, sure: echoedData},
			request: (*decoder).diagnostic, response: (*decoder).diagnostic, answers: diagnosticAnswer, subject: subSubject},
		9:  {name: "program_484", op: protocols.Configure, fault: protocols.BadCode},
		10: {name: "poll_484", op: protocols.Diagnose, fault: protocols.BadCode},
		11: {name: "get_comm_event_counter", op: protocols.Diagnose, depth: "request and response, status, count",
			ask: fixed(1), reply: fixed(5), request: (*decoder).nothing, response: (*decoder).status},
		12: {name: "get_comm_event_log", op: protocols.Diagnose, depth: "request and response, status, counts, events",
			ask: fixed(1), reply: form{n: 2, at: 1, min: 6}, request: (*decoder).nothing, response: (*decoder).tellEventLog},
		13: {name: "program_controller", op: protocols.Configure, fault: protocols.BadCode},
		14: {name: "poll_controller", op: protocols.Diagnose, fault: protocols.BadCode},
		15: {name: "write_multiple_coils", op: protocols.Write, depth: "request and response, values",
			ask: counted(6, 5), reply: fixed(5), request: (*decoder).askWriteBits, response: (*decoder).tellWritten, answers: rangeAnswer, subject: rangeSubject},
		16: {name: "write_multiple_registers", op: protocols.Write, depth: "request and response, values",
			ask: counted(6, 5), reply: fixed(5), request: (*decoder).askWriteRegisters, response: (*decoder).tellWritten, answers: rangeAnswer, subject: rangeSubject},
		17: {name: "report_server_id", op: protocols.Diagnose, depth: "request and response, identifier, run indicator",
			ask: fixed(1), reply: bits(), request: (*decoder).nothing, response: (*decoder).tellServerID},
		18: {name: "program_884", op: protocols.Configure, fault: protocols.BadCode},
		19: {name: "reset_comm_link", op: protocols.Restart, fault: protocols.BadCode},
		20: {name: "read_file_record", op: protocols.File, depth: "request and response, records, values",
			ask: walked(fileAskForm), reply: walked(fileReplyForm), request: (*decoder).askFile, response: (*decoder).tellFile},
		21: {name: "write_file_record", op: protocols.File, depth: "request and response, records, values",
			ask: counted(2, 1), reply: counted(2, 1), request: (*decoder).writeFile, response: (*decoder).writeFile, answers: echoAnswer},
		22: {name: "mask_write_register", op: protocols.Write, depth: "request and response, masks; the value where nothing is kept",
			ask: fixed(7), reply: fixed(7), request: (*decoder).mask, response: (*decoder).mask, answers: echoAnswer, subject: rangeSubject},
		23: {name: "read_write_multiple_registers", op: protocols.Write, depth: "request and response, values read and written",
			ask: counted(10, 9), reply: registers(), request: (*decoder).askExchange, response: (*decoder).tellRegisters, answers: registersAnswer, subject: rangeSubject},
		24: {name: "read_fifo_queue", op: protocols.Read, depth: "request and response, values",
			ask: fixed(3), reply: walked(fifoForm), request: (*decoder).askFIFO, response: (*decoder).tellFIFO, subject: rangeSubject},
		40: {name: "program_concept", op: protocols.Configure, fault: protocols.BadCode},
		41: {name: "reserved_41", fault: protocols.BadCode},
		42: {name: "concept_symbol_table", op: protocols.Configure, fault: protocols.BadCode},
		43: {name: "encapsulated_interface_transport", op: protocols.Diagnose, depth: "device identification, joined over continuations; CANopen as bytes",
			ask: walked(meiAskForm), reply: walked(meiTellForm), request: (*decoder).askMEI, response: (*decoder).tellMEI, answers: meiAnswer},
		90: {name: "umas", op: protocols.Configure, depth: "session, sub-code, result; data as bytes",
			ask: form{walk: open, sure: umasAsk}, reply: form{walk: open, sure: umasTell},
			request: (*decoder).askUMAS, response: (*decoder).tellUMAS, subject: subSubject},
		91:  {name: "reserved_91", fault: protocols.BadCode},
		125: {name: "firmware_replacement", op: protocols.Configure, fault: protocols.BadCode},
		126: {name: "program_584", op: protocols.Configure, fault: protocols.BadCode},
		127: {name: "report_local_address", op: protocols.Diagnose, fault: protocols.BadCode},
	}
	user := row{name: "user_defined"}
	for fc := 65; fc <= 72; fc++ {
		t[fc] = user
	}
	for fc := 100; fc <= 110; fc++ {
		t[fc] = user
	}
	for i := range t {
		r := &t[i]
		if r.name != "" && r.request == nil {
			r.ask, r.reply, r.depth = form{walk: open}, form{walk: open}, "function code; data as bytes"
		}
	}
	return t
}()

// codes lists the rows that have a name.
func codes() (list []protocols.Code) {
	for fc := range rows {
		if r := &rows[fc]; r.name != "" {
			list = append(list, protocols.Code{Code: uint16(fc), Name: r.name, Op: r.op, Depth: r.depth})
		}
	}
	return list
}

// nothing decodes a request that is its function code alone.
func (d *decoder) nothing(*protocols.Message) {}

func bitsAnswer(p []byte, e *exchange) bool {
	return len(p) >= 2 && int(p[1]) == (int(e.count)+7)/8
}

func registersAnswer(p []byte, e *exchange) bool {
	return len(p) >= 2 && int(p[1]) == 2*int(e.count)
}

func echoAnswer(p []byte, e *exchange) bool { return sumOf(p) == e.sum }

func rangeAnswer(p []byte, e *exchange) bool {
	return len(p) >= 5 && binary.BigEndian.Uint16(p[1:]) == e.addr && binary.BigEndian.Uint16(p[3:]) == e.count
}

// diagnosticAnswer: the sub-function comes back, and the data of those that report nothing.
func diagnosticAnswer(p []byte, e *exchange) bool {
	if len(p) < 3 || binary.BigEndian.Uint16(p[1:]) != e.sub {
		return false
	}
	switch e.sub {
	case returnQueryData, restartComms, changeDelimiter:
		return echoAnswer(p, e)
	}
	return true
}

func meiAnswer(p []byte, e *exchange) bool {
	return len(p) >= 3 && p[1] == e.mei && (e.mei != deviceID || p[2] == byte(e.sub>>8))
}
