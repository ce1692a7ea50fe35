// Package protocols holds the nouns of the wire: what a control protocol is, the message that every decoder fills,
// the points it carries and the faults it can have.
//
// One protocol is one folder below this one, with one row in the catalog. Nothing here reads a clock, a file or a
// socket, and nothing here logs: what is wrong with a frame is a value.
package protocols

// A Protocol is all that the sensor knows about one wire protocol.
type Protocol struct {
	Name  string   // the word in events, rules and metrics: "modbus"
	Title string   // as people write it: "IEC 60870-5-104"
	TCP   []uint16 // registered server ports over TCP
	UDP   []uint16 // registered server ports over UDP
	Codes []Code   // every function code or type id that the decoder names, sorted by Code
	Field []Field  // the protocol's own object in an event, and its words in the rule language
	Docs  []Sheet  // further tables for docs/protocols.md: object groups, type sizes

	// New makes the decoder of one connection.
	New func(Hint) Decoder
	// Probe judges the first bytes that one side of a connection on an unregistered port has sent. It must not say Yes
	// on less than a validated chain of headers. It is pure and keeps no reference to b.
	Probe func(b []byte, last bool) Guess
	// AppendStatus appends the words for a Message's Status, which is never 0 here: an exception, indications, a
	// negative confirmation.
	AppendStatus func(dst []byte, status uint32) []byte
}

// Code looks up a row of p.Codes. A code without a row is named by AppendCodeName.
func (p *Protocol) Code(code uint16) (*Code, bool) {
	lo, hi := 0, len(p.Codes)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if p.Codes[mid].Code < code {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo < len(p.Codes) && p.Codes[lo].Code == code {
		return &p.Codes[lo], true
	}
	return nil, false
}

// A Code is what is known of one function code or type id. Knowledge is added by adding a row.
type Code struct {
	Code  uint16
	Name  string // the standard's own name: "write_multiple_registers", "OPERATE", "C_SC_NA_1"
	Op    Op     // what it does to the station
	Depth string // for docs: what of it is decoded ("request and response, values")
}

// A Sheet is a generated table of docs/protocols.md.
type Sheet struct {
	Title  string
	Header []string
	Rows   [][]string
}

// A Hint tells a new decoder what the connection's ports and first packets say about its two ends.
type Hint struct {
	Server   Dir  // the end with the registered port, or the one that was called
	Known    bool // whether Server means anything
	Start    bool // its beginning was seen: what comes is the first that the ends say to each other
	Datagram bool // each Split sees one datagram, and nothing carries over to the next
	Kin      *Kin // what the connection shares with others; nil if it shares nothing
}

// A Kin is what the TCP connections of one protocol between the same two hosts, to the same port of the server, have in
// common: redundant connections are one session in several. Its decoders are used by one goroutine.
type Kin struct {
	Conns int // how many of them are open, this one among them
	State any // the decoders' own; nil at first
}

// An Ender is a Decoder that is told when its connection has ended on the wire. More may still come: a reset can be
// forged.
type Ender interface {
	Ended()
}

// Dir tells the two ends of a connection apart: 0 and 1. It says nothing about who is the master.
type Dir uint8

// Other returns the opposite end.
func (d Dir) Other() Dir { return d ^ 1 }

// Guess is the verdict of a Probe.
type Guess uint8

// The verdicts.
const (
	No    Guess = iota // these bytes are not of this protocol
	Maybe              // more bytes are needed
	Yes                // a validated chain of headers
)

// A Frame is what Split cut out of a stream, with the time at which its last byte arrived.
type Frame struct {
	Dir   Dir
	At    int64  // Unix nanoseconds of the packet that completed it
	Bytes []byte // lent until Decode returns; the message may keep it until the next Decode
}

// A Decoder holds the state of one connection in both directions. It is used by one goroutine.
//
// The same bytes give the same messages however they were cut into segments. No input makes it panic, read past the
// end, or hold memory without bound.
type Decoder interface {
	// Split looks at the bytes that dir has sent and that no frame has taken yet, in order and without a hole. The
	// first skip bytes belong to no frame; behind them stands a whole frame of n bytes. Where n is 0, what follows the
	// skipped bytes must wait for more. With last set, no byte will follow these without a hole (the connection ended,
	// bytes behind them were lost, or they are a datagram): Split then decides with what there is. Split is called
	// again with the rest after each frame, keeps no reference to b, and skip+n <= len(b). After Lost, and at the start
	// of a connection, it trusts the stream again only on a validated chain of headers.
	Split(dir Dir, b []byte, last bool) (skip, n int)
	// Decode replaces all of m with what one frame says. It returns false if the frame completes no message (a
	// segment of a longer one). m, and all that it refers to, is valid until the next call of Decode. It allocates
	// nothing on a warm connection. A frame that is wrong still gives a message, with Faults set.
	Decode(f Frame, m *Message) bool
	// Lost says that bytes of dir are missing before those that Split sees next: what is half read is forgotten, and
	// checks of sequence suspend until they have been re-learned.
	Lost(dir Dir)
}
