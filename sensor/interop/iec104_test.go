package interop

import (
	"math"
	"sort"
	"testing"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/testdata/need"
)

// TestLib60870 compares what a client and a server of lib60870 say, of each APDU and each value, with ours: all
// monitored types that the stack has, with every quality and times of their own; all commands, direct and selected,
// granted and refused; interrogations, clock, tests, reads; link tests, stop and start.
func TestLib60870(t *testing.T) {
	python := need.Python(t, "c104")
	s := stack{name: "lib60870", port: 2404, argv: []string{python, "testdata/c104_peer.py"}, least: 15000,
		ours: func() views {
			return views{
				"client.apdu": apduRecord, "server.apdu": apduRecord,
				"client.points": monitoredRecords, "server.commands": (&commands{map[uint32]bool{}}).record,
				"server.clock": clockRecord, "client.initialized": initializedRecord,
			}
		}}
	s.run(t)
}

// apduRecord says the header of an APDU.
func apduRecord(s *said) []record {
	r := record{"from": s.from}
	for _, name := range []string{"apci", "ns", "nr", "u", "type", "cot", "pn", "test", "n", "sq", "ca", "oa", "ioa"} {
		if v, ok := s.field[name]; ok {
			r[name] = v
		}
	}
	return []record{r}
}

// monitoredRecords says each value of an ASDU in monitor direction.
func monitoredRecords(s *said) []record {
	if s.from != "server" || s.code < 1 || s.code > 40 {
		return nil
	}
	var list []record
	for i := range s.points {
		r := s.content(i)
		r["type"], r["cot"], r["ca"], r["ioa"] = s.code, s.num("cot"), s.num("ca"), s.points[i].Addr
		list = append(list, r)
	}
	return list
}

// lib60870Quality is how the stack calls quality bits; its step positions have the transient state beside them. Its
// Python side has the names of two bits of counters exchanged: what it calls Carry is 0x40. That is CA in 7.2.6.9, for
// tshark, and for lib60870's own BinaryCounterReading_isAdjusted.
var lib60870Quality = map[protocols.Quality]string{
	protocols.Overflow: "Overflow", protocols.Blocked: "Blocked", protocols.Substituted: "Substituted", protocols.NotTopical: "NonTopical",
	protocols.Invalid: "Invalid", protocols.ElapsedInvalid: "ElapsedTimeInvalid", protocols.CarryOver: "Adjusted", protocols.Adjusted: "Carry",
}

// beside is the fields of ours that list one number a point, and how the script calls them.
var beside = map[string]string{"counter_seq": "seq", "elapsed_ms": "ms", "changed": "changed"}

// content says value, quality and time of a point, and what its type has beside them.
func (s *said) content(i int) record {
	p := &s.points[i]
	r := record{"value": p.Value}
	if isNormalized(s.code) {
		r["value"] = lib60870Normalized(p.Value)
	}
	if p.Has&protocols.HasTime != 0 {
		r["time"] = p.Time / 1e6
	}
	if s.code < 45 {
		names := []string{}
		left := p.Quality &^ protocols.Transient
		for bit, name := range lib60870Quality {
			if p.Quality&bit != 0 {
				names = append(names, name)
				left &^= bit
			}
		}
		if left != 0 {
			names = append(names, left.String()) // a bit that the stack has no name for: a difference
		}
		sort.Strings(names)
		r["quality"] = names
	}
	if s.code == 5 || s.code == 32 {
		r["transient"] = 0
		if p.Quality&protocols.Transient != 0 {
			r["transient"] = 1
		}
	}
	for from, to := range beside {
		if list, ok := s.field[from].([]any); ok {
			r[to] = list[i]
		}
	}
	return r
}

func isNormalized(code int) bool {
	switch code {
	case 9, 21, 34, 48, 61:
		return true
	}
	return false
}

// lib60870Normalized is how lib60870 shows a normalised value.
func lib60870Normalized(v float64) float64 { return float64(float32(math.Round(v*32768) / 32768)) }

// commands says each command as it reached the server's application.
type commands struct {
	selected map[uint32]bool // addresses
}

// record leaves out selections, which lib60870 does not pass on, and executions that are refused after a selection: the
// late termination of one can end the next selection, and then the server refuses by itself. The headers of all of them
// are compared.
func (c *commands) record(s *said) []record {
	if s.from != "client" || s.code < 45 || s.code > 64 || len(s.points) != 1 {
		return nil
	}
	addr := s.points[0].Addr
	if s.field["select"] == true {
		c.selected[addr] = true
		return nil
	}
	if refused := addr%10 == 9; refused && c.selected[addr] {
		return nil
	}
	r := s.content(0)
	r["type"], r["ca"], r["oa"], r["ioa"], r["select"] = s.code, s.num("ca"), s.num("oa"), addr, false
	if q, ok := s.field["qualifier"]; ok {
		r["qualifier"] = q
	}
	return []record{r}
}

func clockRecord(s *said) []record {
	if s.from != "client" || s.name != "C_CS_NA_1" {
		return nil
	}
	return []record{{"time": s.points[0].Time / 1e6}}
}

func initializedRecord(s *said) []record {
	if s.name != "M_EI_NA_1" {
		return nil
	}
	return []record{{"ca": s.num("ca"), "coi": s.num("qualifier")}}
}
