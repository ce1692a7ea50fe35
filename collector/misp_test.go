package collector

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/share/specimen"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/sqlite"
	"github.com/roje-ot/roje/testdata/need"
)

// releaseSpecimens releases the specimens: under pseudonyms but for a-arp, at one level each; a-bare is retracted again.
func releaseSpecimens(t *testing.T, db store.Store, scope store.Scope) {
	t.Helper()
	spool := specimen.Spool{Sensor: "s1"}
	spool.Enrol(t, db, scope, time.Now(), "10.20.0.7 sent") // a name that stands in a title
	spool.Deliver(t, db, scope, time.Now(), specimen.Alerts()...)
	var err error
	for i, a := range specimen.Alerts() {
		release := db.ReleaseMasked
		if a.ID == "a-arp" {
			release = db.Release
		}
		if _, err = release(t.Context(), scope, a.ID, []store.TLP{store.Clear, store.Green, store.Amber, store.AmberStrict}[i%4], "ana", time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err = db.Retract(t.Context(), scope, "a-bare", "ana", time.Now()); err != nil {
		t.Fatal(err)
	}
}

// TestFiles holds what each recipient gets over HTTP: nothing above its ceiling, pseudonyms of its own, in all forms the same
// ones, and what was released in the clear as it is.
func TestFiles(t *testing.T) {
	r := start(t, Config{})
	db, scope := r.store()
	releaseSpecimens(t, db, scope)
	r.user("kos", store.CERT, "kos cert reads here")
	r.user("mne", store.CERT, "mne cert reads here")
	u, err := db.GetUser(t.Context(), scope, "mne")
	if err != nil {
		t.Fatal(err)
	}
	u.Ceiling = store.Amber
	if err := db.PutUser(t.Context(), scope, u, "test", time.Now()); err != nil {
		t.Fatal(err)
	}
	pseudonyms := map[string][]string{}
	for _, name := range []string{"kos", "mne"} {
		get := func(path string) string {
			t.Helper()
			status, body := r.get(path, name, name+" cert reads here")
			if status != 200 {
				t.Fatalf("%s as %s: %d %s", path, name, status, body)
			}
			return body
		}
		var manifest map[string]any
		if err := json.Unmarshal([]byte(get("/misp/manifest.json")), &manifest); err != nil {
			t.Fatal(err)
		}
		if want := map[string]int{"kos": 5, "mne": 4}[name]; len(manifest) != want {
			t.Errorf("%s gets %d events, want %d", name, len(manifest), want)
		}
		var events string
		for id := range manifest {
			events += get("/misp/" + id + ".json")
		}
		status, _ := r.get("/misp/00000000-0000-0000-0000-000000000000.json", name, name+" cert reads here")
		if status != 404 {
			t.Errorf("an event that there is not: %d", status)
		}
		forms := map[string]string{
			"MISP": events + get("/misp/manifest.json") + get("/misp/hashes.csv"), "CSV": get("/share/alerts.csv"),
			"TAXII": get("/taxii2/roje/collections/b2b27a0a-9ed5-5c3f-8f0d-3a4c1ce3f2d4/objects/?limit=1000&match[version]=all"),
		}
		for form, text := range forms {
			for _, original := range []string{"10.20.0.66", "10.20.0.7:2404", "10.30.0", "2001:db8", "a-104", "a-modbus"} {
				if strings.Contains(text, original) {
					t.Errorf("%s for %s has %q", form, name, original)
				}
			}
			if clear := strings.Contains(text, "02:00:5e:10:00:66"); clear != (name == "kos") {
				t.Errorf("%s for %s: the alert in the clear, above the ceiling of one, is in it: %v", form, name, clear)
			}
			if strings.Contains(text, "fd") == false || !strings.Contains(text, "COLD_RESTART") {
				t.Errorf("%s for %s does not have what was released", form, name)
			}
		}
		for line := range strings.Lines(forms["CSV"]) {
			if cells := strings.Split(line, ","); strings.Contains(line, "iec104") {
				client := strings.TrimSuffix(cells[11], ":49152")
				pseudonyms[name] = append(pseudonyms[name], client)
				for form, text := range forms {
					if !strings.Contains(text, client) {
						t.Errorf("%s for %s does not have the pseudonym %s that the table has", form, name, client)
					}
				}
			}
		}
	}
	if len(pseudonyms["kos"]) != 1 || slices.Equal(pseudonyms["kos"], pseudonyms["mne"]) {
		t.Errorf("pseudonyms of one host: %v, want one for each recipient", pseudonyms)
	}
	for _, path := range []string{"/misp/manifest.json", "/share/alerts.csv"} {
		if status, _ := r.get(path, "", ""); status != 401 {
			t.Errorf("%s for nobody: %d", path, status)
		}
	}
}

// TestMISP pulls the feed as MISP does, and has PyMISP read it.
func TestMISP(t *testing.T) {
	python := need.Python(t, "pymisp, jsonschema")
	r := start(t, Config{})
	db, scope := r.store()
	releaseSpecimens(t, db, scope)
	r.user("cert", store.CERT, "kos cert reads here")
	c, err := db.OpenCase(t.Context(), scope, "A case of two", "ana", time.Now())
	for _, id := range []string{"a-104", "a-arp", "a-bare"} { // the last was taken back
		if err == nil {
			err = db.AddToCase(t.Context(), scope, c.ID, store.ItemAlert, id, "ana", time.Now())
		}
	}
	if err == nil {
		_, err = db.ReleaseGroup(t.Context(), scope, store.ItemCase, c.ID, store.Clear, true, "ana", time.Now())
	}
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(python, filepath.Join("share", "testdata", "misp.py"), r.Console+"misp/", "cert", "kos cert reads here").Output()
	if err != nil {
		t.Fatalf("%v: %s", err, err.(*exec.ExitError).Stderr)
	}
	var seen struct {
		Events map[string]struct {
			Info         string
			Values, Tags []string
		}
		Wrong, Deleted []string
	}
	if err := json.Unmarshal(out, &seen); err != nil {
		t.Fatal(err)
	}
	for _, wrong := range seen.Wrong {
		t.Error(wrong)
	}
	if len(seen.Events) != 6 || len(seen.Deleted) != 1 {
		t.Errorf("%d events, %d of them retracted; want 6 and 1", len(seen.Events), len(seen.Deleted))
	}
	tags := map[string]bool{}
	for _, e := range seen.Events {
		if values := strings.Join(e.Values, " "); e.Info == "A case of two" && (!slices.Contains(e.Tags, "tlp:amber+strict") || !strings.Contains(values, "C_SC_NA_1") || !strings.Contains(values, "arp-binding") || strings.Contains(values, "sensor-blind")) {
			t.Errorf("the case is %+v, want both its alerts under the stricter of their levels", e)
		}
	}
	for id, e := range seen.Events {
		for _, tag := range e.Tags {
			tags[tag] = true
		}
		if retracted := strings.HasPrefix(e.Info, "[retracted] "); retracted != slices.Contains(seen.Deleted, id) {
			t.Errorf("%s: %q, retracted %v", id, e.Info, !retracted)
		}
	}
	for _, want := range []string{"tlp:clear", "tlp:green", "tlp:amber", "tlp:amber+strict", `misp-galaxy:mitre-attack-pattern="Modify Parameter - T0836"`} {
		if !tags[want] {
			t.Errorf("no event has the tag %s: %v", want, tags)
		}
	}
}

// TestExport holds that files for a CERT have what its account may pull and nothing else, and that the audit log tells of it.
func TestExport(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	db, err := sqlite.Open(data)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	scope, err := store.For(DefaultOperator)
	if err != nil {
		t.Fatal(err)
	}
	releaseSpecimens(t, db, scope)
	for name, role := range map[string]store.Role{"cert": store.CERT, "ana": store.Analyst} {
		if err := db.PutUser(t.Context(), scope, store.User{Name: name, Role: role, Ceiling: store.Amber, Created: time.Now()}, "test", time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(t.TempDir(), "out")
	n, err := Export(t.Context(), data, "cert", "test", out)
	if err != nil || n != 4+4 {
		t.Fatalf("%d files, %v; want 4 events, a manifest, hashes, a table and a bundle", n, err)
	}
	for _, name := range []string{"stix.json", "alerts.csv", "misp/manifest.json", "misp/hashes.csv"} {
		text, err := os.ReadFile(filepath.Join(out, name))
		if err != nil || len(text) == 0 || strings.Contains(string(text), "10.20.0.66") || strings.Contains(string(text), "02:00:5e:10:00:66") {
			t.Errorf("%s: %v, %.300s", name, err, text)
		}
	}
	for _, bad := range [][2]string{{"ana", out + "2"}, {"nobody", out + "3"}, {"cert", out}} {
		if _, err := Export(t.Context(), data, bad[0], "test", bad[1]); err == nil {
			t.Errorf("for %s to %s: no error", bad[0], bad[1])
		}
	}
	leaves, err := db.Leaves(t.Context(), scope, 0, 10)
	if err != nil || len(leaves) != 1 || !strings.Contains(string(leaves[0]), `"what":"export","object":"cert"`) {
		t.Errorf("audit log %q, %v", leaves, err)
	}
}
