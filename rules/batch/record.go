package batch

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/roje-ot/roje/rules"
)

// A Lane is the importance of a record: the lower, the sooner it travels and the later it is dropped. Readers take any
// lane below MaxLanes, so that a newer sensor may have more of them.
type Lane uint8

// The lanes.
const (
	Vital     Lane = iota // health of the sensor, and what it had to drop
	Urgent                // alerts of high and critical severity
	Routine               // all other alerts, and the command ledger
	Inventory             // assets, coverage, changes of the baseline
	Evidence              // pieces of captures
	Lanes     = 5         // how many this version knows

	MaxLanes = 16
)

var laneNames = [Lanes]string{"vital", "urgent", "routine", "inventory", "evidence"}

func (l Lane) String() string {
	if int(l) < len(laneNames) {
		return laneNames[l]
	}
	return fmt.Sprintf("lane %d", uint8(l))
}

// LaneOf is the lane of an alert.
func LaneOf(s rules.Severity) Lane {
	if s >= rules.High {
		return Urgent
	}
	return Routine
}

// The kinds of records. A reader keeps records of kinds it does not know.
const (
	KindAlert    = "alert"    // rules.Alert; a later record of the same id, with a higher count, replaces it
	KindLedger   = "ledger"   // one command transaction, as in the contract of --ledger
	KindHealth   = "health"   // Health
	KindLoss     = "loss"     // Loss
	KindCoverage = "coverage" // as in the contract of --coverage
	KindAsset    = "asset"    // as in the contract of --assets
)

// A Record is one thing that a sensor says. Seq is its number in its stream.
type Record struct {
	Seq  uint64          `json:"seq"`
	Kind string          `json:"kind"`
	Body json.RawMessage `json:"body"`
}

// A Loss says which records a sensor dropped before they were sealed, because its spool was full. It travels in the
// Vital lane and is itself never dropped.
type Loss struct {
	Epoch string    `json:"epoch"`
	Lane  Lane      `json:"lane"`
	From  uint64    `json:"from"` // first and last sequence number; not all between them need be lost
	To    uint64    `json:"to"`
	Count uint64    `json:"count"` // how many of them were lost
	First time.Time `json:"first"` // time of the first and the last record that was lost
	Last  time.Time `json:"last"`
}

// Health is what a sensor says about itself, about once a minute. Readers show what they know of it and keep the rest.
type Health struct {
	At         time.Time    `json:"at"` // the sensor's wall clock
	Version    string       `json:"version"`
	UptimeS    int64        `json:"uptime_s"`
	Phase      string       `json:"phase"`                     // of the baseline: off, learn, enforce
	Interfaces []string     `json:"interfaces"`                // what it listens to
	Taps       []string     `json:"taps,omitempty"`            // names of the paths that these watch, as its site calls them
	Packets    uint64       `json:"packets"`                   // seen since it started
	Dropped    uint64       `json:"dropped"`                   // lost by the kernel since it started
	Messages   uint64       `json:"messages"`                  // decoded since it started
	Alerts     uint64       `json:"alerts"`                    // raised since it started
	Lost       uint64       `json:"lost"`                      // records dropped from the spool, ever
	SpoolBytes int64        `json:"spool_bytes"`               // waiting to be delivered
	Spooled    uint64       `json:"spooled"`                   // records waiting to be delivered
	Passive    string       `json:"passive"`                   // level of passivity, in words
	Ports      []Port       `json:"ports,omitempty"`           // each watched interface
	Events     *EventHealth `json:"events,omitempty"`          // what it keeps to try changed rules on
	Rules      *RuleHealth  `json:"rules,omitempty"`           // what it judges by
	Day        *DayHealth   `json:"day,omitempty"`             // how many incidents begin
	Coverage   *Cover       `json:"coverage,omitempty"`        // what it has made of all that it saw
	ClockMS    *int64       `json:"clock_offset_ms,omitempty"` // by how much the collector's clock is ahead, as measured last
	Sent       []Range      `json:"sent,omitempty"`            // over a one-way link: the numbers that were sent so far, by lane of this epoch

	Baseline *BaselineHealth `json:"baseline,omitempty"` // how far its learning has come
}
