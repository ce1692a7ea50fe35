package lang

import (
	"net/netip"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

// Env is all that a condition or a sentence may look at: the event and the numbers of the rule's state. One goroutine
// uses it. The zero value with E set is ready.
type Env struct {
	E *rules.Event

	// Seed keeps the hashes of addresses from being chosen by who sends from them. It is set before the first use.
	Seed Hash

	Count    int64 // events counted for this key within the window, this one included
	Distinct int64 // different values seen for this key within the window
	Step     int64 // steps of the sequence that are done
	Done     bool  // the sequence was completed within the window

	Point int // the point of the message that the words of a point mean

	Labels rules.Labels // what points are called in sentences; may be nil

	Prior    bool    // the event that the rule remembers came within the window before this one
	PriorAgo int64   // how long before, ns
	Previous float64 // value of the state's last word before this event, if HasPrevious
	HasPrev  bool
	Changed  bool // that value differs from this event's

	Rate *Rate // of the key; nil: none is known

	Answered int64 // with Expect: how many times in a row the expected event came, before this once

	Quiet   int64 // how long a silent key has been silent, ns
	Longest int64 // its longest pause before, ns

	status map[statusKey]string
	ends   [2]struct { // hashes of the client's and the server's address, which most keys hold and which change seldom
		addr netip.Addr
		hash uint64
	}
}

// end returns the hash of a, the address of end i.
func (env *Env) end(i uint8, a netip.Addr) uint64 {
	c := &env.ends[i]
	if c.addr != a {
		c.addr, c.hash = a, uint64(env.Seed.Addr(a))
	}
	return c.hash
}

// A Rate is what the windows of a key usually hold, the current one left out.
type Rate struct {
	Windows int64   // that are over, at least one event seen before them
	Usual   float64 // mean of their counts
	Spread  float64 // standard deviation
	Most    float64 // greatest
	Excess  float64 // cumulative sum of what lies above the usual, in spreads
}

type statusKey struct {
	proto  *protocols.Protocol
	status uint32
}

// maxStatuses bounds the memory of status words: a decoder has a few dozen, and only forged ones run into it.
const maxStatuses = 4096

// statusText returns the words of the message's status. Each is made once.
func (env *Env) statusText(m *protocols.Message) string {
	if m.Status == 0 {
		return "ok"
	}
	key := statusKey{m.Proto, m.Status}
	if s, ok := env.status[key]; ok {
		return s
	}
	if env.status == nil || len(env.status) >= maxStatuses {
		env.status = map[statusKey]string{}
	}
	s := string(m.AppendStatus(nil))
	env.status[key] = s
	return s
}

var noRate Rate

// rate is what is known of the key's windows.
func (env *Env) rate() *Rate {
	if env.Rate == nil {
		return &noRate
	}
	return env.Rate
}
