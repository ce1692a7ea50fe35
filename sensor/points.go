package sensor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/lang"
	"github.com/roje-ot/roje/sensor/baseline"
	"github.com/roje-ot/roje/sensor/events"
	"github.com/roje-ot/roje/sensor/plant"
)

// Comparing is what to hold against point lists.
type Comparing struct {
	Lists    []plant.File
	State    string    // folder of the baseline; "" for none
	Events   string    // folder of stored events, which are what was seen where no captures are named; default STATE/events
	Captures []string  // capture files, which are what was seen
	Warn     io.Writer // for what was left out
}

// ComparePoints holds point lists against what was seen and what was learned. It changes nothing. The state folder may be
// that of a sensor that runs; its baseline is then left out, and that is said.
func ComparePoints(ctx context.Context, c Comparing) (*plant.Report, error) {
	book, err := plant.Load(c.Lists)
	if err != nil {
		return nil, err
	}
	if len(book.Points) == 0 {
		return nil, errors.New("the lists hold no point")
	}
	seen := &plant.Seen{}
	switch {
	case len(c.Captures) > 0:
		err = Replay(ctx, Replaying{Captures: c.Captures, Phase: rules.Off, Warn: c.Warn, seen: seen.Take, set: []*lang.Rule{}})
	case c.Events == "" && c.State == "":
		return nil, errors.New("nothing to compare with: name captures, or a state folder")
	default:
		if c.Events == "" {
			c.Events = filepath.Join(c.State, "events")
		}
		err = c.stored(ctx, seen)
	}
	if err != nil {
		return nil, err
	}
	learned, err := c.learned()
	if err != nil {
		fmt.Fprintln(c.Warn, "what was learned is left out:", err)
	}
	return plant.Compare(book, seen, learned), nil
}

// stored takes the stored events as what was seen.
func (c *Comparing) stored(ctx context.Context, seen *plant.Seen) error {
	r, err := events.Play(ctx, c.Events, catalog.All, seen.Take)
	if err != nil {
		return err
	}
	for _, what := range r.Skipped {
		fmt.Fprintln(c.Warn, "skipped:", what)
	}
	return nil
}

// learned reads the points of the baseline.
func (c *Comparing) learned() (all []plant.Learned, err error) {
	if c.State == "" {
		return nil, nil
	}
	b, _, err := baseline.Open(c.State, baseline.Options{Phase: rules.Off, ReadOnly: true})
	if err != nil {
		return nil, err
	}
	for _, it := range b.Items() {
		it.Addresses(func(kind protocols.Kind, from, to uint32) {
			all = append(all, plant.Learned{Server: *it.Server, Station: *it.Station, Kind: kind, From: from, To: to})
		})
	}
	return all, b.Close()
}
