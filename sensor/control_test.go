package sensor

import (
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/sensor/baseline"
	"github.com/roje-ot/roje/sensor/socket"
	"github.com/roje-ot/roje/testdata/need"
)

// TestDecideInStream: what people decide while packets come is in force from then on, has their name, and is there after
// the sensor was killed.
func TestDecideInStream(t *testing.T) {
	file := filepath.Join(need.Root(t), "testdata", "demo.pcap")
	d := standing(t, Config{Phase: "learn", Replay: Recorded{Files: []string{file}}}, slog.New(slog.DiscardHandler))
	asked := func(o baseline.Order) (string, error) {
		var out strings.Builder
		err := socket.Ask(t.Context(), d.cfg.State, BaselineOrders, o, &out)
		return out.String(), err
	}
	all := []baseline.Class{baseline.Reads, baseline.Commands, baseline.Mixed, baseline.Rarely}
	decided := 0
	d.readers[0].source = &turnstile{Source: d.readers[0].source, at: map[int]func(){
		1000: func() {
			if text, err := asked(baseline.Order{Do: "approve", Who: "anna", Why: "T-1", Classes: all}); err != nil || !strings.Contains(text, "approved ") {
				t.Errorf("%q %v", text, err)
			}
			if text, err := asked(baseline.Order{Do: "rollback", Who: "anna", Version: 9}); err == nil {
				t.Errorf("%q: went back to a version that is not there", text)
			}
			decided++
		},
		2000: func() {
			text, err := asked(baseline.Order{Do: "show"})
			if err != nil || !strings.Contains(text, `"state":"approved"`) {
				t.Errorf("%q %v", text, err)
			}
			decided++
		},
	}}
	if err := d.serve(t.Context()); err != nil {
		t.Fatal(err)
	}
	if decided != 2 {
		t.Fatalf("%d times asked: the capture is too short", decided)
	}
	text, err := asked(baseline.Order{Do: "versions"})
	if err != nil || strings.Count(text, "\n") != 1 || !strings.Contains(text, "anna") || !strings.Contains(text, "T-1") {
		t.Errorf("%q %v", text, err)
	}
	if _, err := asked(baseline.Order{Do: "relearn", Host: netip.MustParseAddr("192.0.2.1")}); err == nil || !strings.Contains(err.Error(), "nothing was learned of 192.0.2.1") {
		t.Errorf("%v", err)
	}
	if err := d.base.Close(); err != nil {
		t.Fatal(err)
	}
	b, _, err := baseline.Open(d.cfg.State, baseline.Options{Phase: rules.Enforce, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if versions, err := b.Versions(); err != nil || len(versions) != 1 || versions[0].Items == 0 {
		t.Errorf("%+v %v", versions, err)
	}
}
