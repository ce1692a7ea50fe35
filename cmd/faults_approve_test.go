package cmd

import (
	"context"
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/roje-ot/roje/collector/ingest"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules/batch/join"
	"github.com/roje-ot/roje/sensor/enrol"
)

// TestEnrolmentWaits has a sensor wait for a person: both ends show the same words; stopped and started anew it goes on
// with the same key; approved, it is enrolled, and the key that waited is its key.
func TestEnrolmentWaits(t *testing.T) {
	c, parent := newCentre(t, func(c *ingest.Config) { c.Approve = true }), t.TempDir()
	dir, token := filepath.Join(parent, "enrolment"), c.token(c.address)
	k, err := join.Parse(token)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := errors.New("the power went out")
	var shown []string
	o := enrol.Options{Token: token, Dir: dir, Name: "Substation 7", Now: c.clock, Waiting: func(words string) {
		shown = append(shown, words)
		cancel(stopped)
	}}
	if _, err := enrol.Enrol(ctx, o); !errors.Is(err, stopped) {
		t.Fatalf("stopped while it waits: %v", err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("there is an enrolment before anybody approved it")
	}
	o.Waiting = func(words string) {
		shown = append(shown, words)
		joins, err := c.db.Joins(t.Context(), c.scope)
		if err != nil || len(joins) != 1 || joins[0].Words != words {
			t.Errorf("the collector shows %+v, %v; the sensor %s", joins, err, words)
		}
		if err := c.db.JudgeJoin(t.Context(), c.scope, k.ID, store.Approved, "eva", c.clock()); err != nil {
			t.Error(err)
		}
	}
	id, err := enrol.Enrol(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if words := join.Words(id.Key.Public().(ed25519.PublicKey)); len(shown) != 2 || shown[0] != words || shown[1] != words {
		t.Errorf("words %v, the key's are %s", shown, words)
	}
	if got := files(t, parent); len(got) != 1 {
		t.Errorf("beside the enrolment is %v", got)
	}
}
