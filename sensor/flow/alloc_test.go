package flow_test

import (
	"math/rand/v2"
	"testing"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/sensor/capture"
	"github.com/roje-ot/roje/sensor/flow"
)

// TestNoAllocations: a warm connection costs no allocation per packet, whatever happens to its segments.
func TestNoAllocations(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for name, size := range map[string]int{"whole messages": 1000, "pieces": 7} {
		c := talk(r, 400, func() int { return size })
		pieces := c.pieces
		for i := 5; i+3 < len(pieces); i += 9 { // reordered
			pieces[i], pieces[i+2] = pieces[i+2], pieces[i]
		}
		var packets []capture.Packet
		for i, p := range pieces {
			if i%50 == 49 {
				continue // lost
			}
			frame := c.frame(p)
			packets = append(packets, capture.Packet{At: 1e18 + int64(i)*1e6, Frame: uint64(i), Link: capture.Ethernet, Data: frame, OrigLen: len(frame)})
			if i%20 == 19 {
				packets = append(packets, packets[len(packets)-1]) // repeated
			}
		}
		table := flow.New(flow.Config{Protocols: []*protocols.Protocol{fake}}, flow.Ignore{})
		half := len(packets) / 2
		for i := range packets[:half] {
			table.Packet(&packets[i])
		}
		i := half
		allocs := testing.AllocsPerRun(len(packets)-half-2, func() {
			table.Packet(&packets[i])
			i++
		})
		if allocs != 0 {
			t.Errorf("%s: %v allocations per packet", name, allocs)
		}
	}
}
