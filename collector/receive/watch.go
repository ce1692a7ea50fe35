package receive

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules/batch"
)

// lookEvery is how often the receiver looks at what is missing and who is silent.
const lookEvery = 10 * time.Second

// mostNamed is how many ranges of a sensor are named in the log at a time; the store has them all.
const mostNamed = 20

// watch is what was heard of the sensors.
type watch struct {
	mu      sync.Mutex
	sensors map[string]*seen
}

// seen is what is known of a sensor. Guarded by watch.mu.
type seen struct {
	last    time.Time // when anything came of it through this receiver
	missing []store.Gap
	silent  bool
}

// Missing is what was never received of a sensor: the holes in its streams, and what it says it has sent beyond their
// ends. A loss record may explain a hole.
func Missing(streams []store.Stream, sent []batch.Range) []store.Gap {
	var missing []store.Gap
	for _, st := range streams {
		missing = append(missing, st.Gaps...)
	}
	for _, s := range sent {
		high := s.From - 1
		for _, st := range streams {
			if st.Epoch == s.Epoch && st.Lane == s.Lane {
				high = st.High
			}
		}
		if s.To > high {
			missing = append(missing, store.Gap{Epoch: s.Epoch, Lane: s.Lane, From: high + 1, To: s.To})
		}
	}
	return missing
}

// heard notes that something of a sensor was committed.
func (r *Receiver) heard(b *store.Batch) {
	r.watch.mu.Lock()
	defer r.watch.mu.Unlock()
	s := r.watch.of(b.Sensor)
	s.last = r.Now()
}

func (w *watch) of(sensor string) *seen {
	if w.sensors == nil {
		w.sensors = map[string]*seen{}
	}
	s := w.sensors[sensor]
	if s == nil {
		s = &seen{}
		w.sensors[sensor] = s
	}
	return s
}

// look looks at all sensors until ctx ends.
func (r *Receiver) look(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if err := r.Look(ctx); err != nil && ctx.Err() == nil {
			r.Log.Error("what is missing is not known", "err", err)
		}
	}
}

// Look logs what has changed of what is missing and of who is silent. It minds the sensors that this receiver has heard
// and those whose health says that they send one way; others come by HTTPS.
func (r *Receiver) Look(ctx context.Context) error {
	sensors, err := r.Store.Sensors(ctx, r.Scope)
	if err != nil {
		return err
	}
	for i := range sensors {
		if err := r.lookAt(ctx, &sensors[i]); err != nil {
			return fmt.Errorf("sensor %s: %w", sensors[i].ID, err)
		}
	}
	return nil
}

func (r *Receiver) lookAt(ctx context.Context, sensor *store.Sensor) error {
	var health batch.Health
	if len(sensor.Health) > 0 {
		if err := json.Unmarshal(sensor.Health, &health); err != nil {
			r.Log.Warn("health of a sensor cannot be read", "sensor", sensor.ID, "err", err)
		}
	}
	r.watch.mu.Lock()
	known := r.watch.sensors[sensor.ID] != nil
	r.watch.mu.Unlock()
	if sensor.Denied != nil || !known && len(health.Sent) == 0 {
		return nil
	}
	streams, err := r.Store.Streams(ctx, r.Scope, sensor.ID)
	if err != nil {
		return err
	}
	missing := Missing(streams, health.Sent)

	r.watch.mu.Lock()
	s := r.watch.of(sensor.ID)
	if s.last.IsZero() && sensor.Seen != nil {
		s.last = *sensor.Seen
	}
	was, wasSilent, last := s.missing, s.silent, s.last
	s.missing, s.silent = missing, r.Now().Sub(last) > r.Silence
	silent := s.silent
	r.watch.mu.Unlock()

	r.tellMissing(sensor.ID, was, missing)
	switch {
	case silent && !wasSilent:
		r.Log.Warn("a sensor is silent", "sensor", sensor.ID, "since", last.UTC().Format(time.RFC3339))
	case wasSilent && !silent:
		r.Log.Info("a sensor is heard again", "sensor", sensor.ID)
	}
	return nil
}

// tellMissing logs the ranges that were not missing before, and when none is any more.
func (r *Receiver) tellMissing(id string, was, now []store.Gap) {
	known := map[store.Gap]bool{}
	for _, g := range was {
		known[g] = true
	}
	named := 0
	for _, g := range now {
		if known[g] {
			continue
		}
		if named++; named > mostNamed {
			r.Log.Warn("more records are missing", "sensor", id, "ranges", len(now))
			break
		}
		r.Log.Warn("records are missing", "sensor", id, "lane", g.Lane.String(), "from", g.From, "to", g.To, "epoch", g.Epoch,
			"carry_over", fmt.Sprintf("roje-sensor export --lane %d --from %d --to %d --epoch %s --dir DIR", g.Lane, g.From, g.To, g.Epoch))
	}
	if len(was) > 0 && len(now) == 0 {
		r.Log.Info("no records are missing any more", "sensor", id)
	}
}
