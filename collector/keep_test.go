package collector

import (
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/store"
)

// TestKeep holds that an age becomes the time before which things are forgotten, that none keeps all, and that one below a
// day is refused.
func TestKeep(t *testing.T) {
	now := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	got := Keep{Alerts: 48 * time.Hour, Envelopes: 24 * time.Hour}.cutoff(now)
	want := store.Cutoff{Alerts: now.AddDate(0, 0, -2), Envelopes: now.AddDate(0, 0, -1)}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	cfg := Config{Data: "x", Store: "mysql://x", Keep: Keep{Alerts: 90 * time.Minute, Records: -1, Envelopes: leastKeep}}
	err := cfg.complete()
	if err == nil {
		t.Fatal("all of it was taken")
	}
	for _, says := range []string{"store ", "keep: alerts: 1h30m0s", "keep: records: -1ns"} {
		if !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want it to say %q", err, says)
		}
	}
	if strings.Contains(err.Error(), "envelopes") {
		t.Errorf("got %v: a day is allowed", err)
	}
}
