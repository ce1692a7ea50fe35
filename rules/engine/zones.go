package engine

import (
	"net/netip"
	"slices"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/lang"
)

// zones are the control zones that a site declares. What was found of the client before is kept, since it is often the
// next one too.
type zones struct {
	all     []netip.Prefix // empty: none are declared
	client  netip.Addr
	outside bool
}

func (z *zones) add(r *lang.Rule) {
	if r.Zones != nil {
		z.all = r.Zones
	}
}

// look says in e's facts whether the client of a message lies outside all zones.
func (z *zones) look(e *rules.Event) {
	if len(z.all) == 0 || e.Msg == nil {
		return
	}
	if a := e.Flow.Client.Addr(); a != z.client {
		z.client = a
		z.outside = !slices.ContainsFunc(z.all, func(p netip.Prefix) bool { return p.Contains(a.Unmap()) })
	}
	e.Facts.Outside = z.outside
}
