package sensor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/engine"
	"github.com/roje-ot/roje/rules/lang"
	"github.com/roje-ot/roje/rules/pack"
	"github.com/roje-ot/roje/sensor/events"
	"github.com/roje-ot/roje/sensor/plant"
)

// Backtesting says which changed rules to try, and on what of the past. It changes nothing in the state folder.
type Backtesting struct {
	Rules    string       // a rule file, or a folder of them
	Captures []string     // capture files
	Events   string       // folder of stored events; what the baseline knew then is stored with them
	State    string       // folder of the baseline, for captures
	Phase    rules.Phase  // for captures: Enforce or Off
	Lists    []plant.File // point lists: what the sentences call points
	Warn     io.Writer    // for what does not stop the test
}

// A Backtest says what changed rules would have raised, beside the shipped rules of the same ids.
type Backtest struct {
	Rules    []*lang.Rule
	New, Old *ShadowReport
	Events   *events.Report // of the stored events; nil where there were none
}

// RunBacktest judges captures and stored events with the changed rules alone, and again with the shipped rules that they
// stand for.
func RunBacktest(ctx context.Context, o Backtesting) (*Backtest, error) {
	switch {
	case o.Phase == rules.Learn:
		return nil, errors.New("a back-test learns nothing: give the phase enforce or off")
	case len(o.Captures) == 0 && o.Events == "":
		return nil, errors.New("nothing to try the rules on: name captures or a folder of stored events")
	}
	changed, err := loadChanged(o.Rules)
	if err != nil {
		return nil, err
	}
	lists, err := plant.Load(o.Lists)
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
	b := &Backtest{Rules: changed, New: &ShadowReport{}, Old: &ShadowReport{}}
	if len(o.Captures) > 0 {
		for _, run := range []struct {
			set []*lang.Rule
			to  *ShadowReport
		}{{changed, b.New}, {shipped, b.Old}} {
			if len(run.set) == 0 {
				continue
			}
			r, err := Judge(ctx, Replaying{Captures: o.Captures, State: o.State, Phase: o.Phase, Points: o.Lists, Warn: o.Warn}, run.set)
			if err != nil {
				return nil, err
			}
			run.to.add(r)
		}
	}
	if o.Events != "" {
		if err := b.stored(ctx, o, shipped, lists); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// loadChanged reads the rules of a file or of a folder, and runs their tests.
func loadChanged(path string) ([]*lang.Rule, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	var set []*lang.Rule
	if info.IsDir() {
		set, err = pack.Load(catalog.All, os.DirFS(path), path)
	} else if info.Size() > maxRulesFile {
		err = fmt.Errorf("rules: %s has %d bytes; a rule file has at most %d", path, info.Size(), 1<<20)
	} else {
		var text []byte
		if text, err = os.ReadFile(path); err == nil {
			set, err = lang.NewVocabulary(catalog.All).Load(path, text)
		}
		if err == nil {
			err = errors.Join(engine.Test(set)...)
		}
	}
	if err == nil && len(set) == 0 {
		err = fmt.Errorf("rules: %s holds no rule", filepath.Clean(path))
	}
	return set, err
}

// stored judges the stored events.
func (b *Backtest) stored(ctx context.Context, o Backtesting, shipped []*lang.Rule, lists *plant.Book) error {
	var span span
	var engines [2]*engine.Engine
	found := [2]findings{{byID: map[string]*rules.Alert{}}, {byID: map[string]*rules.Alert{}}}
	for i, set := range [][]*lang.Rule{b.Rules, shipped} {
		engines[i] = engine.New(set, engine.Options{Sensor: "replay", Emit: found[i].take})
		useLists(lists, engines[i], nil, nil)
	}
	var err error
	b.Events, err = events.Play(ctx, o.Events, catalog.All, func(e *rules.Event) {
		span.take(e)
		engines[0].Judge(e)
		engines[1].Judge(e)
	})
	if err != nil {
		return err
	}
	for _, what := range b.Events.Skipped {
		fmt.Fprintln(o.Warn, "skipped:", what)
	}
	if n := b.Events.Unknown; n > 0 {
		fmt.Fprintf(o.Warn, "skipped: %d events of protocols that this version does not know\n", n)
	}
	for i, to := range []*ShadowReport{b.New, b.Old} {
		engines[i].Flush()
		to.add(found[i].report(&span))
	}
	return nil
}

// report is what was found over a span.
func (f *findings) report(s *span) *ShadowReport {
	r := &ShadowReport{Alerts: f.order, Days: max(float64(s.last-s.first)/86400e9, 1)}
	incidents := map[string]bool{}
	for _, a := range f.order {
		incidents[a.Incident] = true
	}
	r.Incidents = len(incidents)
	return r
}

// add joins what was raised over something else.
func (r *ShadowReport) add(more *ShadowReport) {
	r.Alerts = append(r.Alerts, more.Alerts...)
	r.Incidents += more.Incidents
	r.Days += more.Days
}

// shownAlerts is how many alerts of a rule are named.
const shownAlerts = 5

// String says it for people: a line for each rule, then its days, then its first alerts.
func (b *Backtest) String() string {
	var text strings.Builder
	if b.Events != nil {
		fmt.Fprintf(&text, "%d stored events in %d segments\n", b.Events.Events, b.Events.Segments)
	}
	for _, r := range b.Rules {
		now, old := b.New.of(r.ID), b.Old.of(r.ID)
		fmt.Fprintf(&text, "%s: %d alerts in %.1f days", r.ID, len(now), b.New.Days)
		if len(old) > 0 {
			fmt.Fprintf(&text, "; the shipped rule: %d", len(old))
		}
		text.WriteByte('\n')
		days := map[string]int{}
		var order []string
		for _, a := range now {
			day := a.First.Format(time.DateOnly)
			if days[day]++; days[day] == 1 {
				order = append(order, day)
			}
		}
		slices.Sort(order)
		for _, day := range order {
			fmt.Fprintf(&text, "  %s: %d\n", day, days[day])
		}
		for i, a := range now {
			if i == shownAlerts {
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
