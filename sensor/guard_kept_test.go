package sensor

import (
	"testing"

	"github.com/roje-ot/roje/sensor/passive"
)

// TestKeeping plays reports on a port that root has shut: what was tried is told once, a watch that began anew counts from
// 0, and a layer that is missing is told when it goes, and again when it went once more.
func TestKeeping(t *testing.T) {
	k := &keeping{last: passive.Report{Tried: 7}} // before the sensor started
	for i, step := range []struct {
		report passive.Report
		tried  uint64
		told   []string
		open   bool
	}{
		{passive.Report{Tried: 7}, 0, nil, false},
		{passive.Report{Tried: 9}, 2, []string{"sensor-port-tried"}, false},
		{passive.Report{Tried: 9}, 0, nil, false},
		{passive.Report{Tried: 3}, 3, []string{"sensor-port-tried"}, false},
		{passive.Report{Tried: 3, Open: "the chain is gone"}, 0, []string{"sensor-port-open"}, true},
		{passive.Report{Tried: 4, Open: "the chain is gone"}, 1, []string{"sensor-port-tried"}, true},
		{passive.Report{Tried: 4}, 0, nil, false},
		{passive.Report{Tried: 4, Open: "the program is gone"}, 0, []string{"sensor-port-open"}, true},
	} {
		p := &port{name: "span"}
		if tried := k.take(step.report); tried != step.tried {
			t.Errorf("step %d: %d tried, want %d", i, tried, step.tried)
		}
		var told []string
		for _, f := range k.findings(p) {
			told = append(told, f.rule)
			if f.rule == "sensor-port-tried" && f.count != step.tried {
				t.Errorf("step %d: the alert counts %d frames, want %d", i, f.count, step.tried)
			}
		}
		if len(told) != len(step.told) || len(told) > 0 && told[0] != step.told[0] || p.open != step.open {
			t.Errorf("step %d: told %q, want %q; open %v, want %v", i, told, step.told, p.open, step.open)
		}
	}
	var none *keeping
	if none.findings(&port{}) != nil {
		t.Error("a port that this process has shut has findings of another's watch")
	}
}
