package script

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/roje-ot/roje/testdata/need"
)

// TestLists holds that the point lists in testdata are those that the lab writes.
func TestLists(t *testing.T) {
	for name, want := range Lists() {
		got, err := os.ReadFile(filepath.Join(need.Root(t), "testdata", ListsDir, name))
		if err != nil || string(got) != want {
			t.Errorf("%s is not what the lab writes (%v); run make generate", name, err)
		}
	}
}
