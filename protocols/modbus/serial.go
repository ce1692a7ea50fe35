package modbus

import "github.com/roje-ot/roje/protocols"

// Sub-functions of diagnostics that the decoder treats apart (6.8).
const (
	returnQueryData      = 0
	restartComms         = 1
	changeDelimiter      = 3
	forceListenOnly      = 4
	modbusPlusStatistics = 21
)

// diagnosticNames are the sub-functions of function 8; the others are reserved. 21 belongs to Modbus Plus bridges.
var diagnosticNames = [...]string{
	0: "return_query_data", 1: "restart_communications", 2: "return_diagnostic_register", 3: "change_ascii_delimiter",
	4: "force_listen_only_mode", 10: "clear_counters", 11: "return_bus_message_count", 12: "return_bus_communication_error_count",
	13: "return_bus_exception_error_count", 14: "return_server_message_count", 15: "return_server_no_response_count",
	16: "return_server_nak_count", 17: "return_server_busy_count", 18: "return_bus_character_overrun_count",
	20: "clear_overrun_counter", 21: "modbus_plus_statistics",
}

func diagnosticName(sub uint16) string {
	if int(sub) < len(diagnosticNames) {
		return diagnosticNames[sub]
	}
	return ""
}

// setSub notes the sub-function of diagnostics or UMAS.
func (d *decoder) setSub(sub uint16) {
	d.detail.sub = sub
	d.detail.has |= hasSub
	if d.pdu[0]&0x7f == umasCode {
		d.detail.subName = umasSubs[byte(sub)].name
	} else {
		d.detail.subName = diagnosticName(sub)
	}
}

// refine corrects what the message does by its sub-function.
func (d *decoder) refine(m *protocols.Message) {
	if d.detail.has&hasSub == 0 {
		return
	}
	switch {
	case d.pdu[0]&0x7f == umasCode:
		m.Op = umasSubs[byte(d.detail.sub)].op
	case d.detail.sub == restartComms:
		m.Op = protocols.Restart
	}
}

// diagnostic decodes function 8 in either direction.
func (d *decoder) diagnostic(m *protocols.Message) {
	sub := d.c.BE16()
	if d.c.Short {
		return
	}
	d.setSub(sub)
	d.refine(m)
	if d.detail.subName == "" {
		m.Faults |= protocols.BadCode
	}
	if m.From == protocols.Client {
		d.now.sub = sub
	}
	if d.c.Left() != 2 && (sub == returnQueryData || sub == modbusPlusStatistics || d.detail.subName == "") {
		d.detail.data = d.c.Rest()
		return
	}
	v := d.c.BE16()
	if d.c.Short {
		return
	}
	d.detail.word = v
	d.detail.has |= hasWord
	if sub == changeDelimiter && d.detail.framing == ascii {
		d.delimiter = byte(v >> 8)
	}
	if m.From == protocols.Client && !diagnosticData(sub, v) {
		m.Faults |= protocols.BadValue
	}
}

// diagnosticData reports whether a request of sub may carry v.
func diagnosticData(sub, v uint16) bool {
	switch {
	case sub == returnQueryData || sub >= modbusPlusStatistics || diagnosticName(sub) == "":
		return true
	case sub == restartComms:
		return v == 0 || v == 0xff00
	case sub == changeDelimiter:
		return v&0xff == 0
	}
	return v == 0
}

// tellOutputs decodes the response of function 7 (6.7).
func (d *decoder) tellOutputs(m *protocols.Message) {
	d.detail.word = uint16(d.c.U8())
	if !d.c.Short {
		d.detail.has |= hasOutputs
	}
}

// status reads the status word, which is all ones while busy and else zero (6.9).
func (d *decoder) status(m *protocols.Message) {
	d.detail.word, d.detail.events = d.c.BE16(), d.c.BE16()
	if d.c.Short {
		return
	}
	d.detail.has |= hasStatus | hasEvents
	if d.detail.word != 0 && d.detail.word != 0xffff {
		m.Faults |= protocols.BadValue
	}
}

// tellEventLog decodes the response of function 12 (6.10).
func (d *decoder) tellEventLog(m *protocols.Message) {
	n := int(d.c.U8())
	if d.c.Short {
		return
	}
	if n != d.c.Left() {
		m.Faults |= protocols.BadLength
	}
	if n < 6 || n > 6+64 {
		m.Faults |= protocols.BadQuantity
	}
	d.status(m)
	d.detail.messages = d.c.BE16()
	if d.c.Short {
		return
	}
	d.detail.has |= hasMessages
	d.detail.log = d.c.Rest()
}

// tellServerID decodes the response of function 17: an identifier of the maker's own length, the run indicator, and
// whatever the maker adds (6.13). The indicator is the last 0x00 or 0xFF where nothing but text stands around it.
func (d *decoder) tellServerID(m *protocols.Message) {
	b := d.counted(m)
	if d.c.Short {
		return
	}
	d.detail.serverID = b
	if i := runIndicator(b); i >= 0 {
		d.detail.running = b[i] == 0xff
		d.detail.has |= hasRunning
	}
}

// runIndicator finds the run indicator in a server's report, or returns -1. Its place depends on the maker: usually it
// follows an identifier of one byte, or the report ends with it; a report that leaves a doubt has none.
func runIndicator(b []byte) int {
	is := func(i int) bool { return i >= 0 && i < len(b) && (b[i] == 0 || b[i] == 0xff) }
	switch last := len(b) - 1; {
	case is(1):
		if len(b) > 3 && is(2) && b[2] != b[1] {
			return 2
		}
		return 1
	case is(last):
		return last
	}
	found := -1
	for i := range b {
		if is(i) {
			if found >= 0 {
				return -1
			}
			found = i
		}
	}
	return found
}
