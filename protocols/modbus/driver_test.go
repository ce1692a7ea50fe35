package modbus

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/roje-ot/roje/protocols"
)

// A segment is what one end sends at once; with lost set, bytes before it were lost.
type segment struct {
	dir  protocols.Dir
	lost bool
	b    []byte
}

// toServer and toClient are the directions of the tests: the server is end 1.
const (
	fromClient protocols.Dir = 0
	fromServer protocols.Dir = 1
)

var ports = protocols.Hint{Server: fromServer, Known: true}

// A line feeds segments to a decoder as the flow layer does, and holds Split to its contract.
type line struct {
	t    testing.TB
	d    protocols.Decoder
	now  int64
	rest [2][]byte
	m    protocols.Message
	each func(m *protocols.Message)
	skip int // bytes that no frame took
}

func newLine(t testing.TB, h protocols.Hint, each func(*protocols.Message)) *line {
	return &line{t: t, d: Protocol.New(h), each: each}
}

func (l *line) feed(segments ...segment) {
	l.t.Helper()
	for _, s := range segments {
		l.now += 1e6
		if s.lost {
			l.drain(s.dir, true)
			l.d.Lost(s.dir)
		}
		l.rest[s.dir] = append(l.rest[s.dir], s.b...)
		l.drain(s.dir, false)
	}
}

func (l *line) end() {
	l.t.Helper()
	l.drain(0, true)
	l.drain(1, true)
}

func (l *line) drain(dir protocols.Dir, last bool) {
	l.t.Helper()
	for {
		b := l.rest[dir]
		skip, n := l.d.Split(dir, b[:len(b):len(b)], last)
		if skip < 0 || n < 0 || skip+n > len(b) {
			l.t.Fatalf("Split of %d bytes: skip %d, n %d", len(b), skip, n)
		}
		if last && len(b) > 0 && skip+n == 0 {
			l.t.Fatalf("Split makes no progress on its last %d bytes: % x", len(b), b)
		}
		if n > 0 && l.d.Decode(protocols.Frame{Dir: dir, At: l.now, Bytes: b[skip : skip+n : skip+n]}, &l.m) {
			l.each(&l.m)
		}
		l.skip += skip
		l.rest[dir] = b[skip+n:]
		if skip+n == 0 || len(l.rest[dir]) == 0 {
			return
		}
	}
}

// texts is what the segments say, one text per message.
func texts(t testing.TB, h protocols.Hint, segments ...segment) (out []string) {
	t.Helper()
	l := newLine(t, h, func(m *protocols.Message) { out = append(out, string(m.AppendText(nil))) })
	l.feed(segments...)
	l.end()
	return out
}

// names is the short form of texts: who, which function, turn, status and faults.
func names(t testing.TB, h protocols.Hint, segments ...segment) (out []string) {
	t.Helper()
	l := newLine(t, h, func(m *protocols.Message) { out = append(out, brief(m)) })
	l.feed(segments...)
	l.end()
	return out
}

func brief(m *protocols.Message) string {
	who := ">"
	if m.From == protocols.Server {
		who = "<"
	}
	s := fmt.Sprintf("%s %d %s %s", who, m.Station, m.Name, m.Turn)
	if m.Status != 0 {
		s += " " + string(m.AppendStatus(nil))
	}
	if m.Faults != 0 {
		s += " FAULT=" + m.Faults.String()
	}
	return s
}

// unhexed is the bytes of hex digits and spaces.
func unhexed(t testing.TB, s string) []byte {
	t.Helper()
	var digits []byte
	for i := range len(s) {
		if s[i] != ' ' && s[i] != '\t' {
			digits = append(digits, s[i])
		}
	}
	b, err := hex.DecodeString(string(digits))
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return b
}

// adu puts an MBAP header before a PDU.
func adu(tid uint16, unit byte, pdu ...byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, tid)
	b = append(b, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(pdu)+1))
	return append(append(b, unit), pdu...)
}

// serialRTU and serialASCII frame a unit and a PDU.
func serialRTU(unit byte, pdu ...byte) []byte {
	b := append([]byte{unit}, pdu...)
	return binary.LittleEndian.AppendUint16(b, crc16(b))
}

func serialASCII(unit byte, pdu ...byte) []byte {
	b := append([]byte{unit}, pdu...)
	var sum byte
	for _, c := range b {
		sum -= c
	}
	return fmt.Appendf(nil, ":%X\r\n", append(b, sum))
}

// delimited is an ASCII frame that ends in another character than LF.
func delimited(unit, end byte, pdu ...byte) []byte {
	b := serialASCII(unit, pdu...)
	b[len(b)-1] = end
	return b
}

func ask(b ...byte) segment  { return segment{dir: fromClient, b: b} }
func tell(b ...byte) segment { return segment{dir: fromServer, b: b} }

// equal compares two lists of lines and shows both.
func equal(t testing.TB, got, want []string) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		g, w := "(nothing)", "(nothing)"
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			t.Errorf("message %d\n got %s\nwant %s", i, g, w)
		}
	}
}
