package baseline

import (
	"cmp"
	"slices"
)

// A full table makes room by forgetting a sixteenth of itself: what is not approved and was not seen for longest, among
// equals what came first. That walks the whole table, and happens only while something floods the baseline.
const share = 16

// dropHosts forgets unapproved hosts that no link needs; false if there are none.
func (b *Baseline) dropHosts() bool {
	needed := map[*host]bool{}
	for _, l := range b.links {
		needed[l.client], needed[l.server] = true, true
	}
	for _, s := range b.spans {
		needed[s.server] = true
	}
	for _, t := range b.targets {
		needed[t.server] = true
	}
	var idle []*host
	for _, h := range b.hosts {
		if !h.approved() && !needed[h] {
			idle = append(idle, h)
		}
	}
	slices.SortFunc(idle, func(x, y *host) int { return cmp.Or(cmp.Compare(x.last, y.last), cmp.Compare(x.number, y.number)) })
	for _, h := range idle[:min(len(idle), maxHosts/share)] {
		if h.state != "" {
			b.gone = append(b.gone, h.item().Key())
		}
		delete(b.hosts, h.addr)
	}
	b.forget()
	return len(idle) > 0
}

// dropLinks forgets unapproved links with all that hangs on them; false if there are none.
func (b *Baseline) dropLinks() bool {
	type candidate struct {
		key linkKey
		*link
	}
	var idle []candidate
	for key, l := range b.links {
		if !l.approved() && !l.hasApproved() {
			idle = append(idle, candidate{key, l})
		}
	}
	slices.SortFunc(idle, func(x, y candidate) int {
		return cmp.Or(cmp.Compare(x.last, y.last), cmp.Compare(x.key.client, y.key.client), cmp.Compare(x.key.server, y.key.server),
			cmp.Compare(x.key.port, y.key.port), cmp.Compare(x.proto, y.proto))
	})
	for _, c := range idle[:min(len(idle), maxLinks/share)] {
		for _, it := range c.items() {
			b.gone = append(b.gone, it.Key())
		}
		delete(b.links, c.key)
	}
	b.forget()
	return len(idle) > 0
}

func (l *link) hasApproved() bool {
	for _, o := range l.ops {
		if o.approved() {
			return true
		}
	}
	return false
}
