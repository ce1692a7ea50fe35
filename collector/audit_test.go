package collector

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/audit"
	"github.com/roje-ot/roje/collector/store"
)

// TestAuditAddresses holds that a witness who keeps checkpoints, and an auditor, can check the log over HTTP: every entry is
// in the latest root, each earlier root leads to it, and neither proof fits another root.
func TestAuditAddresses(t *testing.T) {
	f, address := newFrontend(t)
	all := visitors(t, f, address)
	auditor := all[slices.IndexFunc(all, func(v visitor) bool { return v.role == store.Auditor && !v.session })]
	get := func(path string, status int) []byte {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(path, "checkpoint") && !strings.HasSuffix(path, "keys") { // which are for everybody
			req.SetBasicAuth("the-"+string(auditor.role), testPassword)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != status {
			t.Fatalf("%s: %d %s, %v; want %d", path, resp.StatusCode, body, err, status)
		}
		return body
	}
	var kept []audit.Checkpoint
	for i := range 6 {
		if err := f.record.Append(audit.Entry{At: time.Now(), Operator: "north-grid", Who: "ann", What: audit.SignIn, Object: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
		if _, _, err := f.record.Sign(time.Now()); err != nil {
			t.Fatal(err)
		}
		keys := strings.Fields(string(get("/audit/keys", 200)))
		c, err := audit.ParseCheckpoint(get("/audit/checkpoint", 200), keys...)
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, c)
	}
	last := kept[len(kept)-1]
	var entries struct{ Entries []string }
	if err := json.Unmarshal(get("/audit/entries", 200), &entries); err != nil || int64(len(entries.Entries)) != last.Size {
		t.Fatalf("%d entries, %v; want %d", len(entries.Entries), err, last.Size)
	}
	proof := func(path string) (p audit.Proof) {
		if err := json.Unmarshal(get(path, 200), &p); err != nil {
			t.Fatal(err)
		}
		return p
	}
	for n, line := range entries.Entries {
		p := proof(fmt.Sprint("/audit/proof?entry=", n))
		if err := p.Check(last); err != nil || p.Leaf != line || p.Root != last.Root {
			t.Errorf("entry %d: %v, %+v", n, err, p)
		}
		if p.Leaf += " "; p.Check(last) == nil {
			t.Errorf("entry %d: another text passes", n)
		}
	}
	for _, older := range kept {
		p := proof(fmt.Sprintf("/audit/growth?from=%d&size=%d", older.Size, last.Size))
		if err := p.Check(kept...); err != nil {
			t.Errorf("from %d: %v", older.Size, err)
		}
		older.Root[0] ^= 1
		if p.Check(older, last) == nil && older.Size < last.Size {
			t.Errorf("from %d: another root passes", older.Size)
		}
	}
	for _, path := range []string{"/audit/proof", "/audit/proof?entry=99", "/audit/proof?entry=x", "/audit/growth?from=0", "/audit/growth?from=1&size=99"} {
		get(path, 400)
	}
}
