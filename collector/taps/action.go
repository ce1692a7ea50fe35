package taps

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

// An action is what the comparison asks of a ledger record. See the contract of --ledger.
type action struct {
	ID       string        `json:"id"`
	Proto    string        `json:"proto"`
	Client   string        `json:"client"`
	Server   string        `json:"server"`
	Station  *uint32       `json:"station"`
	Code     uint16        `json:"code"`
	Name     string        `json:"name"`
	Point    *rules.Point  `json:"point"`
	Points   []rules.Point `json:"points"`
	Value    *float64      `json:"value"`
	Selected *time.Time    `json:"selected"`
	Executed *time.Time    `json:"executed"`
	Outcome  string        `json:"outcome"`

	sensor string
	at     time.Time // by the collector's clock
	told   bool      // it is part of an alert, or has its counterpart
}

// read reads a record; offset is by how much the collector's clock is ahead of the sensor's. ok is false for records that
// cannot be compared: those that say no time.
func read(body json.RawMessage, sensor string, offset time.Duration) (a *action, ok bool, err error) {
	a = &action{sensor: sensor}
	if err := json.Unmarshal(body, a); err != nil {
		return nil, false, err
	}
	switch {
	case a.Executed != nil:
		a.at = a.Executed.Add(offset)
	case a.Selected != nil:
		a.at = a.Selected.Add(offset)
	default:
		return nil, false, nil
	}
	return a, true, nil
}

// session is what two sensors must agree on before their actions are compared: the very connection.
func (a *action) session() string {
	station := "-"
	if a.Station != nil {
		station = fmt.Sprint(*a.Station)
	}
	return strings.Join([]string{a.Proto, a.Client, a.Server, station}, " ")
}

// same tells whether two actions ask for the same, as far as both taps saw it. Names and times of points are each sensor's
// own.
func (a *action) same(b *action) bool {
	points := func(p, q rules.Point) bool {
		return p.Kind == q.Kind && p.Addr == q.Addr && p.N == q.N && equal(p.Value, q.Value)
	}
	return a.halved(b) || a.function() == b.function() && equal(a.Value, b.Value) && (a.Point == nil) == (b.Point == nil) &&
		(a.Point == nil || points(*a.Point, *b.Point)) && slices.EqualFunc(a.Points, b.Points, points)
}

// function is the code, save that a DNP3 SELECT and its OPERATE (IEEE 1815, 4.4.3) are one action: a tap that lost the
// first names it by the second.
func (a *action) function() uint16 {
	const selects, operates = 3, 4
	if a.Proto == "dnp3" && a.Code == selects {
		return operates
	}
	return a.Code
}

// halved tells whether only one tap saw a select, and what was executed then may be something else: a record has the points
// of its first message, so that these two do not say the same of the one or the other.
func (a *action) halved(b *action) bool {
	if b.Selected != nil {
		a, b = b, a
	}
	unlike := func(a *action) bool { return a.Outcome == "mismatch" || a.Outcome == "unknown_gap" }
	return a.Selected != nil && b.Selected == nil && (unlike(a) || unlike(b))
}

func equal(a, b *float64) bool { return (a == nil) == (b == nil) && (a == nil || *a == *b) }

// what says what an action asks for, as "C_SC_NA_1 of address 7 = 1".
func (a *action) what() string {
	b := []byte(a.Name)
	if p := a.Point; p != nil {
		b = fmt.Appendf(b, " of address %d", p.Addr)
		if p.Name != "" {
			b = fmt.Appendf(b, " (%s)", p.Name)
		}
	}
	if a.Value != nil {
		b = protocols.AppendNumber(append(b, " = "...), *a.Value)
	}
	if len(a.Points) > 1 {
		b = fmt.Appendf(b, " and %d more points", len(a.Points)-1)
	}
	return string(b)
}
