package sensor

import (
	"crypto/ed25519"
	"encoding/binary"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/sensor/coverage"
	"github.com/roje-ot/roje/sensor/flow"
	"github.com/roje-ot/roje/sensor/spool"
	"github.com/roje-ot/roje/testdata/need"
)

// TestDayOfDaemon runs the daemon over recorded files, twice in a day: each time a statement is signed, written and put
// on its way, and the second one has the sums of both runs, which are those of the flow table.
func TestDayOfDaemon(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(need.Root(t), "testdata", "act-iec104-industroyer2.pcap")
	table := flow.New(flow.Config{Protocols: catalog.All}, flow.Ignore{})
	if err := readCapture(t.Context(), file, table); err != nil {
		t.Fatal(err)
	}
	want := table.Coverage()
	cfg := Config{State: dir, Replay: Recorded{Files: []string{file}}}
	cfg.setDefaults()
	for run := int64(1); run <= 2; run++ {
		if err := Run(t.Context(), cfg, "v", slog.New(slog.NewTextHandler(io.Discard, nil))); err != nil {
			t.Fatal(err)
		}
		days, err := filepath.Glob(filepath.Join(dir, coverageFolder, "*.json"))
		if err != nil {
			t.Fatal(err)
		}
		var total coverage.Sums
		var frames int64
		for _, path := range days { // two, if it is midnight
			s, _, err := coverage.VerifyFile(path)
			if err != nil {
				t.Fatal(err)
			}
			total.Add(&s.Total)
			frames += s.Sources[0].Frames["decoded"]
		}
		if got := run * int64(want.Total.Seen); total.Seen != got || total.Decoded != run*int64(want.Total.Decoded) || total.Packets != run*int64(want.Total.Packets) ||
			total.Waiting != 0 || frames != run*int64(want.Buckets[flow.Decoded]) {
			t.Errorf("run %d: %+v with %d frames, want %d times %+v", run, total, frames, run, want.Total)
		}
	}

	sp, err := spool.Open(spool.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer sp.Close()
	_, key, err := ed25519.GenerateKey(nil)
	if err == nil {
		err = sp.Bind("north", "s1")
	}
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	for lane := range batch.Lane(batch.Lanes) {
		raw, err := sp.Next(lane, spool.Limit{Bytes: 8 << 20}, key, spool.Stamp{Wall: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		if raw == nil {
			continue
		}
		e, _, err := batch.Decode(raw)
		if err != nil {
			t.Fatal(err)
		}
		records, err := e.Records()
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			found[r.Kind]++
			var h batch.Health
			if r.Kind == batch.KindHealth && (json.Unmarshal(r.Body, &h) != nil || h.Coverage == nil || h.Coverage.Seen != h.Coverage.Decoded+h.Coverage.Skipped+h.Coverage.Waiting) {
				t.Errorf("health %s", r.Body)
			}
		}
	}
	if found[batch.KindStatement] < 2 || found[batch.KindHealth] < 2 {
		t.Errorf("in the spool: %v", found)
	}
}

// A dialogue polls over Modbus.
type dialogue struct {
	client, server string
	port           uint16
	seq            [2]uint32
	n              uint16
}

// poll is a request and its answer, as frames.
func (d *dialogue) poll() (frames [2][]byte) {
	d.n++
	for side, payload := range [2][]byte{{0, 0, 0, 0, 0, 6, 1, 3, 0, 0, 0, 2}, {0, 0, 0, 0, 0, 7, 1, 3, 4, 0, 1, 0, 2}} {
		b := segment(d.client, d.port, d.server, 502)
		if side == 1 {
			b = segment(d.server, 502, d.client, d.port)
		}
		binary.BigEndian.PutUint16(payload, d.n)
		binary.BigEndian.PutUint16(b[16:], uint16(40+len(payload)))
		binary.BigEndian.PutUint32(b[38:], 1000+d.seq[side])
		binary.BigEndian.PutUint32(b[42:], 1000+d.seq[1-side])
		d.seq[side] += uint32(len(payload))
		frames[side] = append(b, payload...)
	}
	return frames
}

// TestOneFaultOneAlert plays three masters that poll; some go silent, or one side of a link. What the rules say of a
// station is not said of its links again, and all that is said of a fault is one incident.
func TestOneFaultOneAlert(t *testing.T) {
	need.Long(t)
	talks := [][2]string{{"10.0.0.1", "10.0.1.1"}, {"10.0.0.1", "10.0.1.2"}, {"10.0.0.2", "10.0.1.2"}, {"10.0.0.3", "10.0.1.3"}}
	for _, c := range []struct {
		name string
		keep func(talk, side int) bool
		want map[string]int // alerts by rule
	}{
		{"all goes on", func(int, int) bool { return true }, map[string]int{}},
		{"a station is silent", func(talk, _ int) bool { return talk != 0 }, map[string]int{"B01-station-silent": 1}},
		{"one of two masters of a station is", func(talk, _ int) bool { return talk != 2 }, map[string]int{"sensor-link-silent": 1}},
		{"the mirror loses what a station sends", func(talk, side int) bool { return talk != 0 || side == 0 }, map[string]int{"B01-station-silent": 1, "sensor-link-one-sided": 1}},
		{"the mirror loses what a master sends", func(talk, side int) bool { return talk != 3 || side == 1 }, map[string]int{"sensor-link-one-sided": 1}},
	} {
		dir := t.TempDir()
		var all []dialogue
		for i, ends := range talks {
			all = append(all, dialogue{client: ends[0], server: ends[1], port: uint16(40000 + i)})
		}
		out := []byte{0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0}
		for second := range uint32(240) {
			for i := range all {
				for side, frame := range all[i].poll() {
					if second < 120 || c.keep(i, side) {
						for _, v := range []uint32{1772366400 + second, uint32(1000*i + side), uint32(len(frame)), uint32(len(frame))} {
							out = binary.LittleEndian.AppendUint32(out, v)
						}
						out = append(out, frame...)
					}
				}
			}
		}
		file, alerts := filepath.Join(dir, "x.pcap"), filepath.Join(dir, "alerts")
		if err := os.WriteFile(file, out, 0o600); err != nil {
			t.Fatal(err)
		}
		cfg := Config{State: filepath.Join(dir, "state"), Replay: Recorded{Files: []string{file}}, Alerts: alerts,
			Coverage: coverage.Config{OneSided: 20 * time.Second, Silent: 40 * time.Second, Learn: time.Minute}}
		cfg.setDefaults()
		if err := Run(t.Context(), cfg, "v", slog.New(slog.NewTextHandler(io.Discard, nil))); err != nil {
			t.Fatal(err)
		}
		got, incidents := map[string]int{}, map[string]bool{}
		for _, a := range linesOf[rules.Alert](t, alerts) {
			if a.Count == 1 && (strings.HasPrefix(a.Rule, "sensor-") || strings.HasPrefix(a.Rule, "B01")) {
				got[a.Rule]++
				incidents[a.Incident] = true
			}
		}
		if !maps.Equal(got, c.want) || len(incidents) > 1 || incidents[""] {
			t.Errorf("%s: %v of %d incidents, want %v", c.name, got, len(incidents), c.want)
		}
	}
}

// TestCoverageConfig: what cannot be promised is refused with the key's name.
func TestCoverageConfig(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.yaml")
	for text, want := range map[string]string{
		"coverage: {one_sided: 1s}":               "coverage.one_sided is 1s; the least is 4s",
		"coverage: {onesided: 10s}":               `unknown key "onesided"; did you mean "one_sided"?`,
		"coverage: {learn: 1s, silent: 2s}":       "coverage.silent is 2s; the least is 4s",
		"evidence_to_collector: {send: always}":   `evidence_to_collector.send is "always"`,
		"evidence_to_collector: {day_bytes: 100}": "evidence_to_collector.day_bytes is 100; the least is 1048576",
	} {
		if err := os.WriteFile(path, []byte("interfaces: [x]\n"+text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadConfig(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
