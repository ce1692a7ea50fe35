// Package sealed holds the seals that a sensor has sent over its ledger against each other. A ledger that was cut back or
// written anew on the sensor, with its own key even, cannot bring forth seals that follow those that are here.
package sealed

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/rules/batch/proof"
)

// A Store has what sensors said, and their keys.
type Store interface {
	store.Intake
	store.Fleet
}

// A received is a seal as it came.
type received struct {
	proof.LedgerSeal
	at    time.Time
	epoch string
	seq   uint64
}

// Of returns the seals of a sensor in the order in which it sent them, each once.
func Of(ctx context.Context, st Store, scope store.Scope, sensor string) (list []proof.LedgerSeal, err error) {
	came, err := all(ctx, st, scope, sensor)
	for i := range came {
		list = append(list, came[i].LedgerSeal)
	}
	return list, err
}

// all is Of, with what is known of each. One that came late, by another way, is where it belongs.
func all(ctx context.Context, st Store, scope store.Scope, sensor string) (list []received, err error) {
	for cursor := ""; ; {
		records, next, err := st.Records(ctx, scope, batch.KindLedgerSeal, sensor, cursor, 100)
		if err != nil {
			return nil, err
		}
		for _, r := range records {
			one := received{at: r.Received, epoch: r.Epoch, seq: r.Seq}
			if err := json.Unmarshal(r.Body, &one.LedgerSeal); err != nil {
				return nil, fmt.Errorf("seal received on %s: %w", r.Received, err)
			}
			list = append(list, one)
		}
		if cursor = next; next == "" {
			break
		}
	}
	slices.Reverse(list)
	epochs := map[string]int{} // by the first of each that came
	for i := range list {
		if _, known := epochs[list[i].epoch]; !known {
			epochs[list[i].epoch] = i
		}
	}
	slices.SortStableFunc(list, func(a, b received) int {
		return cmp.Or(cmp.Compare(epochs[a.epoch], epochs[b.epoch]), cmp.Compare(a.seq, b.seq))
	})
	seen := map[string]bool{}
	return slices.DeleteFunc(list, func(s received) bool { // one that was sent again, as after a crash
		again := seen[string(s.Signature)]
		seen[string(s.Signature)] = true
		return again
	}), nil
}

// A Break is a seal that does not hold, and why.
type Break struct {
	Seal *proof.LedgerSeal
	Err  error // is a proof.ErrFalse
	at   int   // its place in the list
}

// Check returns what is wrong with the seals of a sensor: one that is not as it was signed, by a key that the sensor never
// had, or that does not follow the one before it. A change of the sensor's key is none: the collector knows both, or the
// key before has introduced the one that the collector knows, as when a sensor has run before it was enrolled.
func Check(ctx context.Context, st Store, scope store.Scope, sensor string, list []proof.LedgerSeal) (wrong []error, err error) {
	breaks, err := Breaks(ctx, st, scope, sensor, list)
	for _, b := range breaks {
		wrong = append(wrong, b.Err)
	}
	return wrong, err
}

// Breaks returns the seals in list that do not hold. One that is nobody's is not what the next has to follow.
func Breaks(ctx context.Context, st Store, scope store.Scope, sensor string, list []proof.LedgerSeal) (breaks []Break, err error) {
	strange, err := strangers(ctx, st, scope, sensor, list)
	if err != nil {
		return nil, err
	}
	var before *proof.LedgerSeal
	for i := range list {
		s := &list[i]
		bad := s.Check()
		if bad == nil && strange[i] {
			bad = fmt.Errorf("%w: the seal of record %d of %s is by key %s, which the sensor never had", proof.ErrFalse, s.Number, s.At.Format(time.RFC3339), s.Fingerprint())
		}
		if bad == nil {
			if before != nil {
				bad = s.Follows(before)
			}
			before = s
		}
		if bad != nil {
			breaks = append(breaks, Break{s, bad, i})
		}
	}
	return breaks, nil
}

// strangers says which seals in list are by a key that the sensor never had. A key that is not known here was the sensor's
// until it introduced one that is.
func strangers(ctx context.Context, st Store, scope store.Scope, sensor string, list []proof.LedgerSeal) ([]bool, error) {
	strange, introduced := make([]bool, len(list)), map[string]bool{} // by the key, of those in the list from here on
	for i := len(list) - 1; i >= 0; i-- {
		s := &list[i]
		_, err := st.FindCert(ctx, scope, sensor, batch.KeyID(s.Key))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		if strange[i] = err != nil && !introduced[s.Fingerprint()]; !strange[i] && s.Introduced != nil && s.Check() == nil {
			introduced[proof.Fingerprint(s.Introduced.Key)] = true
		}
	}
	return strange, nil
}
