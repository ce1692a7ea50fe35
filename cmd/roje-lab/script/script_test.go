package script

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/roje-ot/roje/testdata/need"
)

// shipped reads testdata/acts.json.
func shipped(t *testing.T) (dir string, all []Truth) {
	t.Helper()
	dir = filepath.Join(need.Root(t), "testdata")
	b, err := os.ReadFile(filepath.Join(dir, "acts.json"))
	if err != nil {
		t.Fatal(err)
	}
	var f File
	if err := json.Unmarshal(b, &f); err != nil {
		t.Fatal(err)
	}
	return dir, f.Captures
}

// TestGenerated holds that what is in testdata is what the lab makes: the truth of every capture, and the bytes.
func TestGenerated(t *testing.T) {
	dir, all := shipped(t)
	takes := Takes()
	if len(all) != len(takes) {
		t.Fatalf("acts.json tells of %d captures, the lab makes %d; run make generate", len(all), len(takes))
	}
	for i, take := range takes {
		out := t.TempDir()
		truth, err := take.Make(out, 1+take.salt())
		if err != nil {
			t.Error(err)
			continue
		}
		want, _ := json.Marshal(all[i])
		got, _ := json.Marshal(truth)
		if !bytes.Equal(got, want) {
			t.Errorf("%s: the lab makes another one now; run make generate\ngot  %.300s\nwant %.300s", take.File, got, want)
		}
		a, errA := os.ReadFile(filepath.Join(dir, take.File))
		b, errB := os.ReadFile(filepath.Join(out, take.File))
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Errorf("%s: not the bytes that the lab makes: %v %v", take.File, errA, errB)
		}
	}
}

// TestCoverage holds that the exchanges of each protocol say every code that the stations know.
func TestCoverage(t *testing.T) {
	_, all := shipped(t)
	for _, c := range []struct{ proto, kind, codes string }{
		{"modbus", "request_fc", "1 2 3 4 5 6 7 8 11 12 15 16 17 20 21 22 23 24 43 90"},
		{"modbus", "response_fc", "1 2 3 4 5 6 7 8 11 12 15 16 17 20 21 22 23 24 43 90"},
		{"modbus", "exceptions", "1 2 3 11"},
		{"dnp3", "al_func", "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 129 130 131"},
		{"dnp3", "link_pri", "0 2 4 9"},
		{"dnp3", "link_sec", "0 11"},
		{"iec104", "utypes", "1 2 4 8 16 32"},
		{"iec104", "apci", "0 1 3"},
		{"iec104", "type_ids", "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 30 31 32 33 34 35 36 37 38 39 40 " +
			"45 46 47 48 49 50 51 58 59 60 61 62 63 64 70 100 101 102 103 104 105 107 110 111 112 113 120 121 122 123 124 125 126 127"},
	} {
		said := map[string]int{}
		for _, truth := range all {
			if strings.HasPrefix(truth.File, c.proto+"/") {
				for code, n := range truth.Messages[c.proto][c.kind] {
					said[code] += n
				}
			}
		}
		for _, code := range strings.Fields(c.codes) {
			if said[code] == 0 {
				t.Errorf("%s %s %s is in no exchange", c.proto, c.kind, code)
			}
		}
	}
}

// TestActs holds that each act says who, whom, what should see it and which technique it is, in the catalogue's terms.
func TestActs(t *testing.T) {
	detection, technique := regexp.MustCompile(`^[RACDPLBV][0-9]{2}$`), regexp.MustCompile(`^T[0-9]{4}(\.[0-9]{3})?$`)
	retired := strings.Fields("T0803 T0804 T0855 T0856 T0857 T0839 T0812 T0891 T0805") // became sub-techniques in v19
	names := map[string]bool{}
	for _, a := range Acts {
		if names[a.Name] {
			t.Errorf("%s: two acts have this name", a.Name)
		}
		names[a.Name] = true
		if a.Title == "" || len(a.Victims) == 0 || len(a.Expect) == 0 || len(a.Techniques) == 0 {
			t.Errorf("%s: something is not said: %+v", a.Name, a)
		}
		for _, id := range a.Expect {
			if !detection.MatchString(id) {
				t.Errorf("%s: %q is no detection of the catalogue", a.Name, id)
			}
		}
		for _, id := range a.Techniques {
			for _, old := range retired {
				if id == old {
					t.Errorf("%s: technique %s was revoked in v19", a.Name, id)
				}
			}
			if !technique.MatchString(id) {
				t.Errorf("%s: %q is no technique", a.Name, id)
			}
		}
	}
	expected := map[string]bool{}
	for _, name := range demo {
		a, ok := Named(name)
		if !ok {
			t.Errorf("the demonstration plays %q, which does not exist", name)
		}
		for _, id := range a.Expect {
			expected[id] = true
		}
	}
	if len(expected) < 20 {
		t.Errorf("the demonstration can raise %d detections, want at least 20", len(expected))
	}
}

// TestActTimes holds that each act's window lies in its capture, and that the demonstration plays all of its acts.
func TestActTimes(t *testing.T) {
	_, all := shipped(t)
	for _, truth := range all {
		if strings.HasPrefix(truth.File, "act-") && len(truth.Acts) != 1 || truth.File == "demo.pcap" && len(truth.Acts) != len(demo) {
			t.Errorf("%s: %d acts were played to their end", truth.File, len(truth.Acts))
		}
		for _, a := range truth.Acts {
			if !a.Start.After(truth.Start) || !a.End.After(a.Start) || a.End.After(truth.End) {
				t.Errorf("%s: act %s from %v to %v is not inside the capture from %v to %v", truth.File, a.Act, a.Start, a.End, truth.Start, truth.End)
			}
		}
	}
}
