package interop

import (
	"math/rand/v2"
	"testing"

	"github.com/roje-ot/roje/sensor/ledger"
	"github.com/roje-ot/roje/testdata/need"
)

// The points of c104_acts.py: a block per type, the second half of it must be selected, the last of each lane is not there.
const (
	iecFirst   = 1000
	iecPerType = 80
)

// command104 is one of a type at a slot of its block.
func command104(rng *rand.Rand, kind, slot int) deed {
	d := deed{kind: kind, addr: iecFirst + (kind-45)*iecPerType + slot, shown: true, model: ledger.Direct}
	if slot >= iecPerType/2 && kind != 51 {
		d.model = ledger.Select
	}
	switch kind {
	case 45:
		d.value = float64(rng.IntN(2))
	case 46, 47:
		d.value = float64(1 + rng.IntN(2))
	case 48:
		d.value = float64(rng.IntN(4)) / 4
	case 49, 51:
		d.value = float64(rng.IntN(30000))
	case 50:
		d.value = float64(rng.IntN(4000)) / 8
	}
	return d
}

// planIEC104 makes n commands that c104's client can be asked for.
func planIEC104(rng *rand.Rand, n int) (list []deed) {
	seen := map[int]bool{} // points whose selection the tap has seen
	half := iecPerType / 2
	for range n {
		kind := 45 + rng.IntN(7)
		slot := rng.IntN(iecPerType)
		for !ordinary(slot) || slot%lanes == lanes-1 {
			slot = rng.IntN(iecPerType)
		}
		switch fate := rng.IntN(40); {
		case fate == 0:
			slot = onLane(rng, iecPerType, laneMute)
		case fate < 4:
			slot = onLane(rng, half, laneFalse) // of a selection, the select would be falsified
		case fate < 8:
			slot = onLane(rng, iecPerType, laneDeny)
		case fate < 10:
			slot = onLane(rng, half, lanes-1) // its client executes even where the selection was refused: two actions
		case fate < 20 && kind != 51:
			slot = half + onLane(rng, half, laneBare)
		}
		d := command104(rng, kind, slot)
		if slot >= half && slot%lanes == laneBare && kind != 51 {
			if seen[d.addr] {
				d.model = ledger.Direct // without the select that it was seen to take
			}
			seen[d.addr] = true
		}
		list = append(list, d)
	}
	return list
}

// TestLedgerC104 holds the ledger against a client and a server of lib60870.
func TestLedgerC104(t *testing.T) {
	python := need.Python(t, "c104")
	p := party{name: "lib60870", port: 2404, plan: planIEC104, twist: twistIEC104, act: script(python, "testdata/c104_acts.py"),
		wants:  []ledger.Outcome{ledger.Confirmed, ledger.Refused, ledger.Timeout, ledger.Mismatch, ledger.NoSelect},
		cannot: "cancelled: c104's server answers a deactivation as if it were an activation, and its client sends none by itself"}
	p.hold(t)
}
