package sqlite

import (
	"path/filepath"
	"sync"
	"testing"

	"github.com/roje-ot/roje/collector/store/news"
)

// TestOpenedAtOnce: of several that open a new file at once, none is told that it is locked.
func TestOpenedAtOnce(t *testing.T) {
	for range 20 {
		path := filepath.Join(t.TempDir(), "new.db")
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				f, err := openFile(path, &news.Hub{})
				if err != nil {
					t.Error(err)
					return
				}
				if err := f.close(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if t.Failed() {
			return
		}
	}
}
