package baseline

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/roje-ot/roje/rules/strict"
	"github.com/roje-ot/roje/sensor/course"
)

// An Order is one thing that a person asks of a baseline, whether a sensor has it open or not. It travels as JSON.
type Order struct {
	Do      string     `json:"do"` // a key of orders
	Who     string     `json:"who,omitempty"`
	Why     string     `json:"why,omitempty"`
	Classes []Class    `json:"classes,omitempty"` // of approve
	Host    netip.Addr `json:"host,omitzero"`     // of approve, reject, rollback and relearn
	Item    string     `json:"item,omitempty"`    // of approve, reject and retire: this one, by its key
	Version int        `json:"version,omitempty"` // of rollback
	Text    []byte     `json:"text,omitempty"`    // of import
	JSON    bool       `json:"json,omitempty"`    // of propose: one object per group
	All     bool       `json:"all,omitempty"`     // of propose: every item
}

// An Answer writes what there is to say. It needs the Baseline no more, and may run on another goroutine.
type Answer func(io.Writer) error

// orders is what can be asked. Those that decide change the baseline, and need a person.
var orders = map[string]struct {
	decides bool
	do      func(b *Baseline, o *Order, at time.Time) (Answer, error)
}{
	"show": {false, func(b *Baseline, _ *Order, _ time.Time) (Answer, error) { return lines(b.Items()), nil }},
	"diff": {false, func(b *Baseline, _ *Order, _ time.Time) (Answer, error) { return lines(b.Waiting()), nil }},
	"propose": {false, func(b *Baseline, o *Order, at time.Time) (Answer, error) {
		return proposal(b.Propose(at), o.JSON, o.All, b.CountRejected(at)), nil
	}},
	"versions": {false, func(b *Baseline, _ *Order, _ time.Time) (Answer, error) { return chain(b.Versions()), nil }},
	"approve":  {true, approve},
	"reject":   {true, reject},
	"rollback": {true, func(b *Baseline, o *Order, at time.Time) (Answer, error) {
		return silent, b.RollBack(o.Version, o.Host, o.Who, o.Why, at)
	}},
	"relearn": {true, func(b *Baseline, o *Order, at time.Time) (Answer, error) {
		return silent, b.Relearn(o.Host, o.Who, o.Why, at)
	}},
	"drift": {false, func(b *Baseline, _ *Order, _ time.Time) (Answer, error) { return driftText(b.Drifts()), nil }},
	"stale": {false, func(b *Baseline, _ *Order, at time.Time) (Answer, error) {
		return staleText(b.Stale(at.UnixNano())), nil
	}},
	"retire": {true, retire},
	"import": {true, func(b *Baseline, o *Order, at time.Time) (Answer, error) {
		if err := b.Import(bytes.NewReader(o.Text)); err != nil {
			return nil, err
		}
		b.Seal(o.Who, o.Why, at)
		return silent, nil
	}},
}

// Decides tells whether the order changes the baseline.
func (o *Order) Decides() bool { return orders[o.Do].decides }

// Do carries out an order at a wall-clock time, on the goroutine that owns b. Nothing changes where it fails.
func (b *Baseline) Do(o *Order, at time.Time) (Answer, error) {
	row, ok := orders[o.Do]
	switch {
	case !ok:
		return nil, strict.Unknown("order to a baseline", o.Do, slices.Sorted(maps.Keys(orders)))
	case row.decides && o.Who == "":
		return nil, fmt.Errorf("%s is a decision: it needs a name", o.Do)
	}
	return row.do(b, o, at)
}

func silent(io.Writer) error { return nil }

func lines(items []*Item) Answer { return func(w io.Writer) error { return WriteItems(w, items) } }

func approve(b *Baseline, o *Order, at time.Time) (Answer, error) {
	if o.Item != "" {
		return silent, b.ApproveItem(o.Item, o.Who, o.Why, at)
	}
	for _, c := range o.Classes {
		if !slices.Contains(Classes(), c) || c == ByItem {
			return nil, fmt.Errorf("items of class %q are not approved together", c)
		}
	}
	decision := b.Decide(Choice{Who: o.Who, Why: o.Why, At: at, Classes: o.Classes, Host: o.Host})
	return func(out io.Writer) error {
		for _, kind := range slices.Sorted(maps.Keys(decision.Approved)) {
			fmt.Fprintf(out, "approved %d %s\n", decision.Approved[kind], kind)
		}
		if decision.Left > 0 {
			fmt.Fprintf(out, "%d items wait on; `roje-sensor baseline propose` shows them, --commands, --mixed and --rare approve them\n", decision.Left)
		}
		for _, it := range decision.Held {
			fmt.Fprintf(out, "held: %s (%s); approve it by itself with --item %q\n", it.Key(), it.Why, it.Key())
		}
		return nil
	}, nil
}

func retire(b *Baseline, o *Order, at time.Time) (Answer, error) {
	n, err := b.Retire(o.Item, o.Who, o.Why, at)
	return func(out io.Writer) error {
		_, err := fmt.Fprintf(out, "%d items are no longer part of the baseline\n", n)
		return err
	}, err
}

// proposal says what waits, in groups.
func proposal(groups []*Group, asJSON, all bool, rejected int) Answer {
	return func(out io.Writer) error {
		last := Class("")
		for _, g := range groups {
			if asJSON {
				line, err := json.Marshal(g)
				if err != nil {
					return err
				}
				fmt.Fprintln(out, string(line))
				continue
			}
			if g.Class != last {
				last = g.Class
				fmt.Fprintf(out, "%s: %s\n", g.Class, g.Class.About())
			}
			fmt.Fprintf(out, "  %d x %s\n", len(g.Items), g.What)
			const examples = 3
			for i, it := range g.Items {
				if i == examples && !all {
					fmt.Fprintf(out, "      and %d more; --all shows them\n", len(g.Items)-i)
					break
				}
				fmt.Fprintf(out, "      %s\n", it.Text())
			}
		}
		if rejected > 0 && !asJSON {
			fmt.Fprintf(out, "%d more were rejected, and are not proposed until they change or %d days are over; `roje-sensor baseline diff` lists them\n", rejected, int(course.RefusedFor.Hours()/24))
		}
		return nil
	}
}

// chain lists the versions, and ends with what is wrong with their chain.
func chain(all []Version, wrong error) Answer {
	return func(out io.Writer) error {
		for _, v := range all {
			fmt.Fprintf(out, "%d  %s  %s  %d items  %.16s  %s\n", v.N, v.At.Format("2006-01-02 15:04:05"), v.Who, v.Items, v.Hash, v.Why)
		}
		return wrong
	}
}
