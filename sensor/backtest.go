package sensor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/lang"
	"github.com/roje-ot/roje/rules/pack"
)

// A Backtest says what the rules of a folder would have raised over captures, beside the shipped rules of the same ids.
type Backtest struct {
	Rules    []*lang.Rule // of the folder
	New, Old *ShadowReport
}

// RunBacktest judges captures with the rules of a folder alone, and again with the shipped rules that they stand for. It
// changes nothing in the state folder.
func RunBacktest(ctx context.Context, dir, state string, phase rules.Phase, captures []string, warn io.Writer) (*Backtest, error) {
	if phase == rules.Learn {
		return nil, errors.New("a back-test learns nothing: give the phase enforce or off")
	}
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	changed, err := pack.Load(catalog.All, os.DirFS(dir), dir)
	if err != nil {
		return nil, err
	}
	shipped, err := pack.Rules(catalog.All)
	if err != nil {
		return nil, err
	}
	shipped = slices.DeleteFunc(shipped, func(old *lang.Rule) bool {
		return !slices.ContainsFunc(changed, func(r *lang.Rule) bool { return r.ID == old.ID })
	})
	b := &Backtest{Rules: changed}
	for set, to := range map[*[]*lang.Rule]**ShadowReport{&changed: &b.New, &shipped: &b.Old} {
		r := Replaying{Captures: captures, State: state, Phase: phase, Warn: warn, set: *set}
		if *to, err = report(ctx, r); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// String says it for people: a line for each rule, then the first alerts of it.
func (b *Backtest) String() string {
	var text strings.Builder
	for _, r := range b.Rules {
		now, old := b.New.of(r.ID), b.Old.of(r.ID)
		fmt.Fprintf(&text, "%s: %d alerts in %.1f days", r.ID, len(now), b.New.Days)
		if len(old) > 0 {
			fmt.Fprintf(&text, "; the shipped rule: %d", len(old))
		}
		text.WriteByte('\n')
		const shown = 5
		for i, a := range now {
			if i == shown {
				fmt.Fprintf(&text, "  and %d more\n", len(now)-i)
				break
			}
			fmt.Fprintf(&text, "  %s x%d %s\n", a.Severity, a.Count, a.Title)
		}
	}
	return text.String()
}

func (r *ShadowReport) of(rule string) (all []*rules.Alert) {
	for _, a := range r.Alerts {
		if a.Rule == rule {
			all = append(all, a)
		}
	}
	return all
}
