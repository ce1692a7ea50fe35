package ledger

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/roje-ot/roje/rules"
)

// Outcome is what became of an action.
type Outcome string

// The outcomes.
const (
	Confirmed  Outcome = "confirmed"   // the station said yes
	Refused    Outcome = "refused"     // an exception, a control status other than success, a negative confirmation
	Timeout    Outcome = "timeout"     // no answer, and no loss that could hide one
	NoSelect   Outcome = "no_select"   // executed without the select that the station asks for
	Mismatch   Outcome = "mismatch"    // executed, or answered, with other objects than selected or asked
	Cancelled  Outcome = "cancelled"   // the master took the select back
	UnknownGap Outcome = "unknown_gap" // not known: bytes were lost or the capture ended before an answer, or no station answers such a command
)

// Model is how a command is given.
type Model string

// The models.
const (
	Direct Model = "direct"
	Select Model = "select"
)

// A Record is one control action. Its JSON form is the contract of --ledger.
type Record struct {
	ID         string        `json:"id"`
	Proto      string        `json:"proto"`
	Client     string        `json:"client"`
	Server     string        `json:"server"`
	Station    *uint32       `json:"station,omitempty"`
	Master     *uint32       `json:"master,omitempty"`
	Code       uint16        `json:"code"`
	Name       string        `json:"name"`
	Point      *rules.Point  `json:"point,omitempty"`  // the first point; N counts the points of the action
	Points     []rules.Point `json:"points,omitempty"` // all of them, where there are several, at most 32
	Value      *float64      `json:"value,omitempty"`
	Model      Model         `json:"model"`
	Selected   *time.Time    `json:"selected,omitempty"`
	Executed   *time.Time    `json:"executed,omitempty"`
	Confirmed  *time.Time    `json:"confirmed,omitempty"`
	Effect     *time.Time    `json:"effect,omitempty"`
	Terminated *time.Time    `json:"terminated,omitempty"`
	Outcome    Outcome       `json:"outcome"`
	Status     string        `json:"status,omitempty"` // the station's own words, where it refused
	LatencyMS  *float64      `json:"latency_ms,omitempty"`
	Frames     []uint64      `json:"frames"`
}

// An action is a record that is still open.
type action struct {
	key      key
	conn     uint64
	seq      int64 // the protocol's own sequence or transaction number of the request that waits for an answer
	deadline int64 // packet time at which it is closed
	asked    int64 // packet time of the request that waits for an answer
	gap      bool  // bytes of its connection were lost since it was opened
	answered bool  // the select or the execute that was sent last has its positive confirmation
	closed   bool
	record   Record
}

func newAction(k key, e *rules.Event, model Model) *action {
	m := e.Msg
	a := &action{key: k, conn: e.Flow.Conn, asked: e.At}
	a.record = Record{Proto: m.Proto.Name, Client: e.Flow.Client.String(), Server: e.Flow.Server.String(), Code: m.Code, Name: m.Name, Model: model}
	if m.HasStation {
		station := m.Station
		a.record.Station = &station
	}
	if m.HasMaster {
		master := m.Master
		a.record.Master = &master
	}
	if points := rules.PointsOf(m); len(points) > 0 {
		first := points[0]
		a.record.Value = first.Value
		for _, p := range points[1:] {
			first.N += p.N
		}
		a.record.Point = &first
		if len(points) > 1 {
			a.record.Points = points
		}
	}
	a.frame(e)
	return a
}

// frame notes the packet of e, at most sixteen.
func (a *action) frame(e *rules.Event) {
	f := a.record.Frames
	if len(f) < 16 && (len(f) == 0 || f[len(f)-1] != e.Frame) {
		a.record.Frames = append(f, e.Frame)
	}
}

// settled is the outcome of an action that nothing more is heard of: confirmed if its execute was, otherwise unknown
// where bytes were lost, otherwise other.
func (a *action) settled(other Outcome) Outcome {
	switch {
	case a.answered && a.record.Executed != nil:
		return Confirmed
	case a.gap:
		return UnknownGap
	}
	return other
}

// finish fills in what is derived: the latency from the execute to its confirmation, and the id, which is the same in
// every replay of the same packets.
func (a *action) finish() *Record {
	r := &a.record
	if r.Executed != nil && r.Confirmed != nil {
		ms := float64(r.Confirmed.Sub(*r.Executed)) / 1e6
		r.LatencyMS = &ms
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s|%s|%s|%d|%d|%d|%d", r.Proto, r.Client, r.Server, a.key.station, r.Code, a.asked, r.Frames[0]))
	r.ID = hex.EncodeToString(sum[:8])
	return r
}

func at(ns int64) *time.Time {
	t := time.Unix(0, ns).UTC()
	return &t
}
