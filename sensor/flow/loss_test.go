package flow_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/sensor/capture"
	"github.com/roje-ot/roje/sensor/flow"
	"github.com/roje-ot/roje/testdata/need"
)

// whereabouts counts messages by the packet that completed them and their frame.
type whereabouts struct {
	flow.Ignore
	seen map[string]int
	n    int
}

func (w *whereabouts) Message(_ *flow.Conn, m *protocols.Message, p *flow.PacketInfo) {
	w.seen[fmt.Sprintf("%d %x", p.Frame, m.Raw)]++
	w.n++
}

// TestLossOnRealTraffic loses packets of real sessions at random: of the messages whose last packet was kept, nearly
// all come out at once, in every connection. (Those that lost an earlier packet count against it.)
func TestLossOnRealTraffic(t *testing.T) {
	for _, path := range []string{"ITI__ICS-Security-Tools/pcaps/ModbusTCP/ModbusTCP.pcap", "derived/brno_iec104/injection-command.pcap",
		"cisagov__icsnpp-dnp3/testing/traces/dnp3_example.pcap", "antoine-lemay__Modbus_dataset/characterization_modbus_6RTU_with_operate.pcap"} {
		for _, c := range []struct{ loss, least float64 }{{0.001, 0.999}, {0.01, 0.995}, {0.05, 0.99}} {
			file, err := capture.Open(filepath.Join(need.Corpus(t), "captures", path))
			if err != nil {
				t.Fatal(err)
			}
			r := rand.New(rand.NewPCG(7, 7))
			full, thinned := &whereabouts{seen: map[string]int{}}, &whereabouts{seen: map[string]int{}}
			all, some := flow.New(flow.Config{Protocols: catalog.All}, full), flow.New(flow.Config{Protocols: catalog.All}, thinned)
			kept := map[string]bool{}
			var p capture.Packet
			for file.Next(&p) == nil {
				all.Packet(&p)
				if r.Float64() >= c.loss {
					some.Packet(&p)
					kept[fmt.Sprint(p.Frame)] = true
				}
			}
			file.Close()
			all.Flush()
			some.Flush()
			want, got := 0, 0
			for at, n := range full.seen {
				var frame string
				if fmt.Sscan(at, &frame); kept[frame] {
					want += n
					got += min(n, thinned.seen[at])
				}
			}
			share := float64(got) / float64(want)
			t.Logf("%s, %.1f %% lost: %d of %d messages, %.2f %%", filepath.Base(path), 100*c.loss, got, want, 100*share)
			if share < c.least {
				t.Errorf("%s, %.1f %% lost: %d of %d messages, %.2f %%", filepath.Base(path), 100*c.loss, got, want, 100*share)
			}
		}
	}
}
