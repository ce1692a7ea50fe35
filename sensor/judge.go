package sensor

import (
	"context"

	"github.com/roje-ot/roje/rules/lang"
)

// Judge replays captures as r says and gathers what that raises. A set that is not nil stands in place of the shipped
// pack and r.Rules, so that who judges many captures loads the rules once.
func Judge(ctx context.Context, r Replaying, set []*lang.Rule) (*ShadowReport, error) {
	r.set = set
	return report(ctx, r)
}
