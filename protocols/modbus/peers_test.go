package modbus

import (
	"slices"
	"testing"

	"github.com/roje-ot/roje/protocols"
)

// TestPeerDefect07: pending requests keyed by transaction identifier alone mix up units behind one gateway, and are
// lost when another connection closes. Here units with the same identifier are told apart, and connections share nothing.
func TestPeerDefect07(t *testing.T) {
	var addrs []uint32
	one := newLine(t, ports, func(m *protocols.Message) {
		if m.From == protocols.Server {
			if m.Turn != protocols.Response || m.Faults != 0 {
				t.Errorf("%s", m.AppendText(nil))
			}
			for i := range m.Points {
				addrs = append(addrs, m.Points[i].Addr)
			}
		}
	})
	other := newLine(t, ports, func(*protocols.Message) {})
	one.feed(ask(adu(1, 1, 3, 0, 10, 0, 1)...), ask(adu(1, 2, 3, 0, 20, 0, 1)...), ask(adu(1, 3, 3, 0, 30, 0, 1)...))
	other.feed(ask(adu(1, 1, 3, 0, 99, 0, 1)...))
	other.end()
	one.feed(tell(adu(1, 3, 3, 2, 0, 3)...), tell(adu(1, 1, 3, 2, 0, 1)...), tell(adu(1, 2, 3, 2, 0, 2)...))
	one.end()
	if want := []uint32{30, 10, 20}; !slices.Equal(addrs, want) {
		t.Errorf("addresses %d, want %d", addrs, want)
	}
}

// TestPeerDefect08: a sub-response's length of function 20 counts the reference type, so that taking as many bytes of
// data loses step in replies of several records; functions 7, 11, 12 and 17 are not decoded at all. The reply is
// the specification's own example of two records.
func TestPeerDefect08(t *testing.T) {
	var values []float64
	l := newLine(t, ports, func(m *protocols.Message) {
		if m.Faults != 0 {
			t.Errorf("%s", m.AppendText(nil))
		}
		for i := range m.Points {
			if m.Points[i].Has&protocols.HasValue != 0 {
				values = append(values, m.Points[i].Value)
			}
		}
	})
	l.feed(ask(adu(1, 1, 20, 14, 6, 0, 4, 0, 1, 0, 2, 6, 0, 3, 0, 9, 0, 2)...),
		tell(adu(1, 1, 20, 12, 5, 6, 0x0d, 0xfe, 0, 0x20, 5, 6, 0x33, 0xcd, 0, 0x40)...))
	l.end()
	if want := []float64{0x0dfe, 0x20, 0x33cd, 0x40}; !slices.Equal(values, want) {
		t.Errorf("values %v, want %v", values, want)
	}
	for _, fc := range []byte{7, 11, 12, 17} {
		if rows[fc].response == nil {
			t.Errorf("function %d is not decoded", fc)
		}
	}
}

// TestCoilCountIsNotRegisterCount: the byte count of coils is an eighth of the quantity, that of registers twice it. Peers
// that use one for the other raise false alarms on legal answers.
func TestCoilCountIsNotRegisterCount(t *testing.T) {
	for q := 1; q <= mostBits; q++ {
		n := (q + 7) / 8
		for _, fc := range []byte{readCoils, readDiscreteInputs} {
			var faults protocols.Faults
			l := newLine(t, ports, func(m *protocols.Message) { faults |= m.Faults })
			l.feed(ask(adu(1, 1, fc, 0, 0, byte(q>>8), byte(q))...), tell(adu(1, 1, join([]byte{fc, byte(n)}, zeros(n))...)...))
			if faults != 0 {
				t.Fatalf("function %d, %d bits in %d bytes: %v", fc, q, n, faults)
			}
		}
	}
	for q := 1; q <= mostRegisters; q++ {
		var faults protocols.Faults
		l := newLine(t, ports, func(m *protocols.Message) { faults |= m.Faults })
		l.feed(ask(adu(1, 1, 3, 0, 0, 0, byte(q))...), tell(adu(1, 1, join([]byte{3, byte(2 * q)}, zeros(2*q))...)...))
		if faults != 0 {
			t.Fatalf("%d registers: %v", q, faults)
		}
	}
}

// TestPeerDefect14: one odd MBAP header unregisters the parser of a connection. Here what follows it is decoded, wherever
// the odd one stands and whatever is odd.
func TestPeerDefect14(t *testing.T) {
	good := adu(1, 1, 3, 0, 10, 0, 1)
	for _, odd := range [][]byte{
		{0, 2, 0, 9, 0, 6, 1, 3, 0, 0, 0, 1},       // another protocol identifier
		{0, 2, 0, 0, 0, 1, 1},                      // a length that leaves no room for a function
		{0, 2, 0, 0, 0xff, 0xff, 1, 3, 0, 0, 0, 1}, // a length that is impossible
		{0, 2, 0, 0, 0, 6, 1, 0, 0, 0, 0, 1},       // function 0
	} {
		for before := range 3 {
			reads := 0
			l := newLine(t, ports, func(m *protocols.Message) {
				if m.Code == 3 && m.Faults == 0 {
					reads++
				}
			})
			for range before {
				l.feed(ask(good...))
			}
			l.feed(ask(odd...), ask(good...), ask(good...), ask(good...))
			l.end()
			if want := before + 3; reads != want {
				t.Errorf("% x behind %d requests: %d requests decoded, want %d", odd, before, reads, want)
			}
		}
	}
}
