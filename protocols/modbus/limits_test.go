package modbus

import (
	"testing"

	"github.com/roje-ot/roje/protocols"
)

// zeros is n zero bytes.
func zeros(n int) []byte { return make([]byte, n) }

func TestRequestLimits(t *testing.T) {
	for _, c := range []struct {
		name string
		pdu  []byte
		want protocols.Faults
	}{
		{"2000 coils", []byte{1, 0, 0, 0x07, 0xd0}, 0},
		{"2001 coils", []byte{1, 0, 0, 0x07, 0xd1}, protocols.BadQuantity},
		{"no inputs", []byte{2, 0, 0, 0, 0}, protocols.BadQuantity},
		{"125 registers", []byte{3, 0, 0, 0, 125}, 0},
		{"126 registers", []byte{4, 0, 0, 0, 126}, protocols.BadQuantity},
		{"up to the last register", []byte{3, 0xff, 0xfe, 0, 2}, 0},
		{"one too far", []byte{3, 0xff, 0xff, 0, 2}, protocols.BadAddress},
		{"coil on", []byte{5, 0, 0, 0xff, 0}, 0},
		{"coil to 1", []byte{5, 0, 0, 0, 1}, protocols.BadValue},
		{"1968 coils", join([]byte{15, 0, 0, 0x07, 0xb0, 246}, zeros(246)), 0},
		{"1969 coils", join([]byte{15, 0, 0, 0x07, 0xb1, 247}, zeros(247)), protocols.BadQuantity},
		{"10 coils in one byte", []byte{15, 0, 0, 0, 10, 1, 0}, protocols.BadLength},
		{"123 registers", join([]byte{16, 0, 0, 0, 123, 246}, zeros(246)), 0},
		{"124 registers, 123 sent", join([]byte{16, 0, 0, 0, 124, 246}, zeros(246)), protocols.BadQuantity | protocols.BadLength},
		{"bytes that are not there", []byte{16, 0, 0, 0, 2, 4, 0, 0}, protocols.BadLength | protocols.Short},
		{"exchange 125 and 121", join([]byte{23, 0, 0, 0, 125, 0, 0, 0, 121, 242}, zeros(242)), 0},
		{"exchange reads 126", []byte{23, 0, 0, 0, 126, 0, 0, 0, 1, 2, 0, 0}, protocols.BadQuantity},
		{"exchange writes 122", join([]byte{23, 0, 0, 0, 1, 0, 0, 0, 122, 242}, zeros(242)), protocols.BadQuantity | protocols.BadLength},
		{"exchange writes over the end", []byte{23, 0, 0, 0, 1, 0xff, 0xff, 0, 2, 4, 0, 0, 0, 0}, protocols.BadAddress},
		{"restart", []byte{8, 0, 1, 0, 0}, 0},
		{"restart with 1", []byte{8, 0, 1, 0, 1}, protocols.BadValue},
		{"clear counters with data", []byte{8, 0, 10, 0, 1}, protocols.BadValue},
		{"delimiter in the wrong byte", []byte{8, 0, 3, 0, 0x3b}, protocols.BadValue},
		{"diagnostics 19", []byte{8, 0, 19, 0, 0}, protocols.BadCode},
		{"diagnostics 22", []byte{8, 0, 22, 0, 0}, protocols.BadCode},
		{"Modbus Plus statistics", []byte{8, 0, 21, 0, 3}, 0},
		{"file 1 record 9999", []byte{20, 7, 6, 0, 1, 0x27, 0x0f, 0, 1}, 0},
		{"record 10000", []byte{20, 7, 6, 0, 1, 0x27, 0x10, 0, 1}, protocols.BadAddress},
		{"file 0", []byte{20, 7, 6, 0, 0, 0, 0, 0, 1}, protocols.BadAddress},
		{"reference type 5", []byte{20, 7, 5, 0, 1, 0, 0, 0, 1}, protocols.BadValue},
		{"no sub-request", []byte{20, 0}, protocols.BadQuantity},
		{"half a sub-request", []byte{20, 10, 6, 0, 1, 0, 0, 0, 1, 6, 0, 1}, protocols.Short},
		{"an answer that cannot fit", []byte{20, 7, 6, 0, 1, 0, 0, 0, 125}, protocols.BadQuantity},
		{"write file", []byte{21, 9, 6, 0, 1, 0, 0, 0, 1, 0, 0}, 0},
		{"write file, count wrong", []byte{21, 8, 6, 0, 1, 0, 0, 0, 1, 0, 0}, protocols.BadQuantity | protocols.BadLength},
		{"identify, code 5", []byte{43, 14, 5, 0}, protocols.BadValue},
		{"interface 15", []byte{43, 15, 1}, protocols.BadCode},
		{"no function", []byte{0, 1}, protocols.BadCode},
		{"exception from a client", []byte{0x83, 2}, protocols.BadCode | protocols.BadDirection},
		{"reserved", []byte{126, 1}, protocols.BadCode},
		{"the user's", []byte{66, 1}, 0},
		{"a response from a client", []byte{3, 4, 0, 0, 0, 0}, protocols.BadDirection | protocols.BadQuantity | protocols.TrailingBytes},
		{"too short", []byte{3, 0, 0}, protocols.Short},
		{"too long", []byte{7, 1}, protocols.TrailingBytes | protocols.BadDirection},
	} {
		check(t, c.name, c.want, ask(adu(1, 1, c.pdu...)...))
	}
}

func TestResponseLimits(t *testing.T) {
	fifo := func(size, count byte, n int) []byte { return join([]byte{24, 0, size, 0, count}, zeros(n)) }
	for _, c := range []struct {
		name     string
		ask, pdu []byte
		want     protocols.Faults
	}{
		{"31 values", []byte{24, 0, 0}, fifo(64, 31, 62), 0},
		{"32 values", []byte{24, 0, 0}, fifo(66, 32, 64), protocols.BadQuantity},
		{"a size that the count contradicts", []byte{24, 0, 0}, fifo(8, 2, 4), protocols.BadLength},
		{"19 coils in 3 bytes", []byte{1, 0, 0, 0, 19}, []byte{1, 3, 0, 0, 0}, 0},
		{"19 coils in 38 bytes", []byte{1, 0, 0, 0, 19}, join([]byte{1, 38}, zeros(38)), protocols.Mismatch},
		{"3 registers in 6 bytes", []byte{3, 0, 0, 0, 3}, join([]byte{3, 6}, zeros(6)), 0},
		{"3 registers in 1 byte", []byte{3, 0, 0, 0, 3}, []byte{3, 1, 0}, protocols.Mismatch},
		{"a byte count too large", []byte{3, 0, 0, 0, 3}, []byte{3, 6, 0, 0}, protocols.BadLength | protocols.Short},
		{"another range is confirmed", []byte{16, 0, 0, 0, 1, 2, 0, 0}, []byte{16, 0, 1, 0, 1}, protocols.Mismatch},
		{"another sub-function", []byte{8, 0, 11, 0, 0}, []byte{8, 0, 12, 0, 0}, protocols.Mismatch},
		{"query data changed", []byte{8, 0, 0, 1, 2}, []byte{8, 0, 0, 1, 3}, protocols.Mismatch},
		{"another interface", []byte{43, 14, 1, 0}, []byte{43, 13, 1}, protocols.Mismatch},
		{"conformity 9", []byte{43, 14, 1, 0}, []byte{43, 14, 1, 9, 0, 0, 0}, protocols.BadValue},
		{"one object of two", []byte{43, 14, 1, 0}, []byte{43, 14, 1, 1, 0, 0, 2, 0, 1, 'a'}, protocols.Short},
		{"exception 9", []byte{3, 0, 0, 0, 1}, []byte{0x83, 9}, protocols.BadValue},
		{"exception 0", []byte{3, 0, 0, 0, 1}, []byte{0x83, 0}, protocols.BadValue},
		{"exception without a code", []byte{3, 0, 0, 0, 1}, []byte{0x83}, protocols.Short},
		{"busy word", []byte{11}, []byte{11, 0, 1, 0, 0}, protocols.BadValue},
		{"more registers of a file than asked", []byte{20, 7, 6, 0, 1, 0, 0, 0, 1}, []byte{20, 6, 5, 6, 0, 0, 0, 0}, protocols.Mismatch},
	} {
		first := ask(adu(1, 1, c.ask...)...)
		check(t, c.name, c.want, first, tell(adu(1, 1, c.pdu...)...))
	}
}

// check holds the faults of the last message against want.
func check(t *testing.T, name string, want protocols.Faults, in ...segment) {
	t.Helper()
	// A poll ahead brings the decoder into step, so that a PDU that is wrong is followed all the same.
	in = append([]segment{ask(adu(0, 9, 3, 0, 0, 0, 1)...), tell(adu(0, 9, 3, 2, 0, 0)...)}, in...)
	var got protocols.Faults
	n := 0
	l := newLine(t, ports, func(m *protocols.Message) { got = m.Faults; n++ })
	l.feed(in...)
	l.end()
	if n != len(in) || got != want {
		t.Errorf("%s: %d messages of %d, faults %q, want %q", name, n, len(in), got, want)
	}
}
