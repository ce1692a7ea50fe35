// Package sealed holds the seals that a sensor has sent over its ledger against each other. A ledger that was cut back or
// written anew on the sensor, with its own key even, cannot bring forth seals that follow those that are here.
package sealed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/rules/batch/proof"
)

// A Store has what sensors said, and their keys.
type Store interface {
	store.Intake
	store.Fleet
}

// Of returns the seals of a sensor in the order in which they were received, each once.
func Of(ctx context.Context, st Store, scope store.Scope, sensor string) (list []proof.LedgerSeal, err error) {
	for cursor := ""; ; {
		records, next, err := st.Records(ctx, scope, batch.KindLedgerSeal, sensor, cursor, 100)
		if err != nil {
			return nil, err
		}
		for _, r := range records {
			var s proof.LedgerSeal
			if err := json.Unmarshal(r.Body, &s); err != nil {
				return nil, fmt.Errorf("seal received on %s: %w", r.Received, err)
			}
			list = append(list, s)
		}
		if cursor = next; next == "" {
			break
		}
	}
	slices.Reverse(list)
	seen := map[string]bool{}
	return slices.DeleteFunc(list, func(s proof.LedgerSeal) bool { // one that was sent again, as after a crash
		again := seen[string(s.Signature)]
		seen[string(s.Signature)] = true
		return again
	}), nil
}

// Check returns what is wrong with the seals of a sensor: one that is not as it was signed, by a key that is not the
// sensor's, or that does not follow the one before it.
func Check(ctx context.Context, st Store, scope store.Scope, sensor string, list []proof.LedgerSeal) (wrong []error, err error) {
	for i := range list {
		s := &list[i]
		if bad := s.Check(); bad != nil {
			wrong = append(wrong, bad)
			continue
		}
		switch _, err := st.FindCert(ctx, scope, sensor, batch.KeyID(s.Key)); {
		case errors.Is(err, store.ErrNotFound):
			wrong = append(wrong, fmt.Errorf("%w: the seal of record %d of %s is by key %s, which is not the sensor's", proof.ErrFalse, s.Number, s.At, s.Fingerprint()))
		case err != nil:
			return nil, err
		}
		if i == 0 {
			continue
		}
		if bad := s.Follows(&list[i-1]); bad != nil {
			wrong = append(wrong, bad)
		}
	}
	return wrong, nil
}
