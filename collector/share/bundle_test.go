package share

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/share/specimen"
	"github.com/roje-ot/roje/collector/store"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestGolden holds what leaves for each specimen, to the byte: a change here is a change for every CERT.
func TestGolden(t *testing.T) {
	for _, a := range specimen.Alerts() {
		released := store.Released{
			Alert: store.Alert{Alert: a, Sensor: "s1"}, TLP: store.Amber,
			Created: specimen.Start.Add(time.Hour), Added: specimen.Start.Add(2 * time.Hour), Revoked: a.ID == "a-arp",
		}
		var got bytes.Buffer
		for _, o := range Bundle("north-grid", released) {
			if err := json.Indent(&got, o.JSON(), "", "  "); err != nil {
				t.Fatal(err)
			}
			got.WriteByte('\n')
		}
		path := filepath.Join("testdata", a.ID+".golden")
		if *update {
			if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%s: got\n%s\nwant\n%s", a.ID, got.Bytes(), want)
		}
	}
}

// TestObservableIDs holds identifiers that the Python library stix2 (3.0.2) gives to the same objects.
func TestObservableIDs(t *testing.T) {
	for _, c := range []struct{ kind, value, want string }{
		{"ipv4-addr", "198.51.100.3", "ipv4-addr--28bb3599-77cd-5a82-a950-b5bc3caf07c4"},
		{"ipv4-addr", "203.0.113.1", "ipv4-addr--ad74bc22-43d2-52ed-890e-7d382f58e1eb"},
		{"ipv6-addr", "2001:db8::9", "ipv6-addr--fd2f725b-ee05-5ab8-b70d-156273893a23"},
		{"mac-addr", "02:00:5e:10:00:66", "mac-addr--746da2b4-4419-5785-b4b9-1e04a93f4b9b"},
	} {
		if got := observable(c.kind, Object{"value": c.value, "object_marking_refs": []string{"m"}}, "value").ID(); got != c.want {
			t.Errorf("%s: %s, want %s", c.value, got, c.want)
		}
	}
}

func TestCanonical(t *testing.T) {
	for _, c := range []struct {
		value any
		want  string
	}{
		{Object{"b": 1, "a": "x"}, `{"a":"x","b":1}`},
		{"<&>", `"<&>"`},
		{"\u2028 and \u2029", "\"\u2028 and \u2029\""},
		{`\u2028`, `"\\u2028"`},
		{"\\\u2028", "\"\\\\\u2028\""},
		{"\x00\b\f\n\r\t\"\\\x1f\x7f", "\"\\u0000\\b\\f\\n\\r\\t\\\"\\\\\\u001f\x7f\""},
		{1.0, "1"}, {0.000001, "0.000001"}, {1e-7, "1e-7"}, {1e21, "1e+21"}, {123456789.125, "123456789.125"},
		{[]string{}, "[]"},
	} {
		got, err := canonical(c.value)
		if err != nil || string(got) != c.want {
			t.Errorf("%q: %s, %v; want %s", c.value, got, err, c.want)
		}
	}
}

func TestTechniqueURL(t *testing.T) {
	if got := TechniqueURL("T1692.001"); got != "https://attack.mitre.org/techniques/T1692/001/" {
		t.Error(got)
	}
}

// TestShelf holds that following twice adds nothing, that a clock that goes back moves no date back, and that a shelf
// made anew holds the same objects in the same order.
func TestShelf(t *testing.T) {
	db, scope := specimen.Store(t)
	spool := specimen.Spool{Sensor: "s1"}
	spool.Deliver(t, db, scope, specimen.Start, specimen.Alerts()...)
	open := func() *Shelf {
		s, err := OpenShelf(filepath.Join(t.TempDir(), "a b?#%.db"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	read := func(s *Shelf) (ids []string, last time.Time) {
		entries, more, err := s.Read(t.Context(), Recipient{Name: "cert"}.Feed(scope.Operator()), Query{Limit: 1000, Versions: Versions{All: true}})
		if err != nil || more {
			t.Fatal(more, err)
		}
		for _, e := range entries {
			if !e.Added.After(last) {
				t.Errorf("%s was added at %v, after one at %v", e.ID, e.Added, last)
			}
			ids, last = append(ids, e.ID+" "+e.Version.String()), e.Added
		}
		return ids, last
	}
	now := specimen.Start.Add(time.Hour)
	clock := func() time.Time { return now }
	shelf := open()
	var versions []string
	for i, step := range []func() error{
		func() error { return nil },
		func() error { _, err := db.Release(t.Context(), scope, "a-104", store.Green, "ann", now); return err },
		func() error { _, err := db.Release(t.Context(), scope, "a-dnp3", store.Amber, "ann", now); return err },
		func() error { _, err := db.Retract(t.Context(), scope, "a-104", "ann", now); return err },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := shelf.Follow(t.Context(), db, scope, Recipient{Name: "cert"}, clock); err != nil {
				t.Fatal(err)
			}
		}
		ids, _ := read(shelf)
		if i > 0 && len(ids) <= len(versions) {
			t.Errorf("step %d adds nothing: %d objects", i, len(ids))
		}
		versions = ids
		now = now.Add(-time.Minute)
	}
	again := open()
	if err := again.Follow(t.Context(), db, scope, Recipient{Name: "cert"}, clock); err != nil {
		t.Fatal(err)
	}
	ids, _ := read(again)
	static := func(ids []string) (out string) {
		for _, id := range ids {
			if !strings.HasPrefix(id, "ipv") && !strings.HasPrefix(id, "network-traffic") { // their version is the date
				out += id + "\n"
			}
		}
		return out
	}
	if got, want := static(ids), static(versions); got != want {
		t.Errorf("made anew it holds\n%s\nwant\n%s", got, want)
	}
}
