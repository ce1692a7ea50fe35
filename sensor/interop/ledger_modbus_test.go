package interop

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"strconv"
	"testing"

	"github.com/goburrow/modbus"

	"github.com/roje-ot/roje/sensor/ledger"
	"github.com/roje-ot/roje/testdata/need"
)

const modbusPoints = 180 // coils and registers that may be written; the servers have a few more

// planModbus makes n writes. Where no client looks at the address in an answer, none is falsified.
func planModbus(falsify bool) func(rng *rand.Rand, n int) []deed {
	return func(rng *rand.Rand, n int) (list []deed) {
		for range n {
			kind := []int{5, 6, 15, 16, 22, 23}[rng.IntN(6)]
			d := deed{kind: kind, addr: pick(rng, modbusPoints), model: ledger.Direct, value: float64(rng.IntN(60000) + 1), shown: kind != 22}
			switch kind {
			case 5, 15:
				d.value = float64(rng.IntN(2))
			case 22:
				d.value = float64(rng.IntN(256)) // or_mask; and_mask is 0xff00
			}
			switch fate := rng.IntN(40); {
			case fate == 0:
				d.addr = onLane(rng, modbusPoints, laneMute)
			case fate < 4 && falsify && kind != 23: // a read has no echo to falsify
				d.addr = onLane(rng, modbusPoints, laneFalse)
			case fate < 8:
				d.addr += 9000 // beyond every table
			}
			list = append(list, d)
		}
		return list
	}
}

var modbusOutcomes = []ledger.Outcome{ledger.Confirmed, ledger.Refused, ledger.Timeout, ledger.Mismatch}

const (
	noSelection = "no_select, cancelled: Modbus has no selection to miss or to take back"
	noLook      = noSelection + "; mismatch: its client does not look at the address in an answer"
)

// TestLedgerPymodbus holds the ledger against pymodbus. Its client takes an answer about another register for a success:
// what it says is read from its own trace of the PDUs that it sent and received.
func TestLedgerPymodbus(t *testing.T) {
	need.Long(t) // what of it may race, TestLedgerLibmodbus and TestLedgerGoburrow run, too
	python := need.Python(t, "pymodbus")
	p := party{name: "pymodbus", port: 502, plan: planModbus(true), twist: twistModbus, wants: modbusOutcomes, cannot: noSelection,
		act: script(python, "testdata/pymodbus_acts.py")}
	p.hold(t)
}

// TestLedgerLibmodbus holds the ledger against libmodbus.
func TestLedgerLibmodbus(t *testing.T) {
	p := party{name: "libmodbus", port: 502, plan: planModbus(false), twist: twistModbus, wants: modbusOutcomes[:3], cannot: noLook,
		act: script(compileLibmodbus(t, "libmodbus_acts.c"))}
	p.hold(t)
}

// TestLedgerGoburrow holds the ledger against goburrow's client and a server of libmodbus.
func TestLedgerGoburrow(t *testing.T) {
	server := compileLibmodbus(t, "libmodbus_acts.c")
	p := party{name: "goburrow", port: 502, plan: planModbus(true), twist: twistModbus, wants: modbusOutcomes, cannot: noSelection,
		act: func(t *testing.T, deeds []deed, port int, r *relay) error {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			cmd := exec.CommandContext(ctx, server, strconv.Itoa(port), "0", "0")
			pipe, err := cmd.StdoutPipe()
			if err == nil {
				err = cmd.Start()
			}
			if err != nil {
				return err
			}
			if lines := bufio.NewScanner(pipe); !lines.Scan() || lines.Text() != "ready" {
				return fmt.Errorf("the server said %q", lines.Text())
			}
			err = goburrowActs(deeds, r.port())
			cancel()
			cmd.Wait() // it was ended
			return err
		}}
	p.hold(t)
}

// goburrowActs does deeds one after the other.
func goburrowActs(deeds []deed, port int) error {
	handler := modbus.NewTCPClientHandler(net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	handler.SlaveId, handler.Timeout = 1, patience
	defer handler.Close()
	c := modbus.NewClient(handler)
	for i := range deeds {
		d := &deeds[i]
		addr, v := uint16(d.addr), uint16(d.value)
		words := []byte{byte(v >> 8), byte(v), 0, 9}
		var err error
		switch d.kind {
		case 5:
			_, err = c.WriteSingleCoil(addr, v*0xff00)
		case 6:
			_, err = c.WriteSingleRegister(addr, v)
		case 15:
			_, err = c.WriteMultipleCoils(addr, 5, []byte{byte(v)})
		case 16:
			_, err = c.WriteMultipleRegisters(addr, 2, words)
		case 22:
			_, err = c.MaskWriteRegister(addr, 0xff00, v)
		case 23:
			_, err = c.ReadWriteMultipleRegisters(10, 3, addr, 2, words)
		}
		var refused *modbus.ModbusError
		var network net.Error
		switch {
		case err == nil:
			d.outcome = ledger.Confirmed
		case errors.As(err, &refused):
			d.outcome = ledger.Refused
		case errors.As(err, &network) && network.Timeout():
			d.outcome = ledger.Timeout
		case errors.As(err, &network):
			return err
		default:
			d.outcome = ledger.Mismatch // it refuses the answer's content
		}
		if d.outcome == ledger.Timeout || i%3 == 0 {
			if _, err := c.ReadHoldingRegisters(0, 100); err != nil {
				return err
			}
		}
	}
	return nil
}
