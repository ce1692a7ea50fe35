package ledgertest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/roje-ot/roje/sensor/ledger"
)

// A Truth is what those who carried out a control transaction say of it.
type Truth struct {
	Outcome ledger.Outcome
	Model   ledger.Model
	Addr    uint32
	Value   float64
	Valued  bool // the record has the value
}

// Wrong says in what r is wrong as the record of d, by a sensor that loses packets with the given probability; "" if it is
// right. With loss it may not know the outcome or have missed a select; it must never say what was not.
func (d Truth) Wrong(r *ledger.Record, loss float64) string {
	switch {
	case loss > 0 && r.Outcome == ledger.UnknownGap:
		return ""
	case r.Outcome != d.Outcome:
		return "outcome"
	case r.Point == nil || r.Point.Addr != d.Addr:
		return "point"
	case d.Valued && (r.Value == nil || *r.Value != d.Value):
		return "value"
	case loss == 0 && r.Model != d.Model:
		return "model"
	}
	return ""
}

// A Confusion counts what was, by row, against what the ledger says.
type Confusion map[[2]ledger.Outcome]int

// Add counts a record of what ended in was.
func (c Confusion) Add(was ledger.Outcome, r *ledger.Record) { c[[2]ledger.Outcome{was, r.Outcome}]++ }

// Lacks returns those outcomes that nothing had, as the ledger says it too.
func (c Confusion) Lacks(all ...ledger.Outcome) (none []ledger.Outcome) {
	for _, o := range all {
		if c[[2]ledger.Outcome{o, o}] == 0 {
			none = append(none, o)
		}
	}
	return none
}

func (c Confusion) String() string {
	rows, columns := map[ledger.Outcome]bool{}, map[ledger.Outcome]bool{}
	for k := range c {
		rows[k[0]], columns[k[1]] = true, true
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%-14s", "was \\ ledger")
	for _, col := range slices.Sorted(maps.Keys(columns)) {
		fmt.Fprintf(&b, "%12s", col)
	}
	for _, row := range slices.Sorted(maps.Keys(rows)) {
		fmt.Fprintf(&b, "\n%-14s", row)
		for _, col := range slices.Sorted(maps.Keys(columns)) {
			fmt.Fprintf(&b, "%12d", c[[2]ledger.Outcome{row, col}])
		}
	}
	return b.String()
}
