package script

import (
	"maps"
	"math"
	"slices"
	"time"

	"github.com/roje-ot/roje/cmd/roje-lab/modbusstation"
)

// Registers of the telecom site's devices.
const (
	floatVoltage = 4 // holding, 10 mV
	currentLimit = 5
	coolingGoal  = 2 // holding, 0.1 °C
	runGenset    = 0 // coil
	breakerLoad  = 3 // coil: load disconnect
)

// device is a Modbus unit with measured values that move.
func device(id string, identity []string, inputs []func(time.Time) float64) *modbusstation.Unit {
	u := &modbusstation.Unit{
		Coils: make([]bool, 16), Discrete: make([]bool, 32), Holding: make([]uint16, 64), Input: make([]uint16, 40),
		ServerID: id, Identity: identity, Records: make([]uint16, 64), FIFO: []uint16{7, 11, 13}, Project: "SITE5_V12",
	}
	for i := range u.Holding {
		u.Holding[i] = uint16(100 + 3*i)
	}
	for i := range u.Records {
		u.Records[i] = uint16(i * i)
	}
	u.Holding[floatVoltage], u.Holding[currentLimit], u.Holding[coolingGoal] = 5400, 600, 240
	u.Refresh = func(t time.Time) {
		for i, f := range inputs {
			u.Input[i] = uint16(math.Round(f(t)))
		}
		u.Discrete[1] = u.Coils[runGenset]
		u.Holding[10] = u.Input[0]
	}
	return u
}

// identity is what device identification reads, in the order of its objects.
func identity(product string) []string {
	return []string{"Example Power", product, "V2.11", "https://power.example", product, "Telecom site 5", "Cabinet A"}
}

// devices of the site by host: units behind one address.
func devices() map[string]map[byte]*modbusstation.Unit {
	rectifier := func(salt uint64) *modbusstation.Unit {
		return device("RX48-"+string(rune('A'+salt)), identity("RX48 rectifier"), []func(time.Time) float64{
			wave(5400, 6, 20*time.Minute, salt), wave(310, 45, 6*time.Hour, salt+1), wave(390, 30, 24*time.Hour, salt+2),
		})
	}
	cell := func(salt uint64) *modbusstation.Unit {
		return device("BM12", identity("BM12 battery monitor"), []func(time.Time) float64{
			wave(1350, 2, 2*time.Hour, salt), wave(245, 8, 24*time.Hour, salt+1),
		})
	}
	return map[string]map[byte]*modbusstation.Unit{
		"rect-1":  {1: rectifier(0)},
		"rect-2":  {1: rectifier(7)},
		"genset":  {1: device("GC300", identity("GC300 genset controller"), []func(time.Time) float64{wave(264, 3, time.Hour, 21), climb(6, 900), wave(180, 12, 9*time.Hour, 22)})},
		"cooling": {1: device("AC7", identity("AC7 cooling controller"), []func(time.Time) float64{wave(243, 9, 40*time.Minute, 31), wave(61, 5, 8*time.Hour, 32)})},
		"battery": {1: cell(41), 2: cell(42), 3: cell(43)},
	}
}

// site makes the devices answer.
func (s *Stage) site() {
	all := devices()
	s.units = all
	for _, host := range slices.Sorted(maps.Keys(all)) {
		server := &modbusstation.Server{Units: all[host], Clock: s.host(host), Tally: s.Tally}
		s.serve(host, "tcp", ":502", server.Serve)
	}
}
