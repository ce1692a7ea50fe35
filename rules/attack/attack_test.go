package attack

import (
	"regexp"
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	form := regexp.MustCompile(`^T\d{4}(\.\d{3})?$`)
	revoked := 0
	for i, row := range All() {
		if !form.MatchString(row.ID) || row.Name == "" {
			t.Errorf("row %d: %+v", i, row)
		}
		if i > 0 && All()[i-1].ID >= row.ID {
			t.Errorf("%s is not behind %s", row.ID, All()[i-1].ID)
		}
		if got, ok := ByID(row.ID); !ok || got != row {
			t.Errorf("ByID(%s) = %+v, %v", row.ID, got, ok)
		}
		if parent, _, sub := strings.Cut(row.ID, "."); sub && !strings.HasPrefix(row.Name, Name(parent)+": ") {
			t.Errorf("%s %q does not begin with its parent's name %q", row.ID, row.Name, Name(parent))
		}
		if row.Was != "" {
			revoked++
			if _, ok := ByID(row.Was); ok {
				t.Errorf("%s was revoked for %s, and is in the table", row.Was, row.ID)
			}
		}
	}
	if revoked != 9 {
		t.Errorf("%d ids of v18 were revoked, want the 9 of v19's change log", revoked)
	}
	if Name("T0848") != "Rogue Master" || Name("T9999") != "T9999" {
		t.Error("Name")
	}
}
