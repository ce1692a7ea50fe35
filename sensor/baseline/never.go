package baseline

import (
	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

// never lists the requests that learning does not approve, since an attack would use them: by protocol, code and, where
// sub is not negative, sub-code.
var never = []struct {
	proto string
	code  uint16
	sub   int64
	why   string
}{
	{"modbus", 8, 1, "restarts communications"},
	{"modbus", 8, 4, "silences the device"},
	{"modbus", 21, -1, "writes files"},
	{"dnp3", 13, -1, "restarts the device"},
	{"dnp3", 14, -1, "restarts the device"},
	{"dnp3", 15, -1, "initialises data"},
	{"dnp3", 16, -1, "initialises an application"},
	{"dnp3", 18, -1, "stops an application"},
	{"dnp3", 19, -1, "saves a configuration"},
	{"dnp3", 21, -1, "silences unsolicited reports"},
	{"dnp3", 27, -1, "deletes files"},
	{"dnp3", 31, -1, "activates a configuration"},
	{"iec104", 105, -1, "resets the process"},
	{"iec104", 125, -1, "writes files"},
}

// broadcasts are the station addresses that mean all stations, by protocol. Unit 0 of Modbus is none here: over TCP
// most devices take it for themselves. Nor is common address 65535 of 104, which some stations have as their own; where
// none has, a command to it is a fault and not learned.
var broadcasts = map[string]func(station uint32) bool{
	"dnp3": func(s uint32) bool { return s >= 0xfffd }, // IEEE 1815 9.2.3
}

// hold says why the operation of e must not be approved in bulk; empty if it may be.
func hold(e *rules.Event, sub int64) string {
	m := e.Msg
	if m.From != protocols.Client {
		return ""
	}
	for i := range never {
		if n := &never[i]; m.HasCode && n.code == m.Code && (n.sub < 0 || n.sub == sub) && n.proto == m.Proto.Name {
			return n.why
		}
	}
	if (m.Op == protocols.Operate || m.Op == protocols.Write) && m.HasStation {
		if all := broadcasts[m.Proto.Name]; all != nil && all(m.Station) {
			return "commands all stations at once"
		}
	}
	return ""
}
