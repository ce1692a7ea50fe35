package pack_test

import (
	"testing"

	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/rules/pack"
)

// TestRules loads the shipped rules, which runs every test inside them.
func TestRules(t *testing.T) {
	set, err := pack.Rules(catalog.All)
	if err != nil {
		t.Fatal(err)
	}
	if len(set) < 1 {
		t.Errorf("%d rules", len(set))
	}
}
