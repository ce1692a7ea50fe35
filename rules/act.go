package rules

// An Act is a control action as the ledger of a sensor knows it when it is over: what an event of the kind Action is
// about. The event's Msg stands for its first command, and names its points; the event's time is when it was over.
type Act struct {
	Record  string   // id of the ledger's record
	Ended   Ending   // of an action; none of a change that nobody asked for
	Selects bool     // it was given by selection and execution
	Effect  Effect   // whether what it moves has moved
	Unasked bool     // no action at all: a point that follows commands has changed without one
	Latency int64    // nanoseconds from the execution to its confirmation; 0 where there was none
	Frames  []uint64 // numbers of its packets

	// Of the client, over all stations, this action included.
	Actions   int // so many are known of it
	NotDone   int // so many of its last RecentActs were refused, without selection or mismatched
	NewPoints int // so many of its last RecentActs were of points that it had not commanded before
}

// RecentActs is how many of a client's actions are looked back upon.
const RecentActs = 20

// Ending is how an action ended. Its words are those of the ledger's outcomes.
type Ending uint8

// The endings. NoEnding is that of what is no action.
const (
	NoEnding Ending = iota
	EndConfirmed
	EndRefused
	EndTimeout
	EndNoSelect
	EndMismatch
	EndCancelled
	EndUnknownGap
)

var endingNames = [...]string{"none", "confirmed", "refused", "timeout", "no_select", "mismatch", "cancelled", "unknown_gap"}

func (n Ending) String() string { return endingNames[n] }

// EndingNames returns the words of the endings.
func EndingNames() []string { return endingNames[:] }

// Effect is whether what an action moves has moved.
type Effect uint8

// The effects. EffectMissing is said only where one was to be expected: the indication of the point is known, the
// command was for another state than the one before, and nothing was lost.
const (
	EffectUnknown Effect = iota
	EffectSeen
	EffectMissing
)

var effectNames = [...]string{"unknown", "seen", "missing"}

func (f Effect) String() string { return effectNames[f] }

// EffectNames returns the words of the effects.
func EffectNames() []string { return effectNames[:] }
