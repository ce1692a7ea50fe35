package protocols

// A Point is one piece of process data in a message, or a run of N of them that starts at Addr. It holds no pointers.
// A response carries one Point per value; a request for a range is one Point with N > 1 and no value.
type Point struct {
	Kind    Kind
	Has     Has
	Control uint8   // if HasControl: the control octet as on the wire (CROB control code, 104 SCO, DCO, RCO, QOS)
	Status  uint8   // if HasStatus: control status (DNP3 CROB and analog output; 0 is SUCCESS)
	Count   uint8   // if HasPulse: CROB count
	Type    uint16  // DNP3: group<<8 | variation; 104: type id; Modbus: table (0 coils, 1 discrete inputs, 3 input, 4 holding registers, 6 file records)
	Off     uint16  // if HasText: the text is Body[Off:Off+Len]; read it with Message.Text
	Len     uint16  //
	Addr    uint32  // register or coil address, DNP3 index, 104 information object address
	N       uint32  // length of the run, at least 1
	Quality Quality // if HasQuality
	OnMS    uint32  // if HasPulse: CROB on-time, ms
	OffMS   uint32  // if HasPulse: CROB off-time, ms
	Value   float64 // if HasValue
	Time    int64   // if HasTime: Unix nanoseconds, as the device said, UTC
}

// Has says which optional members of a Point mean something.
type Has uint8

// The bits of Has.
const (
	HasValue Has = 1 << iota
	HasQuality
	HasTime
	HasControl
	HasStatus
	HasPulse
	HasText
	HasAge // Time is relative to a time that was not seen: the device's own count, not a date
)

// Kind is what a point is to the process. DNP3's four kinds serve all protocols.
type Kind uint8

// The kinds.
const (
	OtherKind Kind = iota
	BinaryIn
	BinaryOut
	AnalogIn
	AnalogOut
	Counter
)

var kindNames = [...]string{"other", "binary_in", "binary_out", "analog_in", "analog_out", "counter"}

func (k Kind) String() string { return kindNames[k] }

// Quality is the union of the quality bits of all protocols; 0 is "good".
type Quality uint32

// The bits of Quality. The first five are those of IEC 60870-5-101 7.2.6.3, then DNP3 flags of IEEE 1815 11.6, then
// the counter, protection and time bits of IEC 60870-5-101.
const (
	Overflow    Quality = 1 << iota // OV; DNP3 OVER_RANGE
	Blocked                         // BL
	Substituted                     // SB
	NotTopical                      // NT
	Invalid                         // IV
	Online                          // DNP3: set when good
	Restarted
	CommLost
	RemoteForced
	LocalForced
	Chatter
	Rollover
	Discontinuity
	ReferenceErr
	CarryOver          // CY of a binary counter reading
	Adjusted           // CA of a binary counter reading
	Transient          // of a step position
	ElapsedInvalid     // EI of protection equipment
	TimeInvalid        // IV of a time tag
	TimeSubstituted    // GEN bit of a time tag
	TimeUnsynchronised // DNP3: common time of occurrence g51v2
	TestBit            // 104: cause of transmission carries T
	Offline            // DNP3: the flag ONLINE is clear
)

var qualityNames = [...]string{"overflow", "blocked", "substituted", "not_topical", "invalid", "online", "restart", "comm_lost", "remote_forced",
	"local_forced", "chatter", "rollover", "discontinuity", "reference_err", "carry", "adjusted", "transient", "elapsed_invalid",
	"time_invalid", "time_substituted", "time_unsynchronised", "test", "offline"}

// Append appends the words of q joined by commas, or "good".
func (q Quality) Append(dst []byte) []byte {
	return appendBits(dst, uint64(q), qualityNames[:], "good")
}

func (q Quality) String() string { return string(q.Append(nil)) }

// appendBits appends the names of the set bits of v joined by commas, or none where v has none of them.
func appendBits(dst []byte, v uint64, names []string, none string) []byte {
	start := len(dst)
	for i, name := range names {
		if v&(1<<i) == 0 {
			continue
		}
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = append(dst, name...)
	}
	if len(dst) == start {
		dst = append(dst, none...)
	}
	return dst
}
