package interop

import (
	"testing"

	"github.com/roje-ot/roje/testdata/need"
)

// TestPymodbus compares every PDU that pymodbus' client and server report with ours, in the three framings.
func TestPymodbus(t *testing.T) {
	python := need.Python(t, "pymodbus")
	for _, framer := range []string{"socket", "rtu", "ascii"} {
		t.Run(framer, func(t *testing.T) {
			ours := func(s *said) []record { return modbusRecord(s, framer) }
			s := stack{name: "pymodbus", port: 502, argv: []string{python, "testdata/pymodbus_peer.py", framer},
				ours: map[string]func(*said) []record{"client": ours, "server": ours}, least: 100}
			s.run(t)
		})
	}
}

// modbusRecord says a message as pymodbus_peer.py does.
func modbusRecord(s *said, framer string) []record {
	r := record{"from": s.from, "fc": s.code, "raw": s.field, "points": s.points}
	return []record{r}
}
