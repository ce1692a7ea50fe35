package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/sensor"
	"github.com/roje-ot/roje/sensor/baseline"
)

// poisoned learns each attack together with the ordinary traffic around it, approves what was seen often, as a person
// would in bulk, and compares that with what the same traffic without the attack leaves approved. An item more is one that
// the attack got approved.
func poisoned(ctx context.Context, j *judge, attacks []*verdict) (goal, error) {
	g := goal{id: "G14", data: "Brno's attacks in the learning half", target: "nothing of an attack approved in bulk", met: true}
	clean, err := j.approved(ctx, j.public(brno+"normal-14-12.pcap"))
	if err != nil || len(attacks) == 0 {
		return g, ignoreMissing(err, len(attacks))
	}
	more := 0
	for _, v := range attacks {
		items, err := j.approved(ctx, j.public(v.path))
		if err != nil {
			return g, err
		}
		for _, key := range items {
			if !slices.Contains(clean, key) {
				more++
				g.got += fmt.Sprintf("%s: %s; ", v.name, key)
			}
		}
	}
	g.met = more == 0
	g.got += fmt.Sprintf("%d attacks, %d items of theirs approved, %d items of ordinary traffic", len(attacks), more, len(clean))
	return g, nil
}

// ignoreMissing is for where there is no corpus to learn from.
func ignoreMissing(err error, attacks int) error {
	if attacks == 0 {
		return nil
	}
	return err
}

// approved learns a capture, approves in bulk what was seen often, and returns the keys of what is approved then, with the
// addresses of points.
func (j *judge) approved(ctx context.Context, path string) ([]string, error) {
	dir, err := os.MkdirTemp(j.dir, "poison-")
	if err != nil {
		return nil, err
	}
	if _, err := sensor.Judge(ctx, sensor.Replaying{Captures: []string{path}, Phase: rules.Learn, Propose: true, State: dir, Warn: io.Discard}, j.set); err != nil {
		return nil, err
	}
	b, _, err := baseline.Open(dir, baseline.Options{})
	if err != nil {
		return nil, err
	}
	b.Decide(baseline.Choice{Who: "detect", At: time.Unix(0, 0), Classes: []baseline.Class{baseline.Reads, baseline.Commands}})
	var keys []string
	for _, it := range b.Items() {
		if it.State == baseline.Approved {
			keys = append(keys, strings.TrimSpace(it.Key()+" "+it.Ranges))
		}
	}
	return keys, b.Close()
}
