package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"strconv"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

// alert makes the alert of f from the event in g.env.
func (g *Engine) alert(r *running, f *finding) *rules.Alert {
	env := &g.env
	e := env.E
	a := &rules.Alert{
		ID: g.id(r, f), Rule: r.ID, Title: r.Message.Render(env), Severity: r.Severity, Techniques: r.Techniques, Score: score(r, e),
		Client: host(e.Flow.Client), Server: host(e.Flow.Server),
	}
	if r.Learned != nil && e.Facts.Phase != rules.Off && r.Learned.Complete(env) {
		a.Learned = r.Learned.Render(env)
	}
	if r.Observed != nil {
		a.Observed = r.Observed.Render(env)
	}
	if m := e.Msg; m != nil {
		describe(a, m)
		rules.NamePoints(a.Points, env.Labels, e.Flow.Server, m, m.Points)
	}
	a.Incident = g.cases.assign(a, e.At, e.Flow.Client.Addr(), e.Flow.Server.Addr())
	return a
}

// id names a finding the same in every replay of the same packets: by rule, what tells its findings apart, and time.
func (g *Engine) id(r *running, f *finding) string {
	b := append([]byte(g.sensor), 0)
	b = append(append(b, r.ID...), 0)
	for _, w := range r.Per {
		b = append(w.Append(b, &g.env), 0)
	}
	if f.many != nil {
		b = append(b, "fan"...)
	}
	b = strconv.AppendInt(b, f.first, 10)
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

func host(a netip.AddrPort) string {
	if !a.Addr().IsValid() {
		return ""
	}
	return a.Addr().Unmap().String()
}

// describe copies into a what m says.
func describe(a *rules.Alert, m *protocols.Message) {
	if m.Proto != nil {
		a.Proto = m.Proto.Name
	}
	a.Name = m.Name
	if m.HasStation {
		station := m.Station
		a.Station = &station
	}
	if m.HasCode {
		code := m.Code
		a.Code = &code
	}
	a.Points = rules.PointsOf(m)
}

// score rates a finding. Novelty is 1 for what a baseline has never seen, a half where nothing is known, and little for
// what was learned. A young baseline makes what leans on it less sure: half as sure on its first day, full after a week.
func score(r *running, e *rules.Event) rules.Score {
	s := rules.Score{Impact: r.Impact, Novelty: 0.5, Confidence: r.Confidence}
	if e.Facts.Phase != rules.Enforce || e.Facts.Novel == 0 && e.Facts.Masters == 0 {
		return s
	}
	s.Novelty = 0.2
	if e.Facts.Novel != 0 {
		s.Novelty = 1
		s.Confidence *= 0.5 + 0.5*min(e.Facts.Days/7, 1)
	}
	return s
}
