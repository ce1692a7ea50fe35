package flow_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/sensor/capture"
	"github.com/roje-ot/roje/sensor/flow"
	"github.com/roje-ot/roje/testdata/need"
)

// replay gives a Table all packets of a capture, and returns it flushed.
func replay(t testing.TB, path string, h flow.Handler) *flow.Table {
	t.Helper()
	file, err := capture.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	table := flow.New(flow.Config{Protocols: catalog.All}, h)
	var p capture.Packet
	for file.Next(&p) == nil {
		table.Packet(&p)
	}
	table.Flush()
	return table
}

// frameCounter counts messages by the frame that completed them and by who sent it.
type frameCounter struct {
	flow.Ignore
	frames map[string]int
	n      int
}

func (f *frameCounter) Message(_ *flow.Conn, m *protocols.Message, _ *flow.PacketInfo) {
	f.frames[fmt.Sprintf("%s %d %x", m.Proto.Name, m.From, m.Raw)]++
	f.n++
}

func framesOf(t *testing.T, path string) *frameCounter {
	f := &frameCounter{frames: map[string]int{}}
	replay(t, path, f)
	return f
}

// TestTransportVariants: the same sessions in VLANs, QinQ, IPv6, fragments, duplicated and in other segments give the
// very same messages; from the middle, one way only and with losses they give some of them and no other. Swapped over
// more than a round trip, as in the swap files, one in a hundred may be lost: a hole is given up when the receiver
// acknowledges it, and what fills it later is decoded by itself.
func TestTransportVariants(t *testing.T) {
	dir := filepath.Join(need.Corpus(t), "captures", "derived", "transport")
	for _, base := range []string{"modbus_example", "dnp3_example", "iec104_types"} {
		want := framesOf(t, filepath.Join(dir, base+".vlan.pcap"))
		if want.n == 0 {
			t.Errorf("%s: no messages", base)
		}
		for variant, share := range map[string]float64{"qinq": 0, "ipv6": 0, "frag": 0, "dup": 0, "reseg": 0, "coalesce": 0, "swap": 0.01,
			"midstream": 1, "oneway": 1, "loss": 1} {
			got := framesOf(t, filepath.Join(dir, base+"."+variant+".pcap"))
			few, many := 0, 0
			for frame, n := range want.frames {
				few += max(n-got.frames[frame], 0)
			}
			for frame, n := range got.frames {
				many += max(n-want.frames[frame], 0)
			}
			if many > 0 || float64(few) > share*float64(want.n) || got.n == 0 {
				t.Errorf("%s.%s: %d messages, of them %d that are not in the %d of the original, and %d missing", base, variant, got.n, many, want.n, few)
			}
		}
	}
}
