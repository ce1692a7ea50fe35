package proof

import (
	"net/netip"
	"time"
)

// A Statement says what of a day was watched, what was not, and why: docs/schema/statement.json. Its sums are exact:
// those of the links and of the rest are the total's, and so are those of the sources. See Check.
type Statement struct {
	Type    string      `json:"type"` // "coverage_statement"
	Form    int         `json:"form"` // 1
	Sensor  string      `json:"sensor"`
	Version string      `json:"version"` // of the program
	From    time.Time   `json:"from"`
	To      time.Time   `json:"to"`
	Watched []Span      `json:"watched"`     // in which the sensor ran
	Not     []Span      `json:"not_watched"` // in which it did not
	Sources []SourceDay `json:"sources"`
	Links   []LinkDay   `json:"links"`
	Rest    Sums        `json:"rest"` // of connections without a link of their own
	Total   Sums        `json:"total"`
	Seal    *Signature  `json:"seal,omitempty"`
}

// StatementType is the type of every Statement.
const StatementType = "coverage_statement"

// A Span is a stretch of time.
type Span struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	Why  string    `json:"why,omitempty"` // of one in which nothing was watched
}

// A SourceDay is one source's day. Each frame that came to an interface is in one member of Frames.
type SourceDay struct {
	Name   string           `json:"name"`
	Frames map[string]int64 `json:"frames"`
	Sums   Sums             `json:"sums"`
}

// A LinkDay is one link's day.
type LinkDay struct {
	Key
	Proto   string    `json:"proto,omitempty"` // as which it was decoded; absent if it never was
	Learned bool      `json:"learned"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
	Sums    Sums      `json:"sums"`
	Blind   Blind     `json:"blind"`
	Why     []string  `json:"why"` // what of it was not watched, in words; empty if all was
}

// A Key tells links apart.
type Key struct {
	Client    netip.Addr `json:"client"`
	Server    netip.Addr `json:"server"`
	Port      uint16     `json:"port"`
	Transport string     `json:"transport"`
}

// Blind is how much of the day a link was not what it should be, in seconds.
type Blind struct {
	OneSided  float64 `json:"one_sided_s"`
	Undecoded float64 `json:"undecoded_s"`
	Silent    float64 `json:"silent_s"`
}
