package protocols

// Faults is the set of what is wrong with a message. It is a value, made without allocation: detection material, not
// a log line. On a fault that makes the content meaningless, the message carries only Proto, From, Raw and what could
// be read before it.
type Faults uint32

// The faults.
const (
	Short          Faults = 1 << iota // ends before its fields do
	BadLength                         // a length or byte count contradicts the content
	BadChecksum                       // CRC, LRC or file checksum
	BadHeader                         // protocol identifier, start octets, reserved bits
	BadCode                           // reserved or unknown function code, type id, object
	BadValue                          // a field outside the range that the standard allows
	BadQuantity                       // a quantity of objects outside the standard's limit
	BadAddress                        // address plus quantity runs over the end, a reserved or illegal address
	BadCause                          // 104: cause illegal for the type or the direction
	BadDirection                      // sent by the side that must not send it
	BadSequence                       // a sequence number that is not the next
	OutOfTurn                         // not allowed in this state of the session
	Mismatch                          // answers with other content than the request asks for
	TrailingBytes                     // bytes behind the last field
	BadTime                           // an impossible date or time
	Unframed                          // bytes that belong to no frame; Raw holds the first of them
	Overlap                           // a TCP segment repeated old bytes with other content
	Truncated                         // the capture cut the packet short (snaplen)
	LateSegment                       // a segment or fragment outside its order
	WindowExceeded                    // 104: more than k unacknowledged, or timer t1, t2, t3 exceeded
	AfterEnd                          // bytes from an end that has reset its TCP connection, or said that it has no more
)

var faultNames = [...]string{"short", "bad_length", "bad_checksum", "bad_header", "bad_code", "bad_value", "bad_quantity", "bad_address",
	"bad_cause", "bad_direction", "bad_sequence", "out_of_turn", "mismatch", "trailing_bytes", "bad_time", "unframed", "overlap",
	"truncated", "late_segment", "window_exceeded", "after_end"}

// FaultNames returns the words of the faults, by bit.
func FaultNames() []string { return faultNames[:] }

// Append appends the words of f joined by commas; nothing if there are none.
func (f Faults) Append(dst []byte) []byte { return appendBits(dst, uint64(f), faultNames[:], "") }

func (f Faults) String() string { return string(f.Append(nil)) }
