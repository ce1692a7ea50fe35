package sensor

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/attack"
	"github.com/roje-ot/roje/sensor/flow"
	"github.com/roje-ot/roje/testdata/need"
)

// A labCapture is what roje-lab says of a capture that it made: testdata/acts.json.
type labCapture struct {
	File     string
	Messages struct {
		Modbus struct {
			Requests  map[int]int `json:"request_fc"`
			Responses map[int]int `json:"response_fc"`
		}
		DNP3 struct {
			Functions map[int]int `json:"al_func"`
		}
		IEC104 struct {
			Types map[int]int `json:"type_ids"`
		}
	}
	Acts []labAct
}

type labAct struct {
	Act        string
	Start, End time.Time
	Actor      string   `json:"actor_addr"`
	Victims    []string `json:"victim_addrs"`
	Expect     []string // detections of the catalogue, any of which will do
	Malformed  bool
	Technique  string // what an incident of it must be said to be first
}

func labTruth(t *testing.T) (dir string, all []labCapture) {
	t.Helper()
	dir = filepath.Join(need.Root(t), "testdata")
	text, err := os.ReadFile(filepath.Join(dir, "acts.json"))
	if err != nil {
		t.Fatal(err)
	}
	var truth struct{ Captures []labCapture }
	if err := json.Unmarshal(text, &truth); err != nil {
		t.Fatal(err)
	}
	if len(truth.Captures) == 0 {
		t.Fatal("acts.json names no capture")
	}
	return dir, truth.Captures
}

// TestLabCounts holds the messages that the decoders find in each of the lab's captures against those that the lab's own
// masters and outstations say they sent, per code.
func TestLabCounts(t *testing.T) {
	dir, all := labTruth(t)
	messages := 0
	for _, c := range all {
		if slices.ContainsFunc(c.Acts, func(a labAct) bool { return a.Malformed }) {
			continue // what the lab sends there is broken on purpose
		}
		got := &labCounter{requests: map[int]int{}, responses: map[int]int{}, dnp3: map[int]int{}, iec104: map[int]int{}}
		table := flow.New(flow.Config{Protocols: catalog.All}, got)
		if err := readCapture(t.Context(), filepath.Join(dir, c.File), table); err != nil {
			t.Fatalf("%s: %v", c.File, err)
		}
		for _, p := range []struct {
			name      string
			lab, ours map[int]int
		}{
			{"modbus requests", c.Messages.Modbus.Requests, got.requests}, {"modbus responses", c.Messages.Modbus.Responses, got.responses},
			{"dnp3", c.Messages.DNP3.Functions, got.dnp3}, {"iec104", c.Messages.IEC104.Types, got.iec104},
		} {
			for code, n := range p.lab {
				messages += n
				if p.ours[code] != n {
					t.Errorf("%s: %s %d: %d, the lab sent %d", c.File, p.name, code, p.ours[code], n)
				}
			}
			for code, n := range p.ours {
				if p.lab[code] == 0 {
					t.Errorf("%s: %s %d: %d, the lab sent none", c.File, p.name, code, n)
				}
			}
		}
	}
	t.Logf("%d captures, %d messages", len(all), messages)
}

type labCounter struct {
	flow.Ignore
	requests, responses, dnp3, iec104 map[int]int
}

func (l *labCounter) Message(_ *flow.Conn, m *protocols.Message, _ *flow.PacketInfo) {
	if !m.HasCode {
		return
	}
	into := map[string]map[int]int{"dnp3": l.dnp3, "iec104": l.iec104}[m.Proto.Name]
	if m.Proto.Name == "modbus" && m.From == protocols.Client {
		into = l.requests
	} else if m.Proto.Name == "modbus" {
		into = l.responses
	}
	into[int(m.Code)]++
}

// TestLabActs learns two weeks of test runs and the lab's normal day and judges each of its acts of attack: one of the expected detections must name
// one of the hosts between the act's start and a minute after its end, an act is at most two incidents, and the technique
// of the first of them is the act's.
func TestLabActs(t *testing.T) {
	need.Long(t)
	dir, all := labTruth(t)
	state := t.TempDir()
	judged(t, rules.Learn, state, filepath.Join(dir, "weeks-normal.pcap.gz"), filepath.Join(dir, "day-normal.pcapng.gz"))
	set, err := LoadRules("")
	if err != nil {
		t.Fatal(err)
	}
	acts := 0
	for _, c := range all {
		if !strings.HasPrefix(c.File, "act-") {
			continue
		}
		report, err := Judge(t.Context(), Replaying{Captures: []string{filepath.Join(dir, c.File)}, Phase: rules.Enforce, State: state, Warn: io.Discard}, set)
		if err != nil {
			t.Fatal(err)
		}
		for _, act := range c.Acts {
			acts++
			var found []string
			incidents := map[string][]*rules.Alert{}
			first := ""
			expected := false
			for _, a := range report.Alerts {
				if !act.covers(a) {
					continue
				}
				if first == "" {
					first = a.Incident
				}
				found = append(found, a.Rule)
				incidents[a.Incident] = append(incidents[a.Incident], a)
				id, _, _ := strings.Cut(a.Rule, "-")
				expected = expected || slices.Contains(act.Expect, id)
			}
			if !expected || len(incidents) > 2 {
				t.Errorf("%s: want one of %q in at most 2 incidents, got %q in %d", act.Act, act.Expect, found, len(incidents))
			}
			if order := attack.Order(incidents[first]); len(order) == 0 || order[0] != act.Technique {
				t.Errorf("%s: want technique %s first, got %q of %q", act.Act, act.Technique, order, found)
			}
		}
	}
	t.Logf("%d acts of attack, each found", acts)
}

func (a *labAct) covers(alert *rules.Alert) bool {
	if alert.First.After(a.End.Add(time.Minute)) || alert.Last.Before(a.Start) {
		return false
	}
	for _, host := range append([]string{a.Actor}, a.Victims...) {
		if strings.Contains(alert.Client, host) || strings.Contains(alert.Server, host) || strings.Contains(alert.Title, host) {
			return true
		}
	}
	return false
}

// TestLabNormalDay learns one normal day and judges another, with other actions of the operators: nothing of high
// severity, and few incidents.
func TestLabNormalDay(t *testing.T) {
	need.Long(t)
	dir, _ := labTruth(t)
	state := t.TempDir()
	judged(t, rules.Learn, state, filepath.Join(dir, "weeks-normal.pcap.gz"), filepath.Join(dir, "day-normal.pcapng.gz"))
	incidents := map[string]bool{}
	for _, a := range judged(t, rules.Enforce, state, filepath.Join(dir, "day-normal-2.pcap.gz")) {
		t.Logf("%s %s: %s", a.Severity, a.Rule, a.Title)
		incidents[a.Incident] = true
		if a.Severity >= rules.High {
			t.Errorf("%s %s on a normal day", a.Severity, a.Rule)
		}
	}
	const most = 2 // each is the first use of controls that a client did not use on the day that was learned
	if len(incidents) > most {
		t.Errorf("%d incidents on a normal day, want at most %d", len(incidents), most)
	}
}
