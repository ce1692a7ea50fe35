package baseline

import (
	"net/netip"
	"slices"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/sensor/course"
)

// Caps of the tables. Where one is full, the least recently seen unapproved entry makes room (hosts, links), or nothing
// more is learned (the others); Overflow counts both.
const (
	maxHosts    = 4096
	maxLinks    = 2000
	maxStations = 256 // of a link
	maxOps      = 64  // of a link and station, on average
	maxSpanSets = 16384
	maxTargets  = 50000
	maxRuns     = 1024 // of a set of points
	maxAllRuns  = 65536
	maxMACs     = 8 // of a host
)

// A host is one address.
type host struct {
	mark
	addr     netip.Addr
	number   uint32
	client   bool // learned as a client
	server   bool // learned as a server
	answers  bool // seen to answer as a server, in any phase
	asks     bool // seen to be answered as a client, in any phase
	macs     []rules.MAC
	again    bool // learned anew, whatever the phase is
	together int  // most distinct points commanded on it within 60 s
	recent   []commanded

	// Counted from approved links.
	masters, writers int
	commands         bool
	isClient         bool
	isServer         bool
}

// commanded is a point and when it was last commanded.
type commanded struct {
	target targetKey
	at     int64
}

func (h *host) binds(m rules.MAC) bool { return slices.Contains(h.macs, m) }

type linkKey struct {
	client, server uint32
	proto          uint8
	port           uint16
}

type link struct {
	mark
	client, server *host
	proto          string
	port           uint16
	stations       map[uint32]*mark
	ops            map[opKey]*op
	writes         bool    // an approved write or command
	week           ranges  // hours of the week in which it was learned to command, in two weeks or more
	once           ranges  // and in any
	hour           int64   // in which it commanded last, since 1970
	commands       uint64  // how many times
	delays         *delays // nil: no answer was timed
}

type opKey struct {
	station uint32
	code    uint16
	sub     uint16
	side    protocols.Side
	flags   uint8
}

// Flags of an opKey.
const (
	hasStation = 1 << iota
	hasCode
	hasSub
)

type op struct {
	mark
	name string
	op   protocols.Op
}

// changes tells whether an operation of the client changes the process.
func changes(from protocols.Side, o protocols.Op) bool {
	return from == protocols.Client && (o == protocols.Write || o == protocols.Operate)
}

type spanKey struct {
	server  uint32
	station uint32
	kind    protocols.Kind
}

// spans is the point addresses of one kind at one station.
type spans struct {
	pending, approved ranges
	runs              map[span]*support // how well each run of the pending ones is supported
	mark                                // of the approved
	fresh             mark              // of the pending
	server            *host
}

type targetKey struct {
	server  uint32
	station uint32
	addr    uint32
	kind    protocols.Kind
}

type target struct {
	mark
	server    *host
	low, high float64
	ranged    bool
	lows      course.Extremes // of analog values
	highs     course.Extremes
	wider     *wider // nil: nothing beyond what was approved
}

// margin is how far beyond the learned range a value may lie: 5 % of the range.
func (t *target) outside(v float64) bool {
	margin := 0.05 * (t.high - t.low)
	return t.ranged && (v < t.low-margin || v > t.high+margin)
}
