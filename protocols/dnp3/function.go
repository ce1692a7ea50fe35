package dnp3

import "github.com/roje-ot/roje/protocols"

// Function codes that the decoder treats by name.
const (
	fnConfirm       = 0
	fnRead          = 1
	fnWrite         = 2
	fnFreezeAtTime  = 11
	fnFreezeAtTimeN = 12
	fnResponse      = 129
	fnUnsolicited   = 130
)

// A function is one application function code, IEEE 1815 table 4-2.
type function struct {
	code   uint8
	name   string
	op     protocols.Op
	data   bool // its object headers are followed by objects
	answer bool // sent by the outstation, has internal indications
	silent bool // a request that is not answered
	depth  string
}

const (
	headersOnly = "object headers, ranges and indexes"
	withObjects = "object headers, points with value, flags and time"
	withStatus  = "every control with its parameters and status"
	withFile    = "file object, without passwords"
	noObjects   = "header, pairing"
	withAuth    = "authentication object: user, sequence, algorithms, reasons; no key material"
)

// functions is sorted by code.
var functions = []function{
	{code: fnConfirm, name: "CONFIRM", op: protocols.Session, depth: noObjects},
	{code: fnRead, name: "READ", op: protocols.Read, depth: headersOnly},
	{code: fnWrite, name: "WRITE", op: protocols.Write, data: true, depth: withObjects},
	{code: 3, name: "SELECT", op: protocols.Operate, data: true, depth: withStatus},
	{code: 4, name: "OPERATE", op: protocols.Operate, data: true, depth: withStatus},
	{code: 5, name: "DIRECT_OPERATE", op: protocols.Operate, data: true, depth: withStatus},
	{code: 6, name: "DIRECT_OPERATE_NR", op: protocols.Operate, data: true, silent: true, depth: withStatus},
	{code: 7, name: "IMMED_FREEZE", op: protocols.Write, depth: headersOnly},
	{code: 8, name: "IMMED_FREEZE_NR", op: protocols.Write, silent: true, depth: headersOnly},
	{code: 9, name: "FREEZE_CLEAR", op: protocols.Write, depth: headersOnly},
	{code: 10, name: "FREEZE_CLEAR_NR", op: protocols.Write, silent: true, depth: headersOnly},
	{code: fnFreezeAtTime, name: "FREEZE_AT_TIME", op: protocols.Configure, depth: headersOnly + ", time and interval"},
	{code: fnFreezeAtTimeN, name: "FREEZE_AT_TIME_NR", op: protocols.Configure, silent: true, depth: headersOnly + ", time and interval"},
	{code: 13, name: "COLD_RESTART", op: protocols.Restart, depth: noObjects},
	{code: 14, name: "WARM_RESTART", op: protocols.Restart, depth: noObjects},
	{code: 15, name: "INITIALIZE_DATA", op: protocols.Restart, depth: headersOnly},
	{code: 16, name: "INITIALIZE_APPL", op: protocols.Restart, data: true, depth: "application identifiers"},
	{code: 17, name: "START_APPL", op: protocols.Restart, data: true, depth: "application identifiers"},
	{code: 18, name: "STOP_APPL", op: protocols.Restart, data: true, depth: "application identifiers"},
	{code: 19, name: "SAVE_CONFIG", op: protocols.Configure, depth: headersOnly},
	{code: 20, name: "ENABLE_UNSOLICITED", op: protocols.Configure, depth: headersOnly},
	{code: 21, name: "DISABLE_UNSOLICITED", op: protocols.Configure, depth: headersOnly},
	{code: 22, name: "ASSIGN_CLASS", op: protocols.Configure, depth: headersOnly},
	{code: 23, name: "DELAY_MEASURE", op: protocols.Time, depth: noObjects},
	{code: 24, name: "RECORD_CURRENT_TIME", op: protocols.Time, depth: noObjects},
	{code: 25, name: "OPEN_FILE", op: protocols.File, data: true, depth: withFile},
	{code: 26, name: "CLOSE_FILE", op: protocols.File, data: true, depth: withFile},
	{code: 27, name: "DELETE_FILE", op: protocols.File, data: true, depth: withFile},
	{code: 28, name: "GET_FILE_INFO", op: protocols.File, data: true, depth: withFile},
	{code: 29, name: "AUTHENTICATE_FILE", op: protocols.File, data: true, depth: withFile},
	{code: 30, name: "ABORT_FILE", op: protocols.File, data: true, depth: withFile},
	{code: 31, name: "ACTIVATE_CONFIG", op: protocols.Configure, data: true, depth: "names of what is activated"},
	{code: 32, name: "AUTHENTICATE_REQ", op: protocols.Session, data: true, depth: withAuth},
	{code: 33, name: "AUTH_REQ_NO_ACK", op: protocols.Session, data: true, silent: true, depth: withAuth},
	{code: fnResponse, name: "RESPONSE", op: protocols.Report, data: true, answer: true, depth: withObjects},
	{code: fnUnsolicited, name: "UNSOLICITED_RESPONSE", op: protocols.Report, data: true, answer: true, depth: withObjects},
	{code: 131, name: "AUTHENTICATE_RESP", op: protocols.Session, data: true, answer: true, depth: withAuth},
}

// byCode holds 1 plus the row of functions; 0 is unknown.
var byCode = func() (t [256]uint8) {
	for i, f := range functions {
		t[f.code] = uint8(i + 1)
	}
	return t
}()

// functionOf returns the row of a code, or nil.
func functionOf(code uint8) *function {
	if i := byCode[code]; i != 0 {
		return &functions[i-1]
	}
	return nil
}

func codes() []protocols.Code {
	rows := make([]protocols.Code, len(functions))
	for i, f := range functions {
		rows[i] = protocols.Code{Code: uint16(f.code), Name: f.name, Op: f.op, Depth: f.depth}
	}
	return rows
}

// writeOps says what a WRITE does, by the group of its first object; other groups are a plain write.
var writeOps = [256]protocols.Op{
	0: protocols.Configure, 34: protocols.Configure, 50: protocols.Time, 51: protocols.Time, 70: protocols.File,
	80: protocols.Session, 82: protocols.Configure, 83: protocols.Configure, 85: protocols.Configure, 86: protocols.Configure,
}
