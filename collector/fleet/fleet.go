// Package fleet says how the sensors of an operator are: which packs each should run and does, what it refused, its clock,
// its certificate, its capture and its passivity, in one form for the console, the API and the command line.
package fleet

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules/batch"
)

// The states of a member.
const (
	OK      = "ok"
	Silent  = "silent"
	Never   = "never"
	Denied  = "denied"
	Expired = "expired"
)

// The states of a pack at a sensor.
const (
	Current = "current" // it runs what is assigned to it, or nothing is and nothing runs
	Lags    = "lags"    // it does not yet
	Refused = "refused" // it will not, and says why
	Loose   = "loose"   // it runs one, and none is assigned
	Closed  = "closed"  // one is assigned, and it takes none from its collector: the site installs by hand
)

const (
	// SilentAfter is how long a sensor, which speaks about once a minute, may say nothing before it is called silent.
	SilentAfter = 5 * time.Minute
	// RenewedBefore is when a certificate should have been renewed: a sensor does that when a third of its 30 days is left.
	RenewedBefore = 7 * 24 * time.Hour
	// ClockOff is by how much a clock may differ before it matters to who compares times.
	ClockOff = 5 * time.Second
)

// A Member is a sensor as the fleet shows it.
type Member struct {
	Sensor   string        `json:"sensor"`
	Name     string        `json:"name"`
	State    string        `json:"state"`
	Seen     *time.Time    `json:"seen,omitempty"`
	Version  string        `json:"version,omitempty"`
	Passive  string        `json:"passive,omitempty"`
	Tiers    []string      `json:"tiers,omitempty"` // how its ports capture
	Rules    int           `json:"rules"`
	Packs    []PackState   `json:"packs,omitempty"` // of each kind that it should run or does
	Refused  string        `json:"refused,omitempty"`
	Expires  time.Time     `json:"expires"`                   // its certificate
	Late     bool          `json:"renewal_late,omitempty"`    // it should have been renewed
	ClockMS  *int64        `json:"clock_offset_ms,omitempty"` // by how much the collector's clock is ahead
	ClockOff bool          `json:"clock_off,omitempty"`
	Missing  uint64        `json:"missing"` // records that never came: of gaps in its streams
	Gaps     []store.Gap   `json:"gaps,omitempty"`
	Lost     uint64        `json:"lost"` // records that it dropped, and said so
	Health   *batch.Health `json:"-"`
}

// Trouble says whether somebody should look at the member.
func (m *Member) Trouble() bool {
	return m.State != OK || m.Refused != "" || m.Late || m.ClockOff || m.Missing > 0 || slices.ContainsFunc(m.Packs, func(p PackState) bool { return p.State != Current })
}

// A PackState is how a pack of a kind stands at a sensor.
type PackState struct {
	Kind     string      `json:"kind"`
	State    string      `json:"state"`
	Assigned *store.Pack `json:"assigned,omitempty"`
	Name     string      `json:"name,omitempty"` // of the one that runs
	Version  uint64      `json:"version,omitempty"`
	Reason   string      `json:"reason,omitempty"` // why it is refused
	Why      string      `json:"why,omitempty"`
}

// A Store is what this needs of store.Store.
type Store interface {
	store.Fleet
	store.Packs
	Streams(ctx context.Context, s store.Scope, sensor string) ([]store.Stream, error)
}

// Members are all sensors of an operator, those with trouble first, then by name. The store is asked a few questions, however
// many sensors there are.
func Members(ctx context.Context, st Store, s store.Scope, now time.Time) ([]Member, error) {
	sensors, err := st.Sensors(ctx, s)
	if err != nil {
		return nil, err
	}
	k, err := know(ctx, st, s)
	if err != nil {
		return nil, err
	}
	members := make([]Member, len(sensors))
	for i, sensor := range sensors {
		members[i] = k.member(sensor, now)
	}
	slices.SortStableFunc(members, func(a, b Member) int { return cmp.Compare(order(a.Trouble()), order(b.Trouble())) })
	return members, nil
}

// known is what the store knows of sensors beside themselves.
type known struct {
	streams  map[string][]store.Stream   // by sensor
	outcomes map[[2]string]store.Outcome // by sensor and kind
	assigned map[[2]string]*store.Pack   // by target and kind
}

func know(ctx context.Context, st Store, s store.Scope) (*known, error) {
	k := &known{map[string][]store.Stream{}, map[[2]string]store.Outcome{}, map[[2]string]*store.Pack{}}
	streams, err := st.Streams(ctx, s, "")
	if err != nil {
		return nil, err
	}
	for _, stream := range streams {
		k.streams[stream.Sensor] = append(k.streams[stream.Sensor], stream)
	}
	outcomes, err := st.Outcomes(ctx, s)
	if err != nil {
		return nil, err
	}
	for _, o := range outcomes {
		k.outcomes[[2]string{o.Sensor, o.Kind}] = o
	}
	packs, err := st.ListPacks(ctx, s)
	if err != nil {
		return nil, err
	}
	sums := map[string]*store.Pack{}
	for i := range packs {
		sums[packs[i].SHA256] = &packs[i]
	}
	assigned, err := st.Assignments(ctx, s)
	for _, a := range assigned {
		k.assigned[[2]string{a.Target, a.Kind}] = sums[a.Pack]
	}
	return k, err
}

// offered is the pack of a kind that is for a sensor, or nil.
func (k *known) offered(sensor store.Sensor, kind string) *store.Pack {
	for _, target := range store.Targets(sensor) {
		if p := k.assigned[[2]string{target, kind}]; p != nil {
			return p
		}
	}
	return nil
}

func order(first bool) int {
	if first {
		return 0
	}
	return 1
}

func (k *known) member(sensor store.Sensor, now time.Time) Member {
	m := Member{Sensor: sensor.ID, Name: cmp.Or(sensor.Name, sensor.ID), State: State(sensor, now), Seen: sensor.Seen, Expires: sensor.Expires, Lost: sensor.Lost}
	m.Late = sensor.Denied == nil && now.After(sensor.Expires.Add(-RenewedBefore))
	var running batch.RuleHealth
	var h batch.Health
	if len(sensor.Health) > 0 && json.Unmarshal(sensor.Health, &h) == nil {
		m.Health, m.Version, m.Passive, m.ClockMS = &h, h.Version, h.Passive, h.ClockMS
		for _, p := range h.Ports {
			if !slices.Contains(m.Tiers, p.Tier) {
				m.Tiers = append(m.Tiers, p.Tier)
			}
		}
		if h.Rules != nil {
			running = *h.Rules
		}
	}
	m.Rules, m.Refused = running.Rules, running.Refused
	for _, stream := range k.streams[sensor.ID] {
		for _, g := range stream.Gaps {
			m.Missing += g.To - g.From + 1
			m.Gaps = append(m.Gaps, g)
		}
		if stream.Lane == batch.Vital && h.ClockMS == nil { // over a link with no way back: its delay is in it
			if ms := stream.Offset.Milliseconds(); m.ClockMS == nil || abs(ms) < abs(*m.ClockMS) {
				m.ClockMS = &ms
			}
		}
	}
	m.ClockOff = m.ClockMS != nil && abs(*m.ClockMS) > ClockOff.Milliseconds()
	for _, kind := range []string{"rules", "policy"} {
		p := PackState{Kind: kind, State: Current, Name: running.Pack, Version: running.PackVersion}
		sum := running.PackSHA256
		if kind == "policy" {
			p.Name, p.Version, sum = running.Policy, running.PolicyVersion, running.PolicySHA256
		}
		p.Assigned = k.offered(sensor, kind)
		o := k.outcomes[[2]string{sensor.ID, kind}]
		switch {
		case p.Assigned == nil && p.Name == "":
			continue
		case p.Assigned == nil:
			p.State = Loose
		case p.Assigned.SHA256 == sum:
		case o.Pack == p.Assigned.SHA256 && !o.Taken:
			p.State, p.Reason, p.Why = Refused, o.Reason, o.Why
		case m.Health != nil && !running.Central:
			p.State = Closed
		default:
			p.State = Lags
		}
		m.Packs = append(m.Packs, p)
	}
	return m
}

func abs(n int64) int64 { return max(n, -n) }

// State is how a sensor is, in a word.
func State(sensor store.Sensor, now time.Time) string {
	switch {
	case sensor.Denied != nil:
		return Denied
	case now.After(sensor.Expires):
		return Expired
	case sensor.Seen == nil:
		return Never
	case now.Sub(*sensor.Seen) > SilentAfter:
		return Silent
	}
	return OK
}
