package engine

import (
	"net/netip"
)

// maxCauses bounds the silences that others are put down to.
const maxCauses = 4096

// causes are the open silences by the host that is silent. A silent station makes its links, operations and points
// silent too: what is said of them is a repeat of what is said of it.
//
//	station  >  link  >  station address  >  operation  >  point
type causes map[netip.Addr][]cause

// A cause is an open finding of a rule of silence. The fewer words tell its silences apart, the more it stands for.
type cause struct {
	key    uint64
	words  int
	client netip.Addr // not valid where it is about all clients
}

// above returns the key of an open finding that explains a silence of r between these hosts; false if there is none.
func (g *Engine) above(r *running, client, server netip.Addr) (uint64, bool) {
	kept := g.causes[server][:0]
	found, ok := uint64(0), false
	for _, c := range g.causes[server] {
		f := g.fold.get(c.key)
		if f == nil || f.ended(g.env.E.At) {
			continue
		}
		kept = append(kept, c)
		if c.words < len(r.State.By) && (!c.client.IsValid() || c.client == client) {
			found, ok = c.key, true
		}
	}
	g.causes[server] = kept
	return found, ok
}

// explain notes that the finding of key is about a silence of r.
func (g *Engine) explain(r *running, key uint64, client, server netip.Addr) {
	c := cause{key: key, words: len(r.State.By)}
	for _, w := range r.State.By {
		if w.Name == "client" {
			c.client = client
		}
	}
	if len(g.causes) >= maxCauses {
		clear(g.causes)
	}
	g.causes[server] = append(g.causes[server], c)
}

// silence tells whether r is a rule of silence.
func (r *running) silence() bool { return r.State != nil && r.State.Silence }
