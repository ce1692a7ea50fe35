package lang

import (
	"net/netip"

	"github.com/roje-ot/roje/rules"

	"github.com/roje-ot/roje/protocols"
)

// A Rule is one compiled rule. It is not changed after loading and may be shared.
type Rule struct {
	ID         string // number in the catalogue of detections and a slug: "C05-industroyer2-sequence"
	Name       string
	Severity   rules.Severity
	Techniques []string // ATT&CK for ICS ids, v19
	Impact     float64  // 0 to 1
	Confidence float64  // 0 to 1

	When   When
	Need   Need           // what an event must show for the rule to take note of it
	Zones  []netip.Prefix // of a rule that needs Outside: the control zones that the site declares; none: nothing is outside
	State  *State         // nil: the rule remembers nothing
	Before Cond           // decided before the state counts; nil: holds
	After  Cond           // decided after; nil: holds

	Per   []*Word // what tells one finding of this rule from another
	Quiet int64   // nanoseconds without a repeat after which a repeat is a new alert

	Message, Learned, Observed *Template // the last two may be nil

	Help  Help
	Tests []Test

	File string
	Line int
	Sum  Sum
}

// Help is what the documentation and the console say about a rule.
type Help struct {
	Meaning        string
	Do             string
	FalsePositives string
}

// When selects events by what an index can answer. Zero members select everything.
type When struct {
	What     uint8 // bits by rules.What
	Protos   []string
	Ops      uint16 // bits by protocols.Op
	Codes    []uint16
	Names    []string
	From     Choice // Yes is the client
	Faults   protocols.Faults
	OK       Choice
	Outcomes uint8  // bits by rules.Outcome
	Odd      Choice // a value departs from what was learned of its point
}

// A Choice is yes, no, or either.
type Choice uint8

// The choices.
const (
	Either Choice = iota
	Yes
	No
)

// Takes tells whether v passes.
func (c Choice) Takes(v bool) bool { return c == Either || (c == Yes) == v }

// State is what a rule remembers of the events that pass When and Before: per key, within a window of packet time.
type State struct {
	By       []*Word // the key
	Window   int64   // nanoseconds
	Distinct *Word   // whose different values are counted; nil: none
	Points   bool    // instead of Distinct: the address and kind of every point of the message
	Sequence []Cond  // steps in their order; nil: none
	Counts   bool    // the rule asks how many events there were
	Only     Cond    // events that are counted and judged; nil: all that the rule selects
	Prior    Cond    // events that are remembered for the word prior; nil: none
	Last     *Word   // whose value before is known as previous and changed; nil: none
	Each     bool    // the rule is asked for each point of a message, and the words of a point mean that one
	Rate     bool    // windows follow each other, and what they usually hold is known
	Expect   Cond    // the event that must follow within the window; without it the rule fires. nil: none
	Silence  bool    // the rule fires when a key that was heard regularly is heard no more
	Alive    []*Word // with Silence: only while events with the same values of these words still come; nil: always
	Cap      int     // most different values that are told apart per key
	Keys     int     // most keys; the one longest unused makes room
}

// Waits tells whether the rule fires on what does not come, when time has passed, and not on an event.
func (s *State) Waits() bool { return s != nil && (s.Silence || s.Expect != nil) }
