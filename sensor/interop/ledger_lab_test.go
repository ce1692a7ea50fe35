package interop

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/roje-ot/roje/cmd/roje-lab/dnp3station"
	"github.com/roje-ot/roje/sensor/ledger"
	"github.com/roje-ot/roje/testdata/need"
)

// wall is the time that the lab's masters live in here.
type wall struct{}

func (wall) Now() time.Time        { return time.Now() }
func (wall) Sleep(d time.Duration) { time.Sleep(d) }

// alone starts the server of a script and gives its relay to master, which returns when it is done.
func alone(argv []string, port int, r *relay, t *testing.T, master func(conn net.Conn) error) error {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], append(argv[1:], strconv.Itoa(port), "0", "0")...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	input, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	output, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(output)
	if !lines.Scan() || lines.Text() != "ready" {
		return fmt.Errorf("the server said %q\n%w\n%s", lines.Text(), cmd.Wait(), &stderr)
	}
	conn, err := dial(net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), r)
	if err != nil {
		return err
	}
	err = errors.Join(master(conn), conn.Close(), input.Close())
	_, drained := io.Copy(io.Discard, output)
	return errors.Join(err, drained, cmd.Wait())
}

// dial calls server by way of r, as soon as it listens.
func dial(server string, r *relay) (net.Conn, error) {
	for tries := 0; ; tries++ {
		probe, err := net.Dial("tcp4", server)
		if err == nil {
			probe.Close()
			return net.Dial("tcp4", r.listener.Addr().String())
		}
		if tries == 600 {
			return nil, err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// Fates of a deed that only the lab's master can be asked for. They are told by the point's address, as lanes are, and
// stand for themselves in deed.fate.
const (
	fateBare    = iota + 1 // execute without select
	fateOther              // select, then execute something else
	fateCancel             // select, then take it back
	fateExpire             // select, wait until the station has forgotten it, then execute
	fateAbandon            // select, and nothing more
	fateMute               // a request that no station answers
)

// planDNP3Fates makes n controls, many of which opendnp3's own master cannot be asked for.
func planDNP3Fates(rng *rand.Rand, n int) (list []deed) {
	for range n {
		d := control(rng)
		d.fate = []int{0, 0, 0, 0, fateBare, fateBare, fateOther, fateCancel, fateCancel, fateMute}[rng.IntN(10)]
		switch rng.IntN(40) {
		case 0:
			d.addr = onLane(rng, dnp3Points, laneDeny)
		case 1:
			d.fate = fateExpire
		case 2:
			d.fate = fateAbandon
		case 3:
			d.fate, d.addr = 0, onLane(rng, dnp3Points, laneMute)
		case 4:
			d.fate, d.addr = 0, onLane(rng, dnp3Points, laneFalse)
		}
		switch d.fate {
		case 0:
		case fateMute:
			d.model = ledger.Direct
		default:
			d.model = ledger.Select
		}
		list = append(list, d)
	}
	return list
}

// TestLedgerOpenDNP3Outstation holds the ledger against an outstation of opendnp3, whose master is the lab's. What
// became of a control is read from the status that the outstation gave back.
func TestLedgerOpenDNP3Outstation(t *testing.T) {
	need.Long(t) // what of it may race, TestLedgerLibmodbus and TestLedgerGoburrow run, too
	python := need.Python(t, "opendnp3")
	p := party{name: "opendnp3's outstation", port: 20000, plan: planDNP3Fates, twist: twistDNP3,
		wants: ledger.Outcomes,
		act: func(t *testing.T, deeds []deed, port int, r *relay) error {
			return alone([]string{python, "testdata/opendnp3_acts.py"}, port, r, t, func(conn net.Conn) error {
				m := dnp3station.NewSession(conn, wall{}, nil, 1, 10)
				m.Timeout = patience
				if err := m.StartQuiet(); err != nil {
					return err
				}
				for i := range deeds {
					if err := dnp3Act(m, &deeds[i]); err != nil {
						return fmt.Errorf("%v: %w", &deeds[i], err)
					}
					if _, err := m.Events(); err != nil {
						return err
					}
				}
				return nil
			})
		}}
	p.hold(t)
}

func ended(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// dnp3Object encodes the control of d's kind at an index.
func dnp3Object(d *deed, index int) dnp3station.Objects {
	v := int(d.value)
	if d.kind == 41 {
		return dnp3station.At(41, 2, byte(index), byte(v), byte(v>>8), 0)
	}
	code := byte(dnp3station.LatchOn)
	if v == 0 {
		code = dnp3station.LatchOff
	}
	return dnp3station.At(12, 1, byte(index), dnp3station.CROB(code, 1, 0, 0)...)
}

// dnp3Says is what the answer to the control of d at index says.
func dnp3Says(a dnp3station.Answer, err error, index int) (ledger.Outcome, error) {
	switch {
	case ended(err):
		return ledger.Timeout, nil
	case err != nil:
		return "", err
	case len(a.Objects) < 6:
		return ledger.Refused, nil // by the indications
	case int(a.Objects[4]) != index:
		return ledger.Mismatch, nil
	}
	switch a.Objects[len(a.Objects)-1] {
	case 0:
		return ledger.Confirmed, nil
	case 1:
		return ledger.Timeout, nil
	case 2:
		return ledger.NoSelect, nil
	}
	return ledger.Refused, nil
}

func dnp3Act(m *dnp3station.Session, d *deed) (err error) {
	o := dnp3Object(d, d.addr)
	if d.model == ledger.Select && d.fate != fateBare {
		a, err := m.Ask(dnp3station.Select, o)
		if d.outcome, err = dnp3Says(a, err, d.addr); err != nil || d.outcome != ledger.Confirmed {
			return err
		}
	}
	index, fc := d.addr, byte(dnp3station.Operate)
	switch d.fate {
	case fateMute:
		d.outcome = ledger.UnknownGap // no station answers it
		return m.Tell(dnp3station.DirectOperateNR, o)
	case fateCancel:
		d.outcome = ledger.Cancelled // IEEE 1815 4.4.3: any other request ends the select
		return nil
	case fateAbandon:
		time.Sleep(patience)
		d.outcome = ledger.Timeout // neither executed nor ended in the time that a master has
		return nil
	case fateExpire:
		time.Sleep(800 * time.Millisecond) // twice what the outstation holds a selection
	case fateOther:
		index = (index + dnp3Points/2) % dnp3Points // on the same lane
	case 0:
		if d.model == ledger.Direct {
			fc = dnp3station.DirectOperate
		}
	}
	a, err := m.Ask(fc, dnp3Object(d, index))
	if d.outcome, err = dnp3Says(a, err, index); d.fate == fateOther && d.outcome == ledger.NoSelect {
		d.outcome = ledger.Mismatch // the station has no word of its own for it
	}
	return err
}
