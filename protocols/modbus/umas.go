package modbus

import "github.com/roje-ot/roje/protocols"

// A umasSub is a sub-code of function 90, by which Schneider Electric's engineering tools speak to their controllers.
// No standard publishes it: the names are those in use among its analysts.
type umasSub struct {
	name string
	op   protocols.Op
}

// Answers carry one of these in the place of the sub-code.
const (
	umasOK    = 0xfe
	umasError = 0xfd
)

// umasRefused marks a Status as the error code of a UMAS answer.
const umasRefused = 0x100

var umasSubs = [256]umasSub{
	0x01: {"init_comm", protocols.Session},
	0x02: {"read_id", protocols.Diagnose},
	0x03: {"read_project_info", protocols.Diagnose},
	0x04: {"read_plc_info", protocols.Diagnose},
	0x06: {"read_card_info", protocols.Diagnose},
	0x0a: {"repeat", protocols.Diagnose},
	0x10: {"take_plc_reservation", protocols.Session},
	0x11: {"release_plc_reservation", protocols.Session},
	0x12: {"keep_alive", protocols.Session},
	0x20: {"read_memory_block", protocols.Read},
	0x21: {"write_memory_block", protocols.Write},
	0x22: {"read_variables", protocols.Read},
	0x23: {"write_variables", protocols.Write},
	0x24: {"read_coils_registers", protocols.Read},
	0x25: {"write_coils_registers", protocols.Write},
	0x30: {"initialize_upload", protocols.File},
	0x31: {"upload_block", protocols.File},
	0x32: {"end_strategy_upload", protocols.File},
	0x33: {"initialize_download", protocols.File},
	0x34: {"download_block", protocols.File},
	0x35: {"end_strategy_download", protocols.File},
	0x39: {"read_eth_master_data", protocols.Read},
	0x40: {"start_plc", protocols.Operate},
	0x41: {"stop_plc", protocols.Operate},
	0x50: {"monitor_plc", protocols.Read},
	0x58: {"check_plc", protocols.Diagnose},
	0x70: {"read_io_object", protocols.Read},
	0x71: {"write_io_object", protocols.Write},
	0x73: {"get_status_module", protocols.Diagnose},
}

// umasAsk and umasTell report whether p looks like a request or an answer of UMAS: neither has a length of its own.
func umasAsk(p []byte) bool  { return len(p) >= 3 && umasSubs[p[2]].name != "" }
func umasTell(p []byte) bool { return len(p) >= 3 && (p[2] == umasOK || p[2] == umasError) }

// askUMAS decodes a request: session, sub-code, data.
func (d *decoder) askUMAS(m *protocols.Message) {
	session, sub := d.c.U8(), d.c.U8()
	if d.c.Short {
		return
	}
	d.detail.session = session
	d.detail.has |= hasSession
	d.now.sub = uint16(sub)
	d.setSub(uint16(sub))
	d.refine(m)
	d.detail.data = d.c.Rest()
}

// tellUMAS decodes an answer: session, result, data; the sub-code is that of its request.
func (d *decoder) tellUMAS(m *protocols.Message) {
	session, result := d.c.U8(), d.c.U8()
	if d.c.Short {
		return
	}
	d.detail.session = session
	d.detail.has |= hasSession
	if d.now != nil {
		d.setSub(d.now.sub)
		d.refine(m)
	}
	d.detail.data = d.c.Rest()
	switch {
	case result == umasError:
		m.Status = umasRefused
		if len(d.detail.data) > 0 {
			m.Status |= uint32(d.detail.data[0])
		}
	case result != umasOK:
		m.Faults |= protocols.BadValue
	}
}
