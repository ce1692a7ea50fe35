package ledger

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/roje-ot/roje/protocols"
)

// TestStation holds that a station finds what was put in and not dropped, in whatever order it is asked, and that stations
// about which nothing is known make room.
func TestStation(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	ms := mappings{by: map[pointKey]*mapping{}, stations: map[key]*station{}}
	k := key{proto: iec104Fake, server: netip.MustParseAddr("10.0.0.2"), port: 2404, station: 5}
	want := map[indication]*shown{}
	any := func() indication {
		return indication{[]protocols.Kind{protocols.BinaryIn, protocols.BinaryOut}[random.IntN(2)], uint32(random.IntN(40))}
	}
	for step := range 20000 {
		i := any()
		switch sh := want[i]; {
		case random.IntN(10) > 0:
		case sh == nil:
			sh = &shown{is: i, command: pointKey{key: k, addr: uint32(step)}}
			if want[i] = sh; !ms.put(k, sh) {
				t.Fatalf("step %d: %v has no room", step, i)
			}
			if ms.put(k, &shown{is: i, command: sh.command}) {
				t.Fatalf("step %d: %v follows two commands", step, i)
			}
		default:
			delete(want, i)
			ms.drop(sh)
		}
		if random.IntN(3) > 0 { // in order, as reports do
			i.addr = uint32(step) % 40
		}
		if got := ms.stations[k]; got != nil && got.find(i) != want[i] || ms.shows != len(want) {
			t.Fatalf("step %d: %v is %v, want %v; %d, want %d", step, i, got.find(i), want[i], ms.shows, len(want))
		}
	}
	known := ms.station(k)
	ms.heard[3] = ms.station(key{proto: iec104Fake, station: 1})
	for n := range uint32(maxStations + 10) {
		ms.station(key{proto: iec104Fake, station: n})
	}
	if len(ms.stations) > maxStations || len(want) > 0 && ms.stations[k] != known || ms.heard[3] != nil {
		t.Errorf("%d stations, the known one is %p and was %p", len(ms.stations), ms.stations[k], known)
	}
}
