package protocols

// Side is the role of the end that sent a message. It comes from the message (direction bit, function code, cause of
// transmission), not from who opened the connection.
type Side uint8

// The roles. Client is the master, the controlling station; Server the outstation, the controlled station.
const (
	Client Side = iota
	Server
)

// A Message is one request, response or report: a Modbus PDU, a DNP3 application fragment or link-only frame, a 104
// APDU. A decoder fills it, and it is valid until that decoder's next Decode.
type Message struct {
	Proto *Protocol
	From  Side
	Dir   Dir // which end of the connection sent it

	HasCode    bool // false for S and U frames, link-only frames, and frames too broken to name
	HasStation bool
	HasMaster  bool
	Code       uint16 // function code, DNP3 application function, 104 type id
	Op         Op
	Name       string // Codes row's name; for unknown codes and codeless frames the decoder's constant: "unknown", "STARTDT act"
	Station    uint32 // unit id, outstation link address, common address
	Master     uint32 // DNP3 master link address, 104 originator

	Status uint32 // 0 is ok; else protocol specific, said in words by Proto.AppendStatus
	Faults Faults
	Turn   Turn
	RTT    int64 // nanoseconds from the request to this response, if Turn is Response or Late

	Points []Point
	Body   []byte // the application bytes that Points' texts lie in; valid as long as the message
	Raw    []byte // the frame that completed the message
	Detail any    // the decoder's own struct, always a pointer to the same one; read through Proto.Field
}

// Reset empties m for the next frame and keeps the room of Points.
func (m *Message) Reset() {
	points := m.Points[:0]
	*m = Message{} // in place; with points in the literal it would be built elsewhere and copied
	m.Points = points
}

// Text returns the text of p, which lies in m.Body, or nil.
func (m *Message) Text(p *Point) []byte {
	if end := int(p.Off) + int(p.Len); end <= len(m.Body) {
		return m.Body[p.Off:end]
	}
	return nil
}

// Turn says how a message relates to the request it belongs to.
type Turn uint8

// The turns.
const (
	Alone       Turn = iota // belongs to no exchange, or the decoder does not pair it
	Request                 // expects an answer
	Response                // answers a request that was seen
	Late                    // answers a request that was already given up for a later one
	Duplicate               // answers a request that was already answered
	Unsolicited             // says that nobody asked for it (DNP3 function 130, spontaneous data)
	Unpaired                // is an answer, but its request was not seen
)

var turnNames = [...]string{"", "request", "response", "late", "duplicate", "unsolicited", "unpaired"}

func (t Turn) String() string { return turnNames[t] }

// Op is what a message does, in an operator's words. It is the same across protocols.
type Op uint8

// The operations.
const (
	Other Op = iota
	Read
	Write
	Operate
	Report
	Configure
	File
	Time
	Restart
	Session
	Diagnose
)

var opNames = [...]string{"other", "read", "write", "operate", "report", "configure", "file", "time", "restart", "session", "diagnose"}

func (o Op) String() string { return opNames[o] }

// OpNames returns the words of the operations, indexed by Op.
func OpNames() []string { return opNames[:] }
