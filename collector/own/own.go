// Package own keeps the alerts that the collector itself raises, beside those of its sensors. Each is a stream of its own,
// named by the alert, so that any number of collectors of one store may find the same thing: it is kept once.
package own

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/batch"
)

// Sensor is the name under which they are kept.
const Sensor = "collector"

// ID names an alert by what it is about.
func ID(about ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(about, "\x00")))
	return hex.EncodeToString(sum[:8])
}

// Keep stores an alert, and says whether it was new.
func Keep(ctx context.Context, st store.Intake, scope store.Scope, a *rules.Alert, now time.Time) (bool, error) {
	body, err := json.Marshal(a)
	if err != nil {
		return false, err
	}
	sum := sha256.Sum256([]byte(a.ID))
	h := batch.Header{Sensor: Sensor, Operator: scope.Operator(), Epoch: hex.EncodeToString(sum[:16]), Lane: batch.LaneOf(a.Severity), Base: 1, From: 1, To: 1,
		First: a.First, Last: a.Last, Sealed: now}
	got, err := st.Ingest(ctx, scope, Sensor, []store.Batch{{Header: h, Hash: sha256.Sum256(body), Records: []batch.Record{{Seq: 1, Kind: batch.KindAlert, Body: body}}}}, now)
	if errors.Is(err, store.ErrForked) { // it is there, in other words
		return false, nil
	}
	return err == nil && got.New > 0, err
}
