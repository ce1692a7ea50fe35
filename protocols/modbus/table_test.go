package modbus

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/roje-ot/roje/protocols"
)

func TestCodes(t *testing.T) {
	snake := regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	seen := map[uint16]bool{}
	for i, c := range Protocol.Codes {
		if i > 0 && c.Code <= Protocol.Codes[i-1].Code {
			t.Errorf("code %d does not follow %d", c.Code, Protocol.Codes[i-1].Code)
		}
		if !snake.MatchString(c.Name) || c.Depth == "" {
			t.Errorf("code %d: name %q, depth %q", c.Code, c.Name, c.Depth)
		}
		seen[c.Code] = true
	}
	// The functions of the specification, its reserved codes, and those of vendors.
	for _, fc := range []uint16{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 40, 41, 42, 43,
		65, 72, 90, 91, 100, 110, 125, 126, 127} {
		if !seen[fc] {
			t.Errorf("function %d has no row", fc)
		}
	}
}

func TestFields(t *testing.T) {
	var names []string
	for _, f := range Protocol.Field {
		if f.Doc == "" || slices.Contains(names, f.Name) {
			t.Errorf("field %q: twice, or without a doc", f.Name)
		}
		names = append(names, f.Name)
	}
	for _, name := range []string{"tid", "unit", "exception", "sub", "addr", "count", "mei"} {
		if !slices.Contains(names, name) {
			t.Errorf("the contract's field %q is missing", name)
		}
	}
}

func TestSheets(t *testing.T) {
	for _, s := range Protocol.Docs {
		if len(s.Rows) == 0 {
			t.Errorf("%s: no rows", s.Title)
		}
		for _, r := range s.Rows {
			if len(r) != len(s.Header) || slices.Contains(r, "") {
				t.Errorf("%s: row %q", s.Title, r)
			}
		}
	}
}

func TestStatusWords(t *testing.T) {
	for status, want := range map[uint32]string{1: "illegal function", 2: "illegal data address", 3: "illegal data value", 4: "server device failure",
		5: "acknowledge", 6: "server device busy", 8: "memory parity error", 10: "gateway path unavailable",
		11: "gateway target device failed to respond", 99: "exception 99", umasRefused | 0x81: "umas error 129", noException: "exception 0"} {
		if got := string(Protocol.AppendStatus(nil, status)); got != want {
			t.Errorf("%d: %q, want %q", status, got, want)
		}
	}
}

// TestChecks holds CRC and LRC against published frames: Modbus over Serial Line V1.02, appendix B, and the usual example
// of ASCII mode.
func TestChecks(t *testing.T) {
	if !crcOK([]byte{2, 7, 0x41, 0x12}) {
		t.Error("02 07 41 12: wrong CRC")
	}
	if !crcOK([]byte{1, 3, 0, 0, 0, 10, 0xc5, 0xcd}) {
		t.Error("01 03 00 00 00 0a c5 cd: wrong CRC")
	}
	if _, right := frontASCII([]byte(":1103006B00037E\r\n"), 0, '\n'); !right {
		t.Error(":1103006B00037E: wrong LRC")
	}
}

// identify is a response of read device identification.
func identify(tid uint16, unit, more, next byte, objects ...string) segment {
	b := []byte{43, 14, 1, 1, more, next, byte(len(objects))}
	for _, o := range objects {
		b = append(append(b, o[0]-'0', byte(len(o)-1)), o[1:]...)
	}
	return tell(adu(tid, unit, b...)...)
}

func TestIdentificationIsJoined(t *testing.T) {
	query := func(tid uint16, unit, first byte) segment { return ask(adu(tid, unit, 43, 14, 1, first)...) }
	for _, c := range []struct {
		name string
		in   []segment
		want string
	}{
		{"two parts", []segment{query(1, 1, 0), identify(1, 1, moreFollows, 1, "0Acme"), query(2, 1, 1), identify(2, 1, 0, 0, "1X9")},
			`"parts":2,"objects":[{"id":0,"name":"vendor_name","text":"Acme"},{"id":1,"name":"product_code","text":"X9"}]`},
		{"two units in turn", []segment{query(1, 1, 0), query(2, 2, 0), identify(1, 1, moreFollows, 1, "0Acme"), identify(2, 2, moreFollows, 1, "0Other"),
			query(3, 1, 1), identify(3, 1, 0, 0, "1X9")}, `"parts":2,"objects":[{"id":0,"name":"vendor_name","text":"Acme"},{"id":1,"name":"product_code","text":"X9"}]`},
		{"responses alone", []segment{identify(1, 1, moreFollows, 1, "0Acme"), identify(2, 1, 0, 0, "1X9")},
			`"parts":2,"objects":[{"id":0,"name":"vendor_name","text":"Acme"},{"id":1,"name":"product_code","text":"X9"}]`},
		{"asked anew", []segment{query(1, 1, 0), identify(1, 1, moreFollows, 1, "0Acme"), query(2, 1, 0), identify(2, 1, 0, 0, "0Acme")},
			`"conformity":1,"objects":[{"id":0,"name":"vendor_name","text":"Acme"}]`},
		{"bytes lost between", []segment{query(1, 1, 0), identify(1, 1, moreFollows, 1, "0Acme"), query(2, 1, 1),
			{dir: fromServer, lost: true, b: identify(2, 1, 0, 0, "1X9").b}}, `"conformity":1,"objects":[{"id":1,"name":"product_code","text":"X9"}]`},
	} {
		got := texts(t, ports, c.in...)
		if last := got[len(got)-1]; !strings.Contains(last, c.want) {
			t.Errorf("%s: %s, want %s", c.name, last, c.want)
		}
	}
}

// TestIdentificationIsBounded: a device that never ends does not fill the memory.
func TestIdentificationIsBounded(t *testing.T) {
	most := 0
	l := newLine(t, ports, func(m *protocols.Message) {
		if id := of(m).id; id != nil {
			most = max(most, len(id.text))
		}
	})
	for tid := range uint16(1000) {
		l.feed(ask(adu(tid, 1, 43, 14, 1, 1)...), identify(tid, 1, moreFollows, 1, "1"+strings.Repeat("x", 200)))
	}
	if most != mostParts*200 {
		t.Errorf("%d bytes of text are kept, want %d", most, mostParts*200)
	}
}
