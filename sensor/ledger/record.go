package ledger

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/roje-ot/roje/protocols"
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
	UnknownGap Outcome = "unknown_gap" // not known: bytes were lost or the capture ended before an answer, or no station answers such a command; with a Status it was refused, and why is lost
)

// Outcomes are all outcomes.
var Outcomes = []Outcome{Confirmed, Refused, Timeout, NoSelect, Mismatch, Cancelled, UnknownGap}

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
	Status     string        `json:"status,omitempty"` // the station's own words, where it refused, also where the outcome is unknown
	LatencyMS  *float64      `json:"latency_ms,omitempty"`
	Frames     []uint64      `json:"frames"` // at most 16

	Maintenance string `json:"maintenance,omitempty"` // the work during which it came: number, who, until when, why

	commands int // messages of the master that asked for it, repetitions among them
}

// An action is a record that is still open.
type action struct {
	key      key
	sum      uint64
	conn     uint64
	code     uint16 // of the request that was seen last
	seq      int64  // the protocol's own sequence or transaction number of the request that waits for an answer
	deadline int64  // packet time at which it is closed
	asked    int64  // packet time of the request that waits for an answer
	began    int64  // packet time of the first request
	datagram bool   // over UDP, which does not tell what is missing
	gap      bool   // bytes of its connection were lost since it was opened
	deaf     bool   // bytes of the master were among them
	doubt    bool   // bytes of the master were lost shortly before: a select may be among them
	answered bool   // the select or the execute that was sent last has its positive confirmation
	later    bool   // the same master has asked for something else since
	cancels  bool   // a deactivation waits for its confirmation
	overdue  bool   // among those that wait for proof
	mute     bool   // no station answers it
	closed   bool
	and, or  uint16     // of Modbus function 22
	verdict  Outcome    // decided by the requests alone; empty otherwise
	flow     rules.Flow // of the first request, with what was known of it
	facts    rules.Facts
	record   Record
}

// done says whether nothing more is needed for an outcome.
func (a *action) done() bool { return a.mute || a.answered && a.record.Executed != nil }

func newAction(k key, e *rules.Event, model Model) *action {
	m := e.Msg
	a := &action{key: k, conn: e.Flow.Conn, code: m.Code, seq: -1, asked: e.At, began: e.At, datagram: e.Flow.Transport == rules.UDP,
		flow: e.Flow, facts: e.Facts}
	a.record = Record{Proto: m.Proto.Name, Client: e.Flow.Client.String(), Server: e.Flow.Server.String(), Code: m.Code, Name: m.Name, Model: model}
	if m.HasStation {
		station := m.Station
		a.record.Station = &station
	}
	if m.HasMaster {
		master := m.Master
		a.record.Master = &master
	}
	if points := pointsOf(m); len(points) > 0 {
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
	a.record.commands = 1
	return a
}

// maxFrames is how many packets a record names.
const maxFrames = 16

// frame notes the packet of e.
func (a *action) frame(e *rules.Event) {
	f := a.record.Frames
	if len(f) < maxFrames && (len(f) == 0 || f[len(f)-1] != e.Frame) {
		a.record.Frames = append(f, e.Frame)
	}
}

// request notes a further command message of the action.
func (a *action) request(e *rules.Event) {
	a.frame(e)
	a.code, a.asked = e.Msg.Code, e.At
	a.record.commands++
}

// settled is the outcome of an action that nothing more is heard of: confirmed if its execute was, otherwise unknown
// where bytes were lost, otherwise what its requests said, otherwise other.
func (a *action) settled(other Outcome) Outcome {
	switch {
	case a.mute:
		return UnknownGap
	case a.done() && a.verdict == "":
		return Confirmed
	case a.gap && !a.done() || a.datagram && !a.done():
		return UnknownGap
	case a.verdict != "":
		return a.verdict
	}
	return other
}

// unless is o, or UnknownGap where bytes were lost that could make o wrong.
func (a *action) unless(lost bool, o Outcome) Outcome {
	if lost {
		return UnknownGap
	}
	return o
}

// finish fills in what is derived: the latency from the execute to its confirmation, and the id, which is the same in
// every replay of the same packets.
func (a *action) finish() *Record {
	r := &a.record
	if r.Executed != nil && r.Confirmed != nil {
		ms := float64(r.Confirmed.Sub(*r.Executed)) / 1e6
		r.LatencyMS = &ms
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s|%s|%s|%d|%d|%d|%d|%d|%v", r.Proto, r.Client, r.Server, a.key.station, r.Code, a.began, r.Frames[0], a.seq, pointAddr(r)))
	r.ID = hex.EncodeToString(sum[:8])
	return r
}

func at(ns int64) *time.Time {
	t := time.Unix(0, ns).UTC()
	return &t
}

func pointAddr(r *Record) uint32 {
	if r.Point == nil {
		return 0
	}
	return r.Point.Addr
}

// points are the points of the action, at most rules.MaxPoints.
func (a *action) points() []rules.Point {
	switch {
	case a.record.Points != nil:
		return a.record.Points
	case a.record.Point != nil:
		return []rules.Point{*a.record.Point}
	}
	return nil
}

// same says whether m names the same points with the same values as a.
func (a *action) same(m *protocols.Message) bool {
	want, got := a.points(), controls(m)
	if len(want) != min(len(got), rules.MaxPoints) {
		return false
	}
	for i, w := range want {
		p := &got[i]
		if w.Kind != p.Kind.String() || w.Addr != p.Addr || w.Value != nil && (p.Has&protocols.HasValue == 0 || *w.Value != p.Value) {
			return false
		}
	}
	return true
}

// controls are the points of m that it writes or commands: function 23 of Modbus names those that it reads before them.
func controls(m *protocols.Message) []protocols.Point {
	for i := range m.Points {
		if m.Points[i].Has&protocols.HasValue != 0 {
			return m.Points[i:]
		}
	}
	return m.Points
}

// pointsOf copies the controls of m.
func pointsOf(m *protocols.Message) []rules.Point {
	only := protocols.Message{Points: controls(m)}
	return rules.PointsOf(&only)
}
