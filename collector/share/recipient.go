package share

import (
	"context"
	"slices"

	"github.com/roje-ot/roje/collector/store"
)

// A Recipient is an account that pulls.
type Recipient struct {
	Name    string
	Ceiling store.TLP // the strictest level that it is shown; "" is any
}

// Feed is the name under which a log keeps what the recipient gets from an operator. It is another one with each ceiling.
func (to Recipient) Feed(operator string) string {
	return operator + "/" + to.Name + "/" + string(to.Ceiling)
}

// may says whether the recipient is shown a level.
func (to Recipient) may(t store.TLP) bool {
	return to.Ceiling == "" || slices.Index(Releasable(), t) <= slices.Index(Releasable(), to.Ceiling)
}

// Releases is where releases come from.
type Releases interface {
	store.Releases
	Source
}

// A sight is releases as a recipient sees them.
type sight struct {
	from  Releases
	scope store.Scope
	to    Recipient
	mask  *Mask
}

func see(ctx context.Context, from Releases, s store.Scope, to Recipient) (*sight, error) {
	mask, err := NewMask(ctx, from, s, to.Name)
	return &sight{from, s, to, mask}, err
}

// of is a release as it leaves; ok is false for one that is above the ceiling. A retraction is shown to who was shown any
// version of what it takes back: as the last of them.
func (v *sight) of(ctx context.Context, r store.Released) (l leaving, ok bool, err error) {
	l = leaving{Released: r, id: r.ID(), touched: r.Added}
	if !v.to.may(r.TLP) {
		if !r.Revoked {
			return l, false, nil
		}
		versions, _, err := v.from.ListReleased(ctx, v.scope, store.ReleaseFilter{Alert: r.ID(), Kind: r.Kind(), All: true}, "", 1000)
		if err != nil {
			return l, false, err
		}
		i := len(versions) - 1
		for i >= 0 && (versions[i].Revoked || versions[i].Version > r.Version || versions[i].Masked != r.Masked || !v.to.may(versions[i].TLP)) {
			i--
		}
		if i < 0 {
			return l, false, nil
		}
		was := versions[i]
		was.Revoked, was.Added, was.Version, was.Latest = true, r.Added, r.Version, r.Latest
		l.Released = was
	}
	if l.Group != nil {
		ok, err = v.group(ctx, &l)
		return l, ok, err
	}
	l.Released = v.mask.Released(l.Released)
	return l, true, nil
}
