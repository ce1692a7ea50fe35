package sensor

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/lang"
	"github.com/roje-ot/roje/sensor/ledger"
	"github.com/roje-ot/roje/sensor/plant"
	"github.com/roje-ot/roje/testdata/need"
)

// labLists are the point lists of the lab's stations, as the demo's configuration names them.
func labLists(t testing.TB) []plant.File {
	dir := filepath.Join(need.Root(t), "testdata", "points")
	four, five := uint32(4), uint32(5)
	return []plant.File{{Path: filepath.Join(dir, "substation.csv")}, {Path: filepath.Join(dir, "telecom.csv")},
		{Path: filepath.Join(dir, "rtu-4.xml"), Station: &four, Assets: []string{"10.10.1.104"}},
		{Path: filepath.Join(dir, "rtu-5.xml"), Station: &five, Assets: []string{"10.10.1.105"}}}
}

// TestNames holds that the alerts, the ledger and the evidence of the demo's capture say what the lists call points, that
// no alert is another one for it, and that the lines keep to their schemas.
func TestNames(t *testing.T) {
	dir := t.TempDir()
	capture := filepath.Join(need.Root(t), "testdata", "demo.pcap")
	at := func(name string) string { return filepath.Join(dir, name) }
	set, err := LoadRules("")
	if err != nil {
		t.Fatal(err)
	}
	run := func(suffix string, lists []plant.File) {
		t.Helper()
		r := Replaying{Captures: []string{capture}, Alerts: at("alert" + suffix), Ledger: at("ledger" + suffix), Points: lists, Phase: rules.Off, Warn: io.Discard, set: set}
		if lists != nil {
			r.Evidence = at("evidence")
		}
		if err := Replay(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	run("", labLists(t))
	run("-plain", nil)
	for _, name := range []string{"alert", "ledger"} {
		if checkLines(t, at(name), schema(t, name)) == 0 {
			t.Errorf("no %s", name)
		}
	}
	for _, c := range []struct{ file, part string }{
		{"alert", `"name":"relay 1, bay E06"`}, {"alert", "relay 1, bay E06 (binary output 0) = 0"},
		{"alert", "distance protection in service, bay E04 (object 5003) = 0"},
		{"ledger", `"name":"tap changer T1, bay E03"`}, {"ledger", `"name":"relay 1, bay E06"`},
	} {
		text, err := os.ReadFile(at(c.file))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(text, []byte(c.part)) {
			t.Errorf("%s lacks %s", c.file, c.part)
		}
	}
	comments := 0
	files, _ := filepath.Glob(at("evidence/*.pcapng"))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		comments += bytes.Count(text, []byte("binary_out 0 (relay 1, bay E06)"))
	}
	if comments == 0 {
		t.Errorf("no comment in %d files of evidence names a relay", len(files))
	}
	ids := func(name string) (all []string) {
		text, err := os.ReadFile(at(name))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			var a struct{ ID, Rule string }
			if err := json.Unmarshal([]byte(line), &a); err != nil {
				t.Fatal(err)
			}
			all = append(all, a.ID+" "+a.Rule)
		}
		return all
	}
	for _, name := range []string{"alert", "ledger"} {
		if with, without := strings.Join(ids(name), "\n"), strings.Join(ids(name+"-plain"), "\n"); with != without {
			t.Errorf("%s with names is another one than without:\n%s\n\n%s", name, with, without)
		}
	}
}

// TestComparePoints compares the lab's lists with its normal day: the lists of its 104 and DNP3 stations are exact.
func TestComparePoints(t *testing.T) {
	r, err := ComparePoints(t.Context(), Comparing{Lists: labLists(t), Captures: []string{filepath.Join(need.Root(t), "testdata", "day-normal.pcapng.gz")}, Warn: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	s := schema(t, "points")
	for _, f := range r.Findings {
		count[f.Proto+" "+f.Finding]++
		line, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(line))
		if err == nil {
			err = s.Validate(v)
		}
		if err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	delete(count, "iec104 "+plant.NeverCommanded) // operators give few of them in a day
	if len(count) != 2 || count["modbus "+plant.NotListed] == 0 || count["modbus "+plant.NeverSeen] != 1 || len(r.Without) > 0 || r.Sighted < 140 {
		t.Errorf("findings %v, %d stations without a list, %d of %d points seen:\n%s", count, len(r.Without), r.Sighted, r.Listed, r)
	}
}

// TestListedMappings holds that a whole normal day of the lab misses no effect where the lists say what follows what, and
// that the lists bring more effects to light than learning alone.
func TestListedMappings(t *testing.T) {
	effects := func(lists []plant.File) (seen, missing int) {
		var records int
		path := filepath.Join(t.TempDir(), "ledger")
		r := Replaying{Captures: []string{filepath.Join(need.Root(t), "testdata", "day-normal-2.pcap.gz")}, Ledger: path, Points: lists, Phase: rules.Off, Warn: io.Discard,
			set: []*lang.Rule{}, kept: func(e *rules.Event) {
				if e.Act != nil && e.Act.Effect == rules.EffectMissing {
					missing++
				}
			}}
		if err := Replay(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			var rec ledger.Record
			if err := json.Unmarshal([]byte(line), &rec); err != nil {
				t.Fatal(err)
			}
			if records++; rec.Effect != nil {
				seen++
			}
		}
		return seen, missing
	}
	with, missing := effects(labLists(t))
	without, _ := effects(nil)
	t.Logf("effects seen: %d with lists, %d without", with, without)
	if missing > 0 || with < without || with == 0 {
		t.Errorf("%d effects are missed; %d are seen with lists, %d without", missing, with, without)
	}
}

// TestReloadLists holds that a daemon reads its lists at the start and anew with its rules, and that it goes on with those
// before where something is wrong with them.
func TestReloadLists(t *testing.T) {
	path := put(t, filepath.Join(t.TempDir(), "list.csv"), "ca;ioa;type;name\n1;1001;31;breaker Q0\n")
	d := standing(t, Config{Points: []plant.File{{Path: path}}, Replay: Recorded{Files: []string{filepath.Join(need.Root(t), "testdata", "demo.pcap")}}}, slog.New(slog.DiscardHandler))
	points := func() int {
		d.rules.mu.Lock()
		defer d.rules.mu.Unlock()
		return len(d.rules.book.Points.Points)
	}
	if n := points(); n != 1 {
		t.Fatalf("%d points at the start", n)
	}
	put(t, path, "ca;ioa;type;name\n1;1001;31;breaker Q0\n1;1002;31;isolator Q1\n")
	if _, _, err := d.reloadRules(); err != nil || points() != 2 {
		t.Errorf("%d points after the list has grown: %v", points(), err)
	}
	put(t, path, "ca;ioa;type;name\n1;1001;31;breaker Q0\n1;x;31;isolator Q1\n")
	if _, _, err := d.reloadRules(); err == nil || !strings.Contains(err.Error(), path+`:3:3: ioa "x"`) || points() != 2 {
		t.Errorf("%d points after the list is wrong: %v", points(), err)
	}
}
