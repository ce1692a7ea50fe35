package modbus

import (
	"bytes"
	"testing"

	"github.com/roje-ot/roje/protocols"
)

// join puts segments of bytes together.
func join(list ...[]byte) []byte { return bytes.Join(list, nil) }

func TestFramings(t *testing.T) {
	poll := []byte{3, 0, 0x6b, 0, 1}
	said := []byte{3, 2, 2, 0x2b}
	pair := []string{"> 17 read_holding_registers request", "< 17 read_holding_registers response"}
	for _, c := range []struct {
		name string
		hint protocols.Hint
		in   []segment
		want []string
	}{
		{"mbap", ports, []segment{ask(adu(1, 17, poll...)...), tell(adu(1, 17, said...)...)}, pair},
		{"rtu", ports, []segment{ask(serialRTU(17, poll...)...), tell(serialRTU(17, said...)...)}, pair},
		{"ascii", ports, []segment{ask(serialASCII(17, poll...)...), tell(serialASCII(17, said...)...)}, pair},
		{"mbap, two in one segment", ports, []segment{ask(join(adu(1, 17, poll...), adu(2, 17, poll...))...)},
			[]string{pair[0], pair[0]}},
		{"rtu, two in one segment", ports, []segment{ask(join(serialRTU(17, poll...), serialRTU(17, poll...))...)},
			[]string{pair[0], pair[0]}},
		{"rtu exception", ports, []segment{ask(serialRTU(17, poll...)...), tell(serialRTU(17, 0x83, 2)...)},
			[]string{pair[0], "< 17 read_holding_registers response illegal data address"}},
		{"rtu, wrong checksum between right ones", ports,
			[]segment{ask(serialRTU(17, poll...)...), ask(17, 3, 0, 0, 0, 1, 0xde, 0xad), ask(serialRTU(17, poll...)...)},
			[]string{pair[0], "> 17 read_holding_registers request FAULT=bad_checksum", pair[0]}},
		{"rtu, a function without a length of its own", ports,
			[]segment{ask(serialRTU(17, poll...)...), ask(serialRTU(17, 90, 0, 4, 1, 2, 3)...), ask(serialRTU(17, poll...)...)},
			[]string{pair[0], "> 17 umas request", pair[0]}},
		{"rtu broadcast", ports, []segment{ask(serialRTU(17, poll...)...), ask(serialRTU(0, 6, 0, 1, 0, 2)...)},
			[]string{pair[0], "> 0 write_single_register "}},
		{"rtu, address 0 and an MBAP header's looks", ports, []segment{ask(serialRTU(1, 3, 0, 0, 0, 6)...), ask(serialRTU(1, 3, 0, 0, 0, 6)...)},
			[]string{"> 1 read_holding_registers request", "> 1 read_holding_registers request"}},
		{"rtu, noise before two frames", ports, []segment{ask(join([]byte{0xff, 0xfe, 9}, serialRTU(17, poll...), serialRTU(17, poll...))...)},
			[]string{pair[0], pair[0]}},
		{"ascii, wrong LRC between right ones", ports,
			[]segment{ask(serialASCII(17, poll...)...), ask([]byte(":110300000001FF\r\n")...), ask(serialASCII(17, poll...)...)},
			[]string{pair[0], "> 17 read_holding_registers request FAULT=bad_checksum", pair[0]}},
		{"ascii, noise between frames", ports,
			[]segment{ask(serialASCII(17, poll...)...), ask([]byte("~:12~")...), ask(serialASCII(17, poll...)...)},
			[]string{pair[0], pair[0]}},
		{"ascii, another delimiter", ports, // as pymodbus changes it: the answer ends in it already
			[]segment{ask(serialASCII(17, 8, 0, 3, 0x3b, 0)...), tell(delimited(17, ';', 8, 0, 3, 0x3b, 0)...), ask(delimited(17, ';', poll...)...), tell(serialASCII(17, said...)...)},
			[]string{"> 17 diagnostics request", "< 17 diagnostics response", pair[0], pair[1]}},
		{"ascii in small letters", ports, []segment{ask(bytes.ToLower(serialASCII(17, poll...))...)}, pair[:1]},
		{"mbap over UDP", protocols.Hint{Server: fromServer, Known: true, Datagram: true},
			[]segment{ask(adu(1, 17, poll...)...), tell(adu(1, 17, said...)...)}, pair},
		{"a datagram of two", protocols.Hint{Server: fromServer, Known: true, Datagram: true},
			[]segment{ask(join(adu(1, 17, poll...), adu(2, 17, poll...))...)}, []string{pair[0], pair[0]}},
		{"a datagram cut short carries nothing over", protocols.Hint{Server: fromServer, Known: true, Datagram: true},
			[]segment{ask(adu(1, 17, poll...)[:10]...), ask(adu(2, 17, poll...)...)},
			[]string{"> 17 read_holding_registers request FAULT=short", pair[0]}},
		{"the end cuts a frame", ports, []segment{ask(adu(1, 17, poll...)...), ask(adu(2, 17, poll...)[:9]...)},
			[]string{pair[0], "> 17 read_holding_registers request FAULT=short"}},
		{"protocol identifier in step", ports,
			[]segment{ask(adu(1, 17, poll...)...), ask(0, 2, 0, 1, 0, 6, 17, 3, 0, 0, 0, 1), ask(adu(3, 17, poll...)...)},
			[]string{pair[0], "> 17 read_holding_registers request FAULT=bad_header", pair[0]}},
		{"impossible length, then good ones", ports,
			[]segment{ask(adu(1, 17, poll...)...), ask(0, 2, 0, 0, 0x88, 4, 5, 7, 8), ask(adu(3, 17, poll...)...), ask(adu(4, 17, poll...)...)},
			[]string{pair[0], pair[0], pair[0]}},
		{"a function code by itself", ports, []segment{ask(adu(1, 17, 99)...), tell(adu(1, 17, 99|0x80, 1)...)},
			[]string{"> 17 unknown request FAULT=bad_code", "< 17 unknown response illegal function FAULT=bad_code"}},
		{"UMAS, longer than a Modbus PDU", ports, []segment{ask(adu(1, 17, append([]byte{90, 1, 0x34}, make([]byte, 900)...)...)...)},
			[]string{"> 17 umas request"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			equal(t, names(t, c.hint, c.in...), c.want)
			if !c.hint.Datagram {
				equal(t, names(t, c.hint, inBytes(c.in)...), c.want)
			}
		})
	}
}

// inBytes cuts segments into single bytes.
func inBytes(in []segment) (out []segment) {
	for _, s := range in {
		for i := range s.b {
			out = append(out, segment{dir: s.dir, lost: s.lost && i == 0, b: s.b[i : i+1]})
		}
	}
	return out
}

// foreign are conversations of other protocols, as they could stand on port 502.
var foreign = map[string][]byte{
	"http":        []byte("GET / HTTP/1.1\r\nHost: 10.0.0.1:502\r\nAccept: */*\r\n\r\n"),
	"http answer": []byte("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nHello world\n"),
	"tls hello":   join([]byte{0x16, 3, 1, 0, 0x85, 1, 0, 0, 0x81, 3, 3}, bytes.Repeat([]byte{0x73, 0x6f, 0xf8}, 40)),
	"ssh":         []byte("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"),
	"s7":          {3, 0, 0, 22, 17, 0xe0, 0, 0, 0, 1, 0, 0xc1, 2, 1, 0, 0xc2, 2, 1, 2, 0xc0, 1, 9},
	"enip":        {0x65, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0},
	"rpc":         {0x80, 0, 0, 0x28, 0x7e, 0x86, 0xab, 0x4a, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0x86, 0xa3, 0, 0, 0, 3, 0, 0, 0, 0},
	"rdp":         join([]byte{3, 0, 0, 0x2b, 0x26, 0xe0, 0, 0, 0, 0, 0}, []byte("Cookie: mstshash=admin\r\n"), []byte{1, 0, 8, 0, 1, 0, 0, 0}),
	"iec104":      {0x68, 4, 7, 0, 0, 0, 0x68, 4, 0x0b, 0, 0, 0},
	"dnp3":        {5, 0x64, 5, 0xc0, 1, 0, 0, 4, 0xe9, 0x21},
	"zeroes":      make([]byte, 700),
	"one ADU":     adu(1, 1, 3, 0, 0, 0, 1),
	"garbage":     join([]byte("MGLNDD_160.97.30.36_502\n"), []byte{1, 2, 3, 4, 5, 6, 7, 8}),
}

func TestForeignYieldsNothing(t *testing.T) {
	for name, b := range foreign {
		if name == "one ADU" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			l := newLine(t, ports, func(m *protocols.Message) { t.Errorf("a message: %s", m.AppendText(nil)) })
			l.feed(ask(b...), tell(b...))
			l.end()
			if l.skip != 2*len(b) {
				t.Errorf("skipped %d of %d bytes", l.skip, 2*len(b))
			}
		})
	}
}

// TestModbusBehindForeign: nothing makes the decoder give a connection up.
func TestModbusBehindForeign(t *testing.T) {
	poll := adu(7, 1, 3, 0, 0, 0, 1)
	for name, b := range foreign {
		t.Run(name, func(t *testing.T) {
			got := names(t, ports, ask(b...), ask(poll...), ask(poll...), ask(poll...))
			if len(got) < 3 {
				t.Errorf("of three polls behind it: %q", got)
			}
		})
	}
}

func TestProbe(t *testing.T) {
	poll, said := adu(1, 1, 3, 0, 0, 0, 1), adu(1, 1, 3, 2, 0, 9)
	two := func(b []byte) []byte { return join(b, b) }
	for _, c := range []struct {
		name string
		b    []byte
		last bool
		want protocols.Guess
	}{
		{"nothing yet", nil, false, protocols.Maybe},
		{"nothing at all", nil, true, protocols.No},
		{"one request", poll, false, protocols.Maybe},
		{"one request and no more", poll, true, protocols.No},
		{"two requests", two(poll), false, protocols.Yes},
		{"two responses", two(said), false, protocols.Yes},
		{"a request and a response", join(poll, said), false, protocols.No},
		{"two and a part", join(two(poll), poll[:3]), true, protocols.Yes},
		{"a part of the second", join(poll, poll[:9]), false, protocols.Maybe},
		{"a length that its content contradicts", two(adu(1, 1, 3, 0, 0, 0, 1, 0)), false, protocols.No},
		{"rtu", two(serialRTU(1, 3, 0, 9, 0, 1)), false, protocols.Yes},
		{"one rtu frame", serialRTU(1, 3, 0, 9, 0, 1), false, protocols.Maybe},
		{"ascii", two(serialASCII(1, 3, 0, 9, 0, 1)), false, protocols.Yes},
		{"one ascii frame", serialASCII(1, 3, 0, 9, 0, 1), false, protocols.Maybe},
	} {
		if got := Protocol.Probe(c.b, c.last); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
	for name, b := range foreign {
		if got := Protocol.Probe(b, true); got != protocols.No {
			t.Errorf("%s: %d, want no", name, got)
		}
	}
}

// TestRTUFromAddressZero: such a poll begins like an MBAP header, and by its CRC often has a function code where that
// has it too. Whatever unit and quantity, three of them are three.
func TestRTUFromAddressZero(t *testing.T) {
	for unit := byte(1); unit < 248; unit++ {
		for quantity := byte(1); quantity <= mostRegisters; quantity++ {
			poll := serialRTU(unit, 3, 0, 0, 0, quantity)
			n := 0
			l := newLine(t, ports, func(m *protocols.Message) {
				if of(m).framing != rtu || m.Faults != 0 {
					t.Errorf("unit %d, %d registers: %s", unit, quantity, m.AppendText(nil))
				}
				n++
			})
			l.feed(ask(poll...), ask(poll...), ask(poll...))
			l.end()
			if n != 3 {
				t.Errorf("unit %d, %d registers: %d messages", unit, quantity, n)
			}
		}
	}
}

// TestOddBeginning: the first ADU of a connection is not kept waiting, though its length is not what its content says.
func TestOddBeginning(t *testing.T) {
	for _, c := range []struct {
		name string
		in   segment
		want string
	}{
		{"a byte too many", ask(adu(1, 10, 43, 14, 3, 1, 0)...), "> 10 encapsulated_interface_transport request FAULT=trailing_bytes"},
		{"an exception and a byte", tell(adu(1, 10, 0x81, 6, 0)...), "< 10 read_coils unpaired server device busy FAULT=trailing_bytes"},
		{"too few bytes", ask(adu(1, 10, 3, 0, 0)...), "> 10 read_holding_registers request FAULT=short"},
	} {
		var got []string
		l := newLine(t, ports, func(m *protocols.Message) { got = append(got, brief(m)) })
		l.feed(c.in)
		equal(t, got, []string{c.want})
	}
}

// TestFunctionZeroFirst: function 0, which no client may send, is told where it is the first that is seen, once another
// ADU or the end of the stream bears it out; zeros are not taken for it.
func TestFunctionZeroFirst(t *testing.T) {
	odd, read := ask(adu(1, 10, 0, 0, 0, 0, 1)...), ask(adu(2, 10, 3, 0, 0, 0, 1)...)
	told := "> 10 unknown  FAULT=bad_code"
	for _, c := range []struct {
		name string
		in   []segment
		want []string
	}{
		{"and a request", []segment{odd, read}, []string{told, "> 10 read_holding_registers request"}},
		{"and nothing", []segment{odd}, []string{told}},
		{"twice, which nothing bears out", []segment{odd, odd}, nil},
		{"and noise", []segment{odd, ask(0xde, 0xad, 0xbe, 0xef)}, nil},
		{"zeros", []segment{ask(make([]byte, 64)...)}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, in := range [][]segment{c.in, inBytes(c.in)} {
				var got []string
				l := newLine(t, ports, func(m *protocols.Message) { got = append(got, brief(m)) })
				l.feed(in...)
				l.end()
				equal(t, got, c.want)
			}
		})
	}
}
