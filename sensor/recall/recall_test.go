package recall_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/engine"
	"github.com/roje-ot/roje/rules/lang"
	"github.com/roje-ot/roje/rules/pack"
	"github.com/roje-ot/roje/sensor/recall"
	"github.com/roje-ot/roje/testdata/need"
)

func shipped(t testing.TB) []*lang.Rule {
	t.Helper()
	set, err := pack.Rules(catalog.All)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// A sensor is an engine that judges, and what it found.
type sensor struct {
	*engine.Engine
	alerts []string
}

func (s *sensor) fresh(set ...*lang.Rule) func(uint64) *engine.Engine {
	return func(seed uint64) *engine.Engine {
		return engine.New(set, engine.Options{Sensor: "s", Seed: seed, Emit: func(a *rules.Alert) { s.alerts = append(s.alerts, fmt.Sprint(a.ID, a.Count, a.Title)) }})
	}
}

func (s *sensor) save(t testing.TB, st *recall.Store) {
	t.Helper()
	if err := st.Save(func(do func(*engine.Engine)) { do(s.Engine) }); err != nil {
		t.Fatal(err)
	}
}

// start is a sensor's start.
func start(t testing.TB, st *recall.Store, set ...*lang.Rule) (*sensor, *engine.Restored) {
	t.Helper()
	s := &sensor{}
	g, said, warning, err := st.Load(s.fresh(set...))
	if err != nil || warning != nil {
		t.Fatal(warning, err)
	}
	s.Engine = g
	return s, said
}

// TestShippedRules: the sensor is started anew in the midst of what shipped rules with a memory fire on, and finds the same.
// Rules that wait are left out: after a restart they wait anew.
func TestShippedRules(t *testing.T) {
	need.Long(t)
	restarts := 0
	for _, r := range shipped(t) {
		passing := func(w *lang.Word) bool { return w.Name == "connection" } // numbered anew
		if r.State == nil || r.State.Waits() || slices.ContainsFunc(r.State.By, passing) {
			continue
		}
		for i := range r.Tests {
			if !r.Tests[i].Fires {
				continue
			}
			var all []rules.Event
			r.Tests[i].Each(func(e *rules.Event) { all = append(all, *e) })
			st := recall.New(t.TempDir(), []string{"eth1"}, catalog.All)
			want, _ := start(t, st, r)
			s, said := start(t, st, r)
			if said != nil {
				t.Fatal("something is remembered at the first start")
			}
			for k := range all {
				if k == len(all)/2 && k > 0 && all[k].At > all[0].At {
					s.save(t, st)
					before := s.alerts
					if s, said = start(t, st, r); said == nil || said.Rules != 1 {
						t.Fatalf("%s: %+v", r.ID, said)
					}
					s.alerts = before
					restarts++
				}
				want.Judge(&all[k])
				s.Judge(&all[k])
			}
			want.Flush()
			s.Flush()
			if r.State.Rate { // a window that was not watched whole is not counted, which moves the figures a little
				s.alerts, want.alerts = s.alerts[:min(len(s.alerts), 1)], want.alerts[:min(len(want.alerts), 1)]
				if len(s.alerts) == len(want.alerts) {
					continue
				}
			}
			if !slices.Equal(s.alerts, want.alerts) {
				t.Errorf("%s, test %q: started anew it says %q, want %q", r.ID, r.Tests[i].Name, s.alerts, want.alerts)
			}
		}
	}
	if restarts < 30 {
		t.Errorf("%d restarts: too few to tell", restarts)
	}
}

// remember plays something into a new sensor and saves it.
func remember(t testing.TB, st *recall.Store, set []*lang.Rule) *sensor {
	s, _ := start(t, st, set...)
	for _, r := range set {
		at := int64(0)
		r.Tests[0].Each(func(e *rules.Event) {
			if at == 0 {
				at = e.At
			}
			s.Judge(e)
		})
	}
	s.save(t, st)
	return s
}

// TestBroken: a file of no use is set aside, and the rules begin anew.
func TestBroken(t *testing.T) {
	need.Long(t)
	dir, set := t.TempDir(), shipped(t)[:6]
	st := recall.New(dir, nil, catalog.All)
	remember(t, st, set)
	path := filepath.Join(dir, recall.FileName)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(whole) < 1000 {
		t.Fatalf("%d bytes: too few to tell", len(whole))
	}
	flipped := bytes.Clone(whole)
	flipped[len(flipped)*2/3] ^= 4
	for name, text := range map[string][]byte{
		"empty": {}, "its beginning": whole[:3], "no head": whole[:5], "part of its head": whole[:60], "half": whole[:len(whole)/2], "all but a byte": whole[:len(whole)-1],
		"one bit is another": flipped, "more behind": append(bytes.Clone(whole), whole[5:]...), "zeros": make([]byte, len(whole)),
		"another file": []byte(strings.Repeat("what is this? ", 100)), "of a later version": append([]byte("RJRM\x02"), whole[5:]...),
	} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		s := &sensor{}
		g, said, warning, err := st.Load(s.fresh(set...))
		if err != nil || warning == nil || said != nil || g == nil {
			t.Errorf("%s: %v %v %v", name, said, warning, err)
			continue
		}
		if kept, err := os.ReadFile(warning.Kept); err != nil || !bytes.Equal(kept, text) {
			t.Errorf("%s: %d bytes are kept, want %d: %v", name, len(kept), len(text), err)
		}
		if g.Seed() == 0 {
			t.Errorf("%s: no seed", name)
		}
		s.Engine = g
		s.save(t, st)
		if _, said := start(t, st, set...); said == nil || said.Keys != 0 {
			t.Errorf("%s: %+v is remembered", name, said)
		}
	}
}

// TestNotReadable: what may not be read is no reason to forget.
func TestNotReadable(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, recall.FileName), 0o700); err != nil { // reading it fails, for root too
		t.Fatal(err)
	}
	if g, _, warning, err := recall.New(dir, nil, catalog.All).Load((&sensor{}).fresh()); err == nil || warning != nil || g != nil {
		t.Errorf("%v %v %v", g, warning, err)
	}
}

// TestExchanged: where the rules are exchanged while they are saved, the file of before stays.
func TestExchanged(t *testing.T) {
	dir, set := t.TempDir(), shipped(t)[:3]
	st := recall.New(dir, nil, catalog.All)
	remember(t, st, set)
	before, err := os.ReadFile(filepath.Join(dir, recall.FileName))
	if err != nil {
		t.Fatal(err)
	}
	one, other := (&sensor{}).fresh(set...)(1), (&sensor{}).fresh(set...)(2)
	calls := 0
	if err := st.Save(func(do func(*engine.Engine)) {
		if calls++; calls <= 2 {
			do(one)
		} else {
			do(other)
		}
	}); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(filepath.Join(dir, recall.FileName))
	if err != nil || !bytes.Equal(after, before) {
		t.Errorf("the file has changed: %v", err)
	}
	if err := recall.New(filepath.Join(dir, "none"), nil, catalog.All).Save(func(do func(*engine.Engine)) { do(one) }); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// TestSources: what came regularly is expected after a restart where the same interfaces are watched, in whatever order they
// are named; not where others are, nor over recorded files.
func TestSources(t *testing.T) {
	all := shipped(t)
	silent := all[slices.IndexFunc(all, func(r *lang.Rule) bool { return r.ID == "B01-station-silent" })]
	for _, test := range []struct {
		then, now []string
		want      int
	}{
		{[]string{"eth1", "eth2"}, []string{"eth2", "eth1"}, 1},
		{[]string{"eth1"}, []string{"eth2"}, 0},
		{[]string{"eth1", "eth2"}, []string{"eth1"}, 0},
		{nil, nil, 0},
	} {
		dir, last := t.TempDir(), int64(0)
		st := recall.New(dir, test.then, catalog.All)
		s, _ := start(t, st, silent)
		silent.Tests[1].Each(func(e *rules.Event) { s.Judge(e); last = e.At })
		s.save(t, st)
		s, _ = start(t, recall.New(dir, test.now, catalog.All), silent)
		for i := range int64(60) {
			s.Tick(last + (100+i)*1e9)
		}
		if len(s.alerts) != test.want {
			t.Errorf("%v, then %v: %q, want %d alerts", test.then, test.now, s.alerts, test.want)
		}
	}
}

// flood makes an engine remember as much as it can: every host of two networks asks every kind of thing.
func flood(g *engine.Engine) {
	m := &protocols.Message{HasCode: true, HasStation: true}
	e := &rules.Event{Msg: m, Facts: rules.Facts{Phase: rules.Enforce, ServerServes: true, ClientAsks: true}}
	at := int64(1e18)
	for n := range 5000 {
		for _, p := range catalog.All {
			for i := range p.Codes {
				for side := range protocols.Side(2) {
					at += 1e5
					e.At, e.Frame = at, e.Frame+1
					e.Flow.Client = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(n >> 8), byte(n)}), 40000)
					e.Flow.Server = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 2, byte(n >> 8), byte(n)}), p.TCP[0])
					e.Flow.Conn = uint64(n)
					m.Proto, m.Code, m.Op, m.Name, m.From = p, p.Codes[i].Code, p.Codes[i].Op, p.Codes[i].Name, side
					m.Station = uint32(n % 250)
					m.Points = append(m.Points[:0], protocols.Point{Kind: protocols.AnalogIn, Addr: uint32(n), N: 1, Has: protocols.HasValue, Value: float64(n)})
					g.Judge(e)
				}
			}
		}
	}
}

// cpu is the processor time that this process has used, ns.
func cpu() int64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// BenchmarkFull saves and loads what the shipped rules remember after a flood that fills their tables. A start must take at
// most 2 s; the longest part is for how long the engine judges nothing.
func BenchmarkFull(b *testing.B) {
	need.Long(b)
	set := shipped(b)
	dir := b.TempDir()
	st := recall.New(dir, []string{"eth1"}, catalog.All)
	s, _ := start(b, st, set...)
	flood(s.Engine)
	b.Run("save", func(b *testing.B) {
		longest, before := int64(0), cpu()
		for b.Loop() {
			if err := st.Save(func(do func(*engine.Engine)) {
				began := cpu()
				do(s.Engine)
				longest = max(longest, cpu()-began)
			}); err != nil {
				b.Fatal(err)
			}
		}
		info, err := os.Stat(filepath.Join(dir, recall.FileName))
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(cpu()-before)/float64(b.N)/1e6, "cpu-ms/op")
		b.ReportMetric(float64(longest)/1e6, "longest-part-cpu-ms")
		b.ReportMetric(float64(info.Size()), "file-bytes")
	})
	b.Run("load", func(b *testing.B) {
		before, keys := cpu(), 0
		for b.Loop() {
			_, said := start(b, st, set...)
			keys = said.Keys
		}
		b.ReportMetric(float64(cpu()-before)/float64(b.N)/1e6, "cpu-ms/op")
		b.ReportMetric(float64(keys), "keys")
	})
}
