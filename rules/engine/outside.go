package engine

import (
	"net/netip"

	"github.com/roje-ot/roje/rules"
)

// Place puts an alert that no rule has made into the incident of these hosts, at the time of its last event.
func (g *Engine) Place(a *rules.Alert, hosts ...netip.Addr) {
	a.Incident = g.cases.assign(a, a.Last.UnixNano(), hosts...)
}

// Silent says whether a rule of silence has said, and not yet taken back, that a server is silent, to all or to this
// client.
func (g *Engine) Silent(client, server netip.Addr, at int64) bool {
	for _, c := range g.causes[server] {
		f := g.fold.get(c.key)
		if f != nil && !f.ended(at) && (!c.client.IsValid() || c.client == client) {
			return true
		}
	}
	return false
}
