package interop

import (
	"math/rand/v2"
	"testing"

	"github.com/roje-ot/roje/sensor/ledger"
	"github.com/roje-ot/roje/testdata/need"
)

const dnp3Points = 200 // that the outstation has, of outputs of both kinds

// control is one of an output of either kind, with or without selection.
func control(rng *rand.Rand) deed {
	d := deed{kind: 12, addr: pick(rng, dnp3Points), value: float64(rng.IntN(2)), shown: true, model: ledger.Direct}
	if rng.IntN(2) == 0 {
		d.kind, d.value = 41, float64(rng.IntN(30000))
	}
	if rng.IntN(2) == 0 {
		d.model = ledger.Select
	}
	return d
}

// planDNP3 makes n controls that a master of opendnp3 can be asked for.
func planDNP3(rng *rand.Rand, n int) (list []deed) {
	for range n {
		d := control(rng)
		switch fate := rng.IntN(40); {
		case fate == 0:
			d.addr = onLane(rng, dnp3Points, laneMute)
		case fate < 4:
			d.addr = onLane(rng, dnp3Points, laneFalse)
		case fate < 8:
			d.addr = onLane(rng, dnp3Points, laneDeny)
		case fate < 10:
			d.addr += dnp3Points // no such point
		}
		list = append(list, d)
	}
	return list
}

// TestLedgerOpenDNP3 holds the ledger against a master and an outstation of opendnp3.
func TestLedgerOpenDNP3(t *testing.T) {
	need.Long(t) // what of it may race, TestLedgerLibmodbus and TestLedgerGoburrow run, too
	python := need.Python(t, "opendnp3")
	p := party{name: "opendnp3", port: 20000, plan: planDNP3, twist: twistDNP3, act: script(python, "testdata/opendnp3_acts.py"),
		wants:  []ledger.Outcome{ledger.Confirmed, ledger.Refused, ledger.Timeout, ledger.Mismatch},
		cannot: "no_select, cancelled: its master always selects and operates in one task; DIRECT_OPERATE_NR: its master has no such call. Its outstation has all of them from another master: TestLedgerOpenDNP3Outstation"}
	p.hold(t)
}
