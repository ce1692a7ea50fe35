package collector

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/audit"
	"github.com/roje-ot/roje/collector/share/specimen"
)

// TestBackupBesideWork holds that the audit log of a backup verifies against the store of the backup, though the log grew
// while it was made: the store of a backup lacks nothing that its copy of the log knows.
func TestBackupBesideWork(t *testing.T) {
	r := start(t, Config{})
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	db, scope := r.store()
	log, err := audit.Open(db, scope, filepath.Join(r.data, audit.FolderName), specimen.Start)
	if err != nil {
		t.Fatal(err)
	}
	end, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-end:
				ended <- log.Close()
				return
			default:
			}
			if err := log.Append(audit.Entry{At: specimen.Start, Who: "ann", What: "sign-in"}); err != nil {
				ended <- err
				return
			}
		}
	}()
	entries := int64(0)
	for deadline := time.Now().Add(2 * time.Minute); entries < 20 && time.Now().Before(deadline); {
		out := filepath.Join(t.TempDir(), "backup")
		if err := Backup(t.Context(), r.data, out); err != nil {
			t.Fatal(err)
		}
		copied, scope, _, err := OpenStore(t.Context(), out)
		if err != nil {
			t.Fatal(err)
		}
		compare := audit.Compare{Ctx: t.Context(), Acts: copied, Leaves: copied, Scope: scope}
		report, err := audit.VerifyFolder(filepath.Join(out, audit.FolderName), audit.Expect{}, compare.Entry)
		if err != nil || len(report.Problems)+len(compare.Problems) > 0 {
			t.Fatalf("the log of a backup: %v, %q, %q", err, report.Problems, compare.Problems)
		}
		entries = report.Entries
		copied.Close()
	}
	close(end)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if entries < 20 {
		t.Errorf("the last backup's log has %d entries, nothing was written beside it", entries)
	}
}
