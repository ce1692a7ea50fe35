package modbus

import (
	"testing"

	"github.com/roje-ot/roje/protocols"
)

func TestRoles(t *testing.T) {
	unknown := protocols.Hint{}
	poll, said := adu(1, 1, 3, 0, 0, 0, 1), adu(1, 1, 3, 2, 0, 9)
	write := adu(2, 1, 6, 0, 1, 0, 2)
	reversed := func(in []segment) (out []segment) {
		for _, s := range in {
			s.dir = s.dir.Other()
			out = append(out, s)
		}
		return out
	}
	for _, c := range []struct {
		name string
		in   []segment
		want []string
	}{
		{"a request", []segment{ask(poll...), tell(said...)},
			[]string{"> 1 read_holding_registers request", "< 1 read_holding_registers response"}},
		{"responses alone", []segment{tell(said...), tell(said...)},
			[]string{"< 1 read_holding_registers unpaired", "< 1 read_holding_registers unpaired"}},
		{"an exception first", []segment{tell(adu(1, 1, 0x83, 2)...), ask(poll...)},
			[]string{"< 1 read_holding_registers unpaired illegal data address", "> 1 read_holding_registers request"}},
		{"an echo", []segment{ask(write...), tell(write...), ask(write...)},
			[]string{"> 1 write_single_register request", "< 1 write_single_register response", "> 1 write_single_register request"}},
		{"a write, then what tells", []segment{ask(write...), tell(write...), ask(poll...), tell(write...)},
			[]string{"> 1 write_single_register request", "< 1 write_single_register response", "> 1 read_holding_registers request",
				"< 1 write_single_register duplicate"}},
		{"rtu", []segment{ask(serialRTU(1, 3, 0, 9, 0, 1)...), tell(serialRTU(1, 3, 2, 0, 9)...)},
			[]string{"> 1 read_holding_registers request", "< 1 read_holding_registers response"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			equal(t, names(t, unknown, c.in...), c.want)
			equal(t, names(t, unknown, reversed(c.in)...), c.want)
			equal(t, names(t, ports, c.in...), c.want)
		})
	}
}

// TestRolesOverruleTheHint: a gateway that calls its master is still the server; but one end alone cannot turn the roles.
func TestRolesOverruleTheHint(t *testing.T) {
	wrong := protocols.Hint{Server: fromClient, Known: true}
	var both, one []segment
	for tid := range uint16(4) {
		both = append(both, ask(adu(tid, 1, 3, 0, 0, 0, 1)...), tell(adu(tid, 1, 3, 2, 0, 9)...))
		one = append(one, ask(adu(tid, 1, 3, 2, 0, 9)...), tell(adu(tid, 1, 6, 0, 1, 0, 1)...))
	}
	got := names(t, wrong, both...)
	equal(t, got[len(got)-2:], []string{"> 1 read_holding_registers request", "< 1 read_holding_registers response"})
	for _, s := range names(t, ports, one...) {
		if s[0] != '>' && s[0] != '<' || s[0] == '<' && s != "< 1 write_single_register unpaired" {
			t.Errorf("the roles have turned: %s", s)
		}
	}
}
