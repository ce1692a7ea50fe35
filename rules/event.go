// Package rules holds the nouns of judgement: what a rule may look at (Event), what it says (Alert), and how bad it is
// (Severity). Subpackages read rule text (lang), run rules (engine), ship the built-in rules (pack) and carry records
// to the collector (batch).
//
// Nothing here reads a clock, a file or a socket, and nothing here logs. Time is packet time.
package rules

import (
	"net/netip"

	"github.com/roje-ot/roje/protocols"
)

// An Event is one thing that was seen on the wire, in context: all that a rule may look at. It is valid for the
// duration of one call; what outlives it copies.
type Event struct {
	What  What
	At    int64  // Unix nanoseconds of the packet
	Frame uint64 // 1-based number of the packet in the capture, or since start
	Flow  Flow
	Msg   *protocols.Message // set for Message, Unframed and Action; nil otherwise
	Facts Facts
	Act   *Act // set for Action; nil otherwise
}

// What tells the kinds of events apart.
type What uint8

// The kinds of events.
const (
	Message    What = iota // a protocol message, as in the event contract
	Unframed               // bytes on a decoded connection that belong to no frame; Msg has Proto, From, Faults and Raw
	Connection             // a TCP connection attempt; Flow.Outcome says how it went on
	ARP                    // an ARP packet: Client is the sender, Server the target
	Gap                    // bytes that the capture did not hold
	Action                 // a control action is over, as the ledger knows it; Act is set, and Msg stands for its first command
)

var whatNames = [...]string{"message", "unframed", "connection", "arp", "gap", "action"}

func (w What) String() string { return whatNames[w] }

// WhatNames returns the words of the kinds of events.
func WhatNames() []string { return whatNames[:] }

// A Flow is who talks to whom. Client is the master, the controlling station, or who opened a connection.
type Flow struct {
	Client, Server       netip.AddrPort // for ARP the ports are 0
	ClientMAC, ServerMAC MAC
	Transport            Transport
	Outcome              Outcome   // of a Connection
	VLANs                [2]uint16 // outer first
	NVLAN                uint8
	Conn                 uint64 // number of the connection, unique in one run; 0 where there is none
	TTL, SessionTTL      uint8  // time to live, or hop limit, of the packet, and of the first one with content that this end sent on the connection; 0: not known
	OtherMAC             bool   // the packet carries another link-layer address as its sender than that first one did
	Unseen               bool   // an end of the connection has acknowledged bytes that the capture does not hold
	ServerLost           bool   // of a Gap: the bytes are the server's
}

// Rerouted tells whether the packet has come over another number of routers than this end's first one of the connection.
func (f *Flow) Rerouted() bool { return f.TTL != f.SessionTTL && f.TTL != 0 && f.SessionTTL != 0 }

// A MAC is a link-layer address; all zero where it is not known.
type MAC [6]byte

const hexDigits = "0123456789abcdef"

// Append appends m as "00:11:22:33:44:55".
func (m MAC) Append(dst []byte) []byte {
	for i, b := range m {
		if i > 0 {
			dst = append(dst, ':')
		}
		dst = append(dst, hexDigits[b>>4], hexDigits[b&15])
	}
	return dst
}

func (m MAC) String() string { return string(m.Append(nil)) }

// Transport is the layer below a protocol.
type Transport uint8

// The transports.
const (
	TCP Transport = iota
	UDP
)

func (t Transport) String() string { return [...]string{"tcp", "udp"}[t] }

// Outcome is how a connection attempt went on.
type Outcome uint8

// The outcomes. Each is one event of its own: an accepted connection gives Attempted, then Accepted.
const (
	Attempted Outcome = iota // SYN
	Accepted                 // SYN answered by SYN and ACK
	Refused                  // SYN answered by RST
)

var outcomeNames = [...]string{"attempted", "accepted", "refused"}

func (o Outcome) String() string { return outcomeNames[o] }

// Facts is what the baseline and the asset memory know of an event. Phase Off means that nothing is known and that
// Novel and the learned figures mean nothing.
type Facts struct {
	Phase Phase
	Novel Novel

	Outside       bool // the client lies outside the control zones that the site declares; false where it declares none
	Approved      bool // this very operation of this station on this link was learned and approved
	Held          bool // it was learned, but only a person may approve it, and nobody has
	ClientServes  bool // the client's host has itself answered as a server of a control protocol
	ServerServes  bool // the server's host has answered as one, before this event
	ClientAsks    bool // the client has been answered as a client of a control protocol, before this event
	ClientCommand bool // the client has commanded or written before, in learning
	LinkWrites    bool // the link was learned with writes or commands, not as read-only

	Masters       int     // how many clients were learned for this server
	Writers       int     // how many clients were learned to write or command this server
	CommandPoints int     // most distinct points commanded on this server within 60 s, as learned
	Low, High     float64 // learned range of the commanded value, if Ranged
	Ranged        bool
	Days          float64 // how long this link was learned, days

	// Of the values that a station shows, in the phase Enforce. Low, High and Ranged are then those of the odd one.
	Odd        Odd
	OddAddr    uint32  // of the last point in the message that is odd
	OddValue   float64 // its value
	OddBefore  float64 // its value before (ValueJumped), or what was written (ValueNotKept)
	OddSeconds float64 // for how long it has stood still (ValueFrozen), or how long ago the same values came (ValueReplayed)

	// Of the answers on a link, said with the first answer after each five minutes.
	Slow              bool    // half of them came far later than nearly all that were learned
	Delay, UsualDelay float64 // their median, and what 99.9 % of the learned ones were within, ms; 0: not said
}

// Odd is how the values of a message depart from what was learned of their points.
type Odd uint8

// The departures.
const (
	ValueOutside   Odd = 1 << iota // beyond the learned range and a margin
	ValueJumped                    // a greater step from the value before than was learned
	ValueFrozen                    // it stands still for longer than it did, while others of its station move
	ValueReplayed                  // the same values came before, to the last digit
	ValueNotKept                   // read back as another value than was written just before
	LowBitBusy                     // its lowest bit changes all the time, and did not
	ValueBackwards                 // it only ever rose, and has fallen
)

var oddNames = [...]string{"value_outside", "value_jumped", "value_frozen", "value_replayed", "value_not_kept", "low_bit_busy", "value_backwards"}

// OddNames returns the rule words of the departures, by bit.
func OddNames() []string { return oddNames[:] }

// Phase is the state of a baseline.
type Phase uint8

// The phases.
const (
	Off Phase = iota
	Learn
	Enforce
)

var phaseNames = [...]string{"off", "learn", "enforce"}

func (p Phase) String() string { return phaseNames[p] }

// Novel is the set of what the baseline has not learned. It is empty unless the phase is Enforce and the baseline has
// learned something at all.
type Novel uint32

// The novelties.
const (
	NewClient  Novel = 1 << iota // the client has never been a client of a control protocol
	NewServer                    // the server has never been a server
	NewLink                      // this client, server and protocol
	NewStation                   // this station address on the link
	NewOp                        // this operation of this station on the link
	NewPoint                     // a point that was never read or reported
	NewTarget                    // a point that was never commanded or written
	NewWriter                    // the first write or command of this client to this server
	NewValue                     // a commanded value outside the learned range with its margin
	NewBinding                   // an address used with another MAC than learned
	NewDevice                    // a host never seen
	NewHour                      // a command at an hour of the week at which the link was not learned to command
)

var novelNames = [...]string{"new_client", "new_server", "new_link", "new_station", "new_op", "new_point", "new_target", "new_writer", "new_value", "new_binding", "new_device", "new_hour"}

// NovelNames returns the rule words of the novelties, by bit.
func NovelNames() []string { return novelNames[:] }
