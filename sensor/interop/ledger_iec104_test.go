package interop

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/roje-ot/roje/cmd/roje-lab/iec104station"
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
	need.Long(t) // what of it may race, TestLedgerLibmodbus and TestLedgerGoburrow run, too
	python := need.Python(t, "c104")
	p := party{name: "lib60870", port: 2404, plan: planIEC104, twist: twistIEC104, act: script(python, "testdata/c104_acts.py"),
		wants:  []ledger.Outcome{ledger.Confirmed, ledger.Refused, ledger.Timeout, ledger.Mismatch, ledger.NoSelect},
		cannot: "cancelled: c104's server answers a deactivation as if it were an activation, and its client sends none by itself"}
	p.hold(t)
}

// planIEC104Fates makes n commands, many of which c104's own client cannot be asked for.
func planIEC104Fates(rng *rand.Rand, n int) (list []deed) {
	seen := map[int]bool{} // points whose selection the tap has seen
	half := iecPerType / 2
	for range n {
		kind, fate := 45+rng.IntN(6), []int{0, 0, 0, fateBare, fateOther}[rng.IntN(5)]
		slot := half + pick(rng, half)
		for slot%lanes == lanes-1 {
			slot = half + pick(rng, half)
		}
		if rng.IntN(40) == 0 {
			fate = fateAbandon
		}
		d := command104(rng, kind, slot)
		if fate == fateBare && !seen[d.addr] {
			fate = 0
		}
		if seen[d.addr] = true; fate == fateBare {
			d.model = ledger.Direct
		}
		d.fate = fate
		list = append(list, d)
	}
	return list
}

// TestLedgerC104Server holds the ledger against a server of lib60870, whose client is the lab's. What became of a
// command is read from the confirmations.
func TestLedgerC104Server(t *testing.T) {
	need.Long(t) // what of it may race, TestLedgerLibmodbus and TestLedgerGoburrow run, too
	python := need.Python(t, "c104")
	p := party{name: "lib60870's server", port: 2404, plan: planIEC104Fates,
		wants:  []ledger.Outcome{ledger.Confirmed, ledger.NoSelect, ledger.Mismatch, ledger.Timeout},
		cannot: "cancelled: the server has no deactivation",
		act: func(t *testing.T, deeds []deed, port int, r *relay) error {
			return alone([]string{python, "testdata/c104_acts.py"}, port, r, t, func(conn net.Conn) error {
				m := iec104station.NewSession(conn, wall{}, nil, 4, 7)
				m.Timeout = patience
				if err := m.Start(); err != nil {
					return err
				}
				for i := range deeds {
					if err := iec104Act(m, &deeds[i]); err != nil {
						return fmt.Errorf("%v: %w", &deeds[i], err)
					}
				}
				return m.Interrogate(20)
			})
		}}
	p.hold(t)
}

// other is another value that the type of d can have.
func (d *deed) other() float64 {
	switch d.kind {
	case 45:
		return 1 - d.value
	case 46, 47:
		return 3 - d.value
	case 48:
		return 0.75 - d.value
	}
	return d.value + 1
}

func iec104Act(m *iec104station.Session, d *deed) error {
	ask := func(value float64, selects byte) (ledger.Outcome, error) {
		o := iec104station.Object{IOA: uint32(d.addr), Data: element104(d.kind, value, selects)}
		switch err := m.Ask(byte(d.kind), iec104station.Activation, o, iec104station.ActCon); {
		case err == nil:
			return ledger.Confirmed, nil
		case errors.Is(err, iec104station.ErrRefused):
			return ledger.Refused, nil
		default:
			return "", err
		}
	}
	var err error
	if d.fate != fateBare {
		if d.outcome, err = ask(d.value, 0x80); err != nil || d.outcome != ledger.Confirmed {
			return err
		}
	}
	switch d.fate {
	case fateAbandon:
		time.Sleep(patience)
		d.outcome = ledger.Timeout // neither executed nor ended in the time that a master has
		return m.Interrogate(20)
	case fateOther:
		_, err = ask(d.other(), 0)
		d.outcome = ledger.Mismatch // whatever the server makes of it
	default:
		d.outcome, err = ask(d.value, 0)
		if d.fate == fateBare && d.outcome == ledger.Refused {
			d.outcome = ledger.NoSelect // the server says on its own output that the selection is missing
		}
	}
	if err == nil {
		err = m.Run(time.Now().Add(60 * time.Millisecond)) // the server ends a selection with its next tick
	}
	return err
}

// element104 encodes a command of a type without time tag.
func element104(kind int, value float64, selects byte) []byte {
	switch kind {
	case 48:
		return append(binary.LittleEndian.AppendUint16(nil, uint16(int16(value*32768))), selects)
	case 49:
		return append(binary.LittleEndian.AppendUint16(nil, uint16(int16(value))), selects)
	case 50:
		return append(binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(value))), selects)
	}
	return []byte{byte(value) | selects}
}
