package modbus

import (
	"slices"
	"testing"

	"github.com/roje-ot/roje/protocols"
)

func TestTurns(t *testing.T) {
	poll := func(tid uint16, addr, n byte) segment { return ask(adu(tid, 1, 3, 0, addr, 0, n)...) }
	said := func(tid uint16, words ...byte) segment {
		b := []byte{3, 2 * byte(len(words))}
		for _, w := range words {
			b = append(b, 0, w)
		}
		return tell(adu(tid, 1, b...)...)
	}
	const (
		request  = "> 1 read_holding_registers request"
		response = "< 1 read_holding_registers response"
	)
	for _, c := range []struct {
		name string
		in   []segment
		want []string
	}{
		{"in order", []segment{poll(1, 0, 1), said(1, 5), poll(2, 0, 1), said(2, 5)}, []string{request, response, request, response}},
		{"pipelined, out of order", []segment{poll(1, 0, 1), poll(2, 9, 2), said(2, 5, 6), said(1, 5)}, []string{request, request, response, response}},
		{"twice", []segment{poll(1, 0, 1), said(1, 5), said(1, 5)}, []string{request, response, "< 1 read_holding_registers duplicate"}},
		{"late", []segment{poll(1, 0, 1), poll(2, 0, 1), said(2, 5), said(1, 5)}, []string{request, request, response, "< 1 read_holding_registers late"}},
		{"the same identifier always", []segment{poll(0, 0, 1), said(0, 5), poll(0, 4, 2), said(0, 5, 6)}, []string{request, response, request, response}},
		{"the same identifier, an answer lost", []segment{poll(0, 0, 1), poll(0, 4, 2), said(0, 5, 6)}, []string{request, request, response}},
		{"a gateway's own identifiers", []segment{poll(1, 0, 1), poll(2, 9, 2), said(70, 5), said(71, 5, 6)}, []string{request, request, response, response}},
		{"nobody asked", []segment{said(1, 5)}, []string{"< 1 read_holding_registers unpaired"}},
		{"another unit", []segment{poll(1, 0, 1), tell(adu(1, 2, 3, 2, 0, 5)...)}, []string{request, "< 2 read_holding_registers unpaired"}},
		{"another function", []segment{poll(1, 0, 1), tell(adu(1, 1, 4, 2, 0, 5)...)}, []string{request, "< 1 read_input_registers unpaired"}},
		{"another length", []segment{poll(1, 0, 1), said(1, 5, 6)}, []string{request, response + " FAULT=mismatch"}},
		{"an echo that is none", []segment{ask(adu(1, 1, 6, 0, 1, 0, 2)...), tell(adu(1, 1, 6, 0, 1, 0, 3)...)},
			[]string{"> 1 write_single_register request", "< 1 write_single_register response FAULT=mismatch"}},
		{"an exception", []segment{poll(1, 0, 1), tell(adu(1, 1, 0x83, 2)...)}, []string{request, response + " illegal data address"}},
		{"a broadcast write", []segment{ask(adu(1, 0, 6, 0, 1, 0, 2)...)}, []string{"> 0 write_single_register "}},
		{"unit 0 is the device", []segment{ask(adu(1, 0, 6, 0, 1, 0, 2)...), tell(adu(1, 0, 6, 0, 1, 0, 2)...), ask(adu(2, 0, 6, 0, 1, 0, 2)...)},
			[]string{"> 0 write_single_register ", "< 0 write_single_register response", "> 0 write_single_register request"}},
		{"no order behind a hole", []segment{poll(1, 0, 1), {dir: fromServer, lost: true, b: said(9, 5).b}},
			[]string{request, "< 1 read_holding_registers unpaired"}},
		{"identifiers hold behind a hole", []segment{poll(1, 0, 1), {dir: fromServer, lost: true, b: said(1, 5).b}}, []string{request, response}},
	} {
		t.Run(c.name, func(t *testing.T) { equal(t, names(t, ports, c.in...), c.want) })
	}
}

// TestAddressesComeFromTheRequest: values get the addresses of the request that they answer, whatever the order.
func TestAddressesComeFromTheRequest(t *testing.T) {
	var got []uint32
	var rtt []int64
	l := newLine(t, ports, func(m *protocols.Message) {
		if m.From == protocols.Server {
			rtt = append(rtt, m.RTT)
			for i := range m.Points {
				got = append(got, m.Points[i].Addr)
			}
		}
	})
	l.feed(ask(adu(1, 1, 3, 0, 10, 0, 2)...), ask(adu(2, 1, 3, 0, 20, 0, 2)...),
		tell(adu(2, 1, 3, 4, 0, 1, 0, 2)...), tell(adu(1, 1, 3, 4, 0, 1, 0, 2)...))
	if want := []uint32{20, 21, 10, 11}; !slices.Equal(got, want) {
		t.Errorf("addresses %d, want %d", got, want)
	}
	if want := []int64{1e6, 3e6}; !slices.Equal(rtt, want) {
		t.Errorf("response times %d, want %d", rtt, want)
	}
}

// TestPairingIsBounded: requests that nobody answers take no more room than the table has.
func TestPairingIsBounded(t *testing.T) {
	l := newLine(t, ports, func(*protocols.Message) {})
	for tid := range uint16(500) {
		l.feed(ask(adu(tid, byte(tid), 3, 0, 0, 0, 1)...))
	}
	if n := len(l.d.(*decoder).turns.all); n != mostTurns {
		t.Errorf("%d exchanges are kept, want %d", n, mostTurns)
	}
}
