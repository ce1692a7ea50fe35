package oneway

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/roje-ot/roje/rules/batch"
)

// A Wish is what Export should carry over: the records From to To of a lane.
type Wish struct {
	Lane     batch.Lane
	From, To uint64
	Epoch    string // its first characters are enough; "" is the epoch that was sealed last
}

// Export copies from an archive's folder to dir the envelopes that hold any record of the wish, and returns how many
// there were and which records no envelope of the archive holds. It may run beside the sensor.
func Export(archive string, w Wish, dir string) (n int, missing []batch.Range, err error) {
	if w.From == 0 || w.To < w.From {
		return 0, nil, fmt.Errorf("records %d to %d make no range", w.From, w.To)
	}
	all, err := List(archive)
	if err != nil {
		return 0, nil, err
	}
	all = slices.DeleteFunc(all, func(e Entry) bool { return e.Lane != w.Lane })
	if w.Epoch == "" && len(all) > 0 {
		w.Epoch = all[len(all)-1].Epoch
	}
	all = slices.DeleteFunc(all, func(e Entry) bool {
		return !strings.HasPrefix(e.Epoch, w.Epoch) || e.To < w.From || e.From > w.To
	})
	slices.SortFunc(all, func(a, b Entry) int { return int(int64(a.From) - int64(b.From)) })
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return 0, nil, err
	}
	next := w.From
	for _, e := range all {
		raw, err := os.ReadFile(filepath.Join(archive, e.name()))
		if err != nil {
			return n, missing, err
		}
		envelope, _, err := batch.Decode(raw)
		if err != nil {
			return n, missing, fmt.Errorf("%s: %w", e.name(), err)
		}
		if e.From > next {
			missing = append(missing, batch.Range{Epoch: w.Epoch, Lane: w.Lane, From: next, To: e.From - 1})
		}
		next = max(next, e.To+1)
		if err := writeFile(dir, dropName(envelope), raw); err != nil {
			return n, missing, err
		}
		n++
	}
	if next <= w.To {
		missing = append(missing, batch.Range{Epoch: w.Epoch, Lane: w.Lane, From: next, To: w.To})
	}
	return n, missing, nil
}

// dropName is what an envelope is called where files are dropped: other sensors may drop beside this one.
func dropName(e *batch.Envelope) string {
	return fmt.Sprintf("%s.%s.%d.%d-%d%s", e.Sensor, e.Epoch, e.Lane, e.From, e.To, suffix)
}
