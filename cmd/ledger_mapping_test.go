package cmd

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/sensor/ledger"
	"github.com/roje-ot/roje/sensor/ledger/ledgertest"
)

// TestLedgerMapping holds what the ledger learns of which indication follows which command against what the lab's
// stations really move, over a thousand random transactions per protocol, and that it then sees most effects and misses
// none that was there.
func TestLedgerMapping(t *testing.T) {
	for _, c := range []struct {
		name    string
		play    func(seed uint64) *staged
		port    uint16
		station uint32
		wants   int // commands whose indication must be learned
		moves   func(p protocols.Point) (indication protocols.Point, ok bool)
	}{
		{"dnp3", playDNP3, 20000, 10, 60, func(p protocols.Point) (protocols.Point, bool) {
			return protocols.Point{Kind: p.Kind, Addr: p.Addr}, p.Addr < 40 // the lab's outputs report themselves
		}},
		{"iec104", playIEC104, 2404, 4, 40, func(p protocols.Point) (protocols.Point, bool) {
			return protocols.Point{Addr: p.Addr - 4000}, p.Addr >= 5000 && p.Addr < 5070
		}},
	} {
		p := c.play(20261121)
		seen, missing, alone, all := 0, 0, 0, 0
		points := map[string]protocols.Point{}
		tap := ledgertest.New(ledger.Config{Tell: func(e *rules.Event) {
			switch all++; {
			case e.Act.Unasked:
				alone++
			case e.Act.Effect == rules.EffectSeen:
				seen++
			case e.Act.Effect == rules.EffectMissing:
				missing++
			}
		}}, func(e *rules.Event) {
			if m := e.Msg; e.What == rules.Message && m.Op == protocols.Operate && m.From == protocols.Client && len(m.Points) > 0 {
				points[fmt.Sprint(m.Points[0].Kind, m.Points[0].Addr)] = m.Points[0]
			}
		})
		var proto *protocols.Protocol
		for _, known := range catalog.All {
			if known.Name == c.name {
				proto = known
			}
		}
		for i := range p.frames {
			tap.Packet(&p.frames[i])
		}
		server := netip.AddrPortFrom(netip.MustParseAddr("10.0.0.2"), c.port)
		learned, wrong := 0, 0
		for _, command := range points {
			got, ok := tap.Ledger.Mapped(proto, server, c.station, command)
			if !ok {
				continue
			}
			learned++
			want, moves := c.moves(command)
			same := moves && got.Addr == want.Addr
			counterpart := command.Kind == protocols.BinaryOut && got.Kind == protocols.BinaryIn || command.Kind == protocols.AnalogOut && got.Kind == protocols.AnalogIn
			if !same || c.name == "dnp3" && got.Kind != want.Kind && !counterpart {
				if wrong++; wrong <= 5 {
					t.Errorf("%s: %v %d is thought to move %v %d", c.name, command.Kind, command.Addr, got.Kind, got.Addr)
				}
			}
		}
		t.Logf("%s: %d points were commanded, the indications of %d are learned, %d of them are wrong; of %d actions %d have an effect, %d miss one; %d changes were alone",
			c.name, len(points), learned, wrong, all, seen, missing, alone)
		if learned < c.wants || seen < 100 {
			t.Errorf("%s: %d indications are learned, want %d; %d effects seen", c.name, learned, c.wants, seen)
		}
		if missing > 0 || alone > 0 {
			t.Errorf("%s: %d effects are missed and %d changes are nobody's, where the lab's stations do what they are told", c.name, missing, alone)
		}
	}
}
