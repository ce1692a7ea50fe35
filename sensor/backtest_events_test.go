package sensor

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/lang"
	"github.com/roje-ot/roje/sensor/events"
	"github.com/roje-ot/roje/sensor/plant"
	"github.com/roje-ot/roje/testdata/need"
)

// keep replays a capture as o says, and stores its events in a new folder.
func keep(t *testing.T, o Replaying, set []*lang.Rule, also func(*rules.Event)) (dir string, alerts []string, stats events.Stats) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "events")
	store, err := events.Open(events.Options{Dir: dir, Bytes: 1 << 30, Days: 3650, Protocols: catalog.All, Failed: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	o.Warn, o.set = io.Discard, set
	o.Alerts = filepath.Join(t.TempDir(), "alerts")
	o.kept = func(e *rules.Event) {
		also(e)
		store.Take(e)
	}
	if err := Replay(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(o.Alerts)
	if err != nil {
		t.Fatal(err)
	}
	return dir, strings.FieldsFunc(string(text), func(r rune) bool { return r == '\n' }), store.Stats()
}

// TestStoredEvents judges each of the lab's captures and the events that were stored of it: every word of the rule
// language has the same value for every event, and the same alerts come. Of `content` a hash is kept, which is another
// number but equal for equal content.
func TestStoredEvents(t *testing.T) {
	need.Long(t)
	dir, all := labTruth(t)
	state := t.TempDir()
	judged(t, rules.Learn, state, filepath.Join(dir, "day-normal.pcapng.gz"))
	set, err := LoadRules("")
	if err != nil {
		t.Fatal(err)
	}
	var words, ofPoint []*lang.Word
	for _, w := range lang.NewVocabulary(catalog.All).Words() {
		if !w.State && w.Name != "content" {
			words = append(words, w)
		}
		if slices.Contains([]string{"addr", "kind", "control", "value", "quality", "invalid", "forced", "skew_ms"}, w.Name) {
			ofPoint = append(ofPoint, w)
		}
	}
	line := func(env *lang.Env, e *rules.Event) (b []byte) {
		env.E = e
		for _, w := range words {
			b = append(append(append(append(b, w.Name...), '='), w.Append(nil, env)...), ' ')
		}
		if e.Msg != nil {
			for i := range e.Msg.Points {
				env.Point = i
				for _, w := range ofPoint {
					b = w.Append(b, env)
				}
			}
			env.Point = 0
		}
		return b
	}
	alerts, stored, bytesOnDisk := 0, 0, int64(0)
	for _, c := range all {
		if !strings.HasPrefix(c.File, "act-") {
			continue
		}
		var want [][]byte
		var env lang.Env
		folder, live, stats := keep(t, Replaying{Captures: []string{filepath.Join(dir, c.File)}, Phase: rules.Enforce, State: state}, set, func(e *rules.Event) {
			want = append(want, line(&env, e))
		})
		n, wrong := 0, 0
		var again lang.Env
		r, err := events.Play(t.Context(), folder, catalog.All, func(e *rules.Event) {
			if got := line(&again, e); n >= len(want) || !bytes.Equal(got, want[n]) {
				if wrong++; wrong == 1 {
					t.Errorf("%s: event %d\nstored %s\nwas    %s", c.File, n, got, want[min(n, len(want)-1)])
				}
			}
			n++
		})
		if err != nil || n != len(want) || len(r.Skipped) > 0 || r.Unknown > 0 || stats.Dropped > 0 {
			t.Errorf("%s: %d of %d events, %+v, %+v, %v", c.File, n, len(want), r, stats, err)
		}
		b := &Backtest{Rules: set, New: &ShadowReport{}, Old: &ShadowReport{}}
		if err := b.stored(t.Context(), Backtesting{Events: folder, Warn: io.Discard}, nil, &plant.Book{}); err != nil {
			t.Fatal(err)
		}
		if len(b.New.Alerts) != len(live) {
			t.Errorf("%s: %d alerts of what was stored, %d of the capture", c.File, len(b.New.Alerts), len(live))
			continue
		}
		for i, a := range b.New.Alerts {
			text, err := json.Marshal(a)
			if err != nil || string(text) != live[i] {
				t.Errorf("%s: %s\nof the capture %s", c.File, text, live[i])
			}
		}
		alerts += len(live)
		stored += n
		bytesOnDisk += stats.Bytes
	}
	if alerts < 50 {
		t.Errorf("only %d alerts were compared", alerts)
	}
	t.Logf("%d events, %d alerts, %d bytes on disk", stored, alerts, bytesOnDisk)
}

// threadCPU is how long this thread has run, ns.
func threadCPU(b *testing.B) int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		b.Fatal(err)
	}
	return t.Nano()
}

// BenchmarkTake measures what CPU storing an event costs its caller, over the lab's normal day with what was learned of it,
// and how many bytes an event takes on disk. The disk's own goroutine is not part of the time.
func BenchmarkTake(b *testing.B) {
	day := filepath.Join(need.Root(b), "testdata", "day-normal.pcapng.gz")
	store := func() *events.Store {
		s, err := events.Open(events.Options{Dir: b.TempDir(), Bytes: 1 << 30, Days: 30, Protocols: catalog.All})
		if err != nil {
			b.Fatal(err)
		}
		return s
	}
	once := store()
	const again = 20
	timed, n, spent := store(), 0, int64(0)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := Replay(b.Context(), Replaying{Captures: []string{day}, Phase: rules.Off, Warn: io.Discard, set: []*lang.Rule{}, kept: func(e *rules.Event) {
		once.Take(e)
		n++
		if n > 200000 {
			return
		}
		began := threadCPU(b)
		for range again {
			timed.Take(e)
		}
		spent += threadCPU(b) - began
	}}); err != nil {
		b.Fatal(err)
	}
	if err := errors.Join(once.Close(), timed.Close()); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(spent)/float64(min(n, 200000)*again), "cpu-ns/event")
	b.ReportMetric(float64(once.Stats().Bytes)/float64(once.Stats().Taken), "bytes/event")
	b.ReportMetric(float64(once.Stats().Taken), "events")
}
