package collector

import (
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/share/specimen"
	"github.com/roje-ot/roje/collector/store"
)

// TestMaskedRelease has an analyst look at what would leave under pseudonyms, release it so, and fail to release it in the
// other form on top.
func TestMaskedRelease(t *testing.T) {
	f, address := newFrontend(t)
	spool := specimen.Spool{Sensor: "s1"}
	spool.Deliver(t, f.db, f.scope, time.Now(), specimen.Alerts()...)
	all := visitors(t, f, address)
	analyst := all[slices.IndexFunc(all, func(v visitor) bool { return v.role == store.Analyst && v.session })].client
	read := func(resp *http.Response, err error) (int, string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	for form, want := range map[string]bool{"": true, "&masked=yes": false} {
		_, page := read(analyst.Get(address + "/alerts/a-104?tlp=green" + form))
		_, preview, found := strings.Cut(page, `id="preview"`)
		if !found || strings.Contains(preview, "10.20.0.66") != want {
			t.Errorf("preview %q: there %v, with the address: want %v", form, found, want)
		}
	}
	a, err := f.db.GetAlert(t.Context(), f.scope, "a-104")
	if err != nil {
		t.Fatal(err)
	}
	release := func(masked string) (int, string) {
		return read(analyst.PostForm(address+"/alerts/a-104/release", url.Values{"tlp": {"green"}, "updated": {a.Updated.UTC().Format(time.RFC3339Nano)}, "masked": {masked}}))
	}
	if status, _ := release("yes"); status != http.StatusSeeOther {
		t.Fatalf("release under pseudonyms: %d", status)
	}
	if status, page := release(""); status != http.StatusConflict || !strings.Contains(page, "Retract it first") {
		t.Errorf("in the clear on top: %d", status)
	}
	if _, page := read(analyst.Get(address + "/alerts/a-104")); !strings.Contains(page, "Under pseudonyms.") {
		t.Error("the page does not say how the alert was released")
	}
	versions, _, err := f.db.ListReleased(t.Context(), f.scope, store.ReleaseFilter{All: true}, "", 10)
	if err != nil || len(versions) != 1 || !versions[0].Masked || versions[0].Who != "the-analyst" {
		t.Errorf("released: %+v, %v", versions, err)
	}
}
