package console

import (
	"slices"
	"testing"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules"
)

// TestProtocols: the filter offers the protocols of the page, each once, also one that nobody here has heard of.
func TestProtocols(t *testing.T) {
	var v alertsView
	for _, proto := range []string{"tank", "", "modbus", "tank"} {
		v.Alerts = append(v.Alerts, store.Alert{Alert: rules.Alert{Proto: proto}})
	}
	if got := v.Protocols(); !slices.Equal(got, []string{"modbus", "tank"}) {
		t.Errorf("offered are %q", got)
	}
}
