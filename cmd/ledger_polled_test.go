package cmd

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/cmd/roje-lab/modbusstation"
	acts "github.com/roje-ot/roje/cmd/roje-lab/script"
	"github.com/roje-ot/roje/cmd/roje-lab/simnet"
	"github.com/roje-ot/roje/cmd/roje-lab/station"
	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/engine"
	"github.com/roje-ot/roje/rules/pack"
	"github.com/roje-ot/roje/sensor"
	"github.com/roje-ot/roje/sensor/ledger"
	"github.com/roje-ot/roje/sensor/ledger/ledgertest"
)

// switched is a lab's Modbus unit whose coil 7 and register 9 are read every ten seconds and written every two minutes, ten
// times. Then something is done to it, and another two minutes go by.
func switched(then func(u *modbusstation.Unit)) *staged {
	unit := &modbusstation.Unit{Coils: make([]bool, 20), Discrete: make([]bool, 20), Holding: make([]uint16, 20), Input: make([]uint16, 20)}
	return stage(1, func(h *simnet.Host) {
		server := &modbusstation.Server{Units: map[byte]*modbusstation.Unit{1: unit}, Clock: h}
		station.Serve(h, "tcp", ":502", server.Serve)
	}, func(h *simnet.Host, server string) []deed {
		conn, err := h.Dial("tcp", server+":502")
		if err != nil {
			panic(err)
		}
		m := modbusstation.NewMaster(conn, h, nil)
		m.To(1)
		must := func(_ []byte, err error) {
			if err != nil {
				panic(err)
			}
		}
		polls := func() {
			for range 12 {
				must(m.ReadCoils(0, 20))
				must(m.ReadHoldingRegisters(0, 20))
				h.Sleep(10 * time.Second)
			}
		}
		for n := range 10 {
			must(m.WriteSingleCoil(7, []uint16{0xff00, 0}[n&1]))
			must(m.WriteSingleRegister(9, uint16(n+1)))
			polls()
		}
		then(unit)
		polls()
		return nil
	})
}

// TestEffectRulesModbus holds that a coil or a register of a station of the lab that changes without a write is told, once,
// and nothing else is; and that nothing is told where packets are lost meanwhile.
func TestEffectRulesModbus(t *testing.T) {
	set, err := pack.Rules(catalog.All)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		then func(u *modbusstation.Unit)
		lose bool
		want []string
	}{
		{"it goes on", func(*modbusstation.Unit) {}, false, nil},
		{"the coil moves by itself", func(u *modbusstation.Unit) { u.Coils[7] = !u.Coils[7] }, false, []string{"binary_out 7"}},
		{"the register moves by itself", func(u *modbusstation.Unit) { u.Holding[9] = 500 }, false, []string{"analog_out 9"}},
		{"both do", func(u *modbusstation.Unit) { u.Coils[7], u.Holding[9] = !u.Coils[7], 500 }, false, []string{"binary_out 7", "analog_out 9"}},
		{"others do", func(u *modbusstation.Unit) { u.Coils[8], u.Holding[10] = !u.Coils[8], 500 }, false, nil},
		{"packets are lost meanwhile", func(u *modbusstation.Unit) { u.Coils[7], u.Holding[9] = !u.Coils[7], 500 }, true, nil},
	} {
		p := switched(c.then)
		var got []string
		judge := engine.New(set, engine.Options{Emit: func(a *rules.Alert) {
			if a.Rule == "V06-effect-without-command" {
				got = append(got, fmt.Sprint(a.Points[0].Kind, " ", a.Points[0].Addr))
				t.Log(a.Title)
			}
		}})
		tap := ledgertest.New(ledger.Config{Tell: judge.Judge}, nil)
		last := p.frames[len(p.frames)-1].At
		for i := range p.frames {
			left := time.Duration(last - p.frames[i].At)
			if c.lose && i%5 == 0 && left > 100*time.Second && left < 200*time.Second { // around the change
				continue
			}
			tap.Packet(&p.frames[i])
		}
		tap.End()
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// TestEffectModbusAct plays the lab's act in which a register moves alone, and the same with the controller writing what
// changes: the first is told once, the second not at all.
func TestEffectModbusAct(t *testing.T) {
	act, ok := acts.Named("modbus-moves-alone")
	if !ok {
		t.Fatal("the lab has no such act")
	}
	dir := t.TempDir()
	for _, c := range []struct {
		act  acts.Act
		want int
	}{{act, 1}, {acts.Commanded, 0}} {
		take := c.act.Take(time.Date(2026, 3, 13, 9, 0, 0, 0, time.UTC))
		if _, err := take.Make(dir, 1); err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(dir, c.act.Name)
		if err := sensor.Replay(t.Context(), sensor.Replaying{Captures: []string{filepath.Join(dir, take.File)}, Alerts: out, Phase: rules.Off, Warn: io.Discard}); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), `"rule":"V06-`); n != c.want {
			t.Errorf("%s: %d alerts, want %d\n%s", c.act.Name, n, c.want, text)
		}
	}
}

// TestEffectModbusRandom holds that of a thousand random writes and reads of the lab, in which the station does what it is
// told and nothing else, no change is nobody's, whatever is lost.
func TestEffectModbusRandom(t *testing.T) {
	p := playModbus(20261121)
	for _, loss := range []float64{0, 0.01, 0.05} {
		alone, rng := 0, rand.New(rand.NewPCG(5, 7))
		for range 5 {
			tap := ledgertest.New(ledger.Config{Tell: func(e *rules.Event) {
				if e.Act.Unasked {
					alone++
				}
			}}, nil)
			for i := range p.frames {
				if rng.Float64() >= loss {
					tap.Packet(&p.frames[i])
				}
			}
			tap.End()
		}
		if alone > 0 {
			t.Errorf("%g %% lost: %d changes are nobody's", 100*loss, alone)
		}
	}
}
