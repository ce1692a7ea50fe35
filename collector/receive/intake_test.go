package receive

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/pki"
	"github.com/roje-ot/roje/rules/batch"
)

// TestRefused holds what is not believed, and that it changes nothing.
func TestRefused(t *testing.T) {
	g := newRig(t)
	other := g.enrol("s2")
	good := g.seal(batch.Urgent, 2, nil)
	damaged := slices.Clone(good)
	damaged[len(damaged)-70] ^= 1
	forged := func(change func(*batch.Header)) []byte {
		key, next, prev := g.key, g.next[batch.Urgent], g.prev[batch.Urgent]
		defer func() { g.key, g.next[batch.Urgent], g.prev[batch.Urgent] = key, next, prev }()
		if change == nil {
			g.key = other
			change = func(*batch.Header) {}
		}
		g.next[batch.Urgent] = 10
		return g.seal(batch.Urgent, 2, change)
	}
	for name, c := range map[string]struct {
		raw  []byte
		want string
	}{
		"damaged":             {damaged, "checksum"},
		"two in one":          {append(slices.Clone(good), good...), "follow the envelope"},
		"of another operator": {forged(func(h *batch.Header) { h.Operator = "south" }), "operator south"},
		"of another's key":    {forged(nil), "no key"},
		"of an unknown one":   {forged(func(h *batch.Header) { h.Sensor = "s9" }), "no key"},
		"after it lapsed":     {forged(func(h *batch.Header) { h.Sealed = start.Add(pki.SensorLife + pki.Grace + time.Hour) }), "lapsed"},
	} {
		if _, err := g.r.open(t.Context(), c.raw); !errors.Is(err, errRefused) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want a refusal that says %q", name, err, c.want)
		}
	}
	if _, err := g.r.open(t.Context(), good); err != nil {
		t.Fatalf("the good one: %v", err)
	}
	g.r.commit(t.Context(), []job{{raw: good}})
	g.next[batch.Urgent] = 0
	fork := g.seal(batch.Urgent, 2, func(h *batch.Header) { h.Sealed = start.Add(time.Second) })
	g.r.commit(t.Context(), []job{{raw: fork}, {raw: good}})
	if e, no := g.r.Envelopes.Load(), g.r.Refused.Load(); e != 2 || no != 1 {
		t.Errorf("a fork and a repeat: %d committed, %d refused; want 2 and 1", e, no)
	}
	if err := g.db.Deny(t.Context(), g.r.Scope, "s1", "ann", start); err != nil {
		t.Fatal(err)
	}
	if _, err := g.r.open(t.Context(), good); !errors.Is(err, errRefused) || !strings.Contains(err.Error(), "deny list") {
		t.Errorf("a denied sensor: %v", err)
	}
}
