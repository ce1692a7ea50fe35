package sensor

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/sensor/baseline"
)

// A ShadowReport says what enforcing a proposal would have raised.
type ShadowReport struct {
	Alerts      []*rules.Alert
	Incidents   int
	Days        float64   // of packet time, from the first message to the last; at least one
	First, Last time.Time // packet times of the first event and the last
}

// Shadow judges captures that were not learned from as if the given classes of what waits in the state folder were
// approved. It changes nothing there.
func Shadow(ctx context.Context, state string, captures []string, classes []baseline.Class, warn io.Writer) (*ShadowReport, error) {
	return report(ctx, Replaying{Captures: captures, State: state, Phase: rules.Enforce, Shadow: classes, Warn: warn})
}

// report replays as r says and gathers what that raises.
func report(ctx context.Context, r Replaying) (*ShadowReport, error) {
	dir, err := os.MkdirTemp("", "roje-shadow-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	var span span
	r.Alerts = filepath.Join(dir, "alerts")
	r.seen = span.take
	if err := Replay(ctx, r); err != nil {
		return nil, err
	}
	f, err := os.Open(r.Alerts)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	report := &ShadowReport{Days: max(float64(span.last-span.first)/86400e9, 1), First: time.Unix(0, span.first).UTC(), Last: time.Unix(0, span.last).UTC()}
	incidents := map[string]bool{}
	dec := json.NewDecoder(bufio.NewReader(f))
	for {
		a := &rules.Alert{}
		if err := dec.Decode(a); err == io.EOF {
			break
		} else if err != nil {
			return nil, err
		}
		report.Alerts = append(report.Alerts, a)
		incidents[a.Incident] = true
	}
	report.Incidents = len(incidents)
	return report, nil
}

// A span is the packet time from the first event to the last.
type span struct{ first, last int64 }

func (s *span) take(e *rules.Event) {
	if s.first == 0 || e.At < s.first {
		s.first = e.At
	}
	s.last = max(s.last, e.At)
}

// String says it for people: the figure a day first, then the noisiest rules.
func (r *ShadowReport) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "would have raised %.1f incidents a day: %d incidents, %d alerts in %.1f days\n", float64(r.Incidents)/r.Days, r.Incidents, len(r.Alerts), r.Days)
	byRule := map[string][]*rules.Alert{}
	for _, a := range r.Alerts {
		byRule[a.Rule] = append(byRule[a.Rule], a)
	}
	names := slices.SortedFunc(maps.Keys(byRule), func(x, y string) int {
		return cmp.Or(len(byRule[y])-len(byRule[x]), cmp.Compare(x, y))
	})
	for _, name := range names {
		all := byRule[name]
		fmt.Fprintf(&b, "%4d  %-8s %s, such as: %s\n", len(all), all[0].Severity, name, all[0].Title)
	}
	return b.String()
}
