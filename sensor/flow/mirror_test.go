package flow_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/roje-ot/roje/sensor/flow"
)

// TestMirrorBehind: a second mirror that is a few packets behind the first gives copies, each told once; one that is too
// far behind, or too late, gives datagrams of their own.
func TestMirrorBehind(t *testing.T) {
	const all = "a b c d e"
	for _, test := range []struct {
		name   string
		sent   string // datagrams in order
		apart  int64  // nanoseconds
		want   string
		copies uint64
	}{
		{"one behind", "a a b b c c", 2e5, "a b c", 3},
		{"two behind", "a b a b c c", 2e5, "a b c", 3},
		{"four behind", "a b c d a b c d", 1e5, "a b c d", 4},
		{"three mirrors", "a b a b a b", 1e5, "a b", 4},
		{"five behind", all + " " + all, 1e5, all + " " + all, 0},
		{"too late", "a b a b", 1e6, "a b a b", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got recorder
			f := newFeeder(flow.Config{}, &got)
			for _, text := range strings.Fields(test.sent) {
				f.p.At += test.apart - 1e6 // the feeder adds a millisecond
				f.frame(udpFrame(alice, bob, framed(text)))
			}
			f.table.Flush()
			if !slices.Equal(got.texts[0], strings.Fields(test.want)) || got.counters.Repeated != test.copies {
				t.Errorf("got %q and %d copies, want %q and %d", got.texts[0], got.counters.Repeated, test.want, test.copies)
			}
		})
	}
}
