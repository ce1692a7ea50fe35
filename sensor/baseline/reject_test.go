package baseline

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

// TestReject: what a person has rejected is not proposed, approved in bulk, or taken into a candidate, over a restart too;
// after 90 days, or once it has changed, it is proposed again. A person may approve it by itself all the same.
func TestReject(t *testing.T) {
	dir := t.TempDir()
	b := openIn(t, dir, rules.Learn)
	b.steadily(poll, answer, write.with(func(s *step) { s.points = values(50, 20) }))
	now := time.Unix(0, 30*hour)
	choice := Choice{Who: "anna", Why: "not ours", At: now}
	const op, points, target = "op 10.0.0.10 > 10.0.0.1:502/modbus station 00001 from client code 006", "points 10.0.0.1 station 00001 analog_out pending", "target 10.0.0.1 station 00001 analog_out 00000050"
	proposed := func(now time.Time) (all []string) {
		for _, g := range b.Propose(now) {
			for _, it := range g.Items {
				all = append(all, strings.TrimSpace(it.Key()+" "+it.Ranges))
			}
		}
		return all
	}
	before := proposed(now)
	for _, key := range []string{op, points, target} {
		if n, err := b.Reject(key, choice); n != 1 || err != nil {
			t.Fatalf("%s: %d, %v\n%q", key, n, err, before)
		}
	}
	if _, err := b.Reject("nothing", choice); err == nil {
		t.Error("what does not wait was rejected")
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = openIn(t, dir, rules.Learn)
	defer b.Close()
	if got := proposed(now); len(got) != len(before)-3 || slices.Contains(got, op) || slices.Contains(got, target) {
		t.Errorf("proposed all the same: %q", got)
	}
	if n := b.CountRejected(now); n != 3 {
		t.Errorf("%d items are rejected", n)
	}
	if got := proposed(now.Add(89 * 24 * time.Hour)); len(got) != len(before)-3 {
		t.Errorf("after 89 days: %q", got)
	}
	if got := proposed(now.Add(90 * 24 * time.Hour)); !slices.Equal(got, before) {
		t.Errorf("after 90 days %q, want %q", got, before)
	}
	b.play(26*hour, write.with(func(s *step) { s.points = values(50, 99) }), answer.with(func(s *step) { s.points = values(200, 1) }))
	got := proposed(now)
	if !slices.Contains(got, target) || !slices.Contains(got, points+" 200") || slices.Contains(got, op) {
		t.Errorf("what has changed: %q", got)
	}
	candidate, err := b.Candidate([]Class{Reads, Commands, Mixed, Rarely}, now)()
	if err != nil || candidate == nil {
		t.Fatal(candidate, err)
	}
	if e := candidate.play(31*hour, write); e.Facts.Approved {
		t.Error("the candidate enforces what was rejected")
	}
	b.Decide(Choice{Who: "anna", At: now, Classes: []Class{Reads, Commands, Rarely}})
	if it := find(t, b, op); it.State == Approved || it.Rejected == nil || it.Rejected.Who != "anna" || it.Rejected.Why != "not ours" {
		t.Errorf("%+v", it)
	}
	if err := b.ApproveItem(op, "boss", "", now); err != nil {
		t.Fatal(err)
	}
	if it := find(t, b, op); it.State != Approved || it.Rejected != nil {
		t.Errorf("%+v", it)
	}
	if n, err := b.Reject("", Choice{Who: "anna", At: now, Host: netip.MustParseAddr("10.0.0.1")}); n == 0 || err != nil {
		t.Errorf("all of a host: %d, %v", n, err)
	}
	if got := proposed(now); len(got) != 0 {
		t.Errorf("%q", got)
	}
}

// TestRejectValues: the same for what measured values do.
func TestRejectValues(t *testing.T) {
	b := openIn(t, "", rules.Learn)
	b.volts(1, 31, 110)
	now := time.Unix(0, 31*hour)
	const key = "values 10.0.0.1 station 00001 analog_out 00000100 pending"
	if n, err := b.Reject(key, Choice{Who: "anna", At: now}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	b.volts(31, 40, 110)
	if got := classes(b); slices.Contains(got, "reads: values analog_out") && len(measured(b)) == 1 {
		t.Errorf("%q", got)
	}
	if n := b.CountRejected(now); n != 1 {
		t.Errorf("%d are rejected", n)
	}
	b.volts(40, 70, 400)
	if n := b.CountRejected(now); n != 0 {
		t.Error("values far beyond what was rejected are not proposed")
	}
}

func find(t *testing.T, b *Baseline, key string) *Item {
	t.Helper()
	for _, it := range b.Items() {
		if it.Key() == key {
			return it
		}
	}
	t.Fatalf("no item %q", key)
	return nil
}

// engineering is lists that hold one run of points of a station.
type engineering struct {
	kind     protocols.Kind
	from, to uint32
}

func (l engineering) Within(server netip.Addr, station uint32, kind protocols.Kind, from, to uint32, each func(from, to uint32, name string)) {
	if server.String() == "10.0.0.1" && station == 1 && kind == l.kind && from <= l.to && to >= l.from {
		each(max(from, l.from), min(to, l.to), "float voltage")
	}
}

// TestEngineered: points of a list are never rare, and approved with what changes nothing; the diff names them, and a
// version does not, since a list is no decision. A range that few hours have seen still asks a person.
func TestEngineered(t *testing.T) {
	b := openIn(t, "", rules.Learn)
	b.play(hour, poll, answer, write, write.with(func(s *step) { s.code, s.points = 5, []protocols.Point{{Kind: protocols.AnalogOut, Addr: 51, N: 1}} }))
	b.Use(engineering{protocols.AnalogOut, 50, 101})
	if got := classes(b); !slices.Contains(got, "engineered: points analog_out 100-101") || !slices.Contains(got, "rare: points analog_out 102-103") ||
		!slices.Contains(got, "engineered: target analog_out") || !slices.Contains(got, "rare: target analog_out") {
		t.Errorf("%q", got)
	}
	const target = "target 10.0.0.1 station 00001 analog_out 00000050"
	if it := find(t, b, target); it.Engineered != "float voltage" || !strings.Contains(it.Text(), "float voltage") {
		t.Errorf("%+v", it)
	}
	if it := find(t, b, "points 10.0.0.1 station 00001 analog_out pending"); it.Engineered != "100-101" {
		t.Errorf("%+v", it)
	}
	b.Decide(Choice{Who: "anna", At: time.Unix(0, 30*hour), Classes: []Class{Listed}})
	if it := find(t, b, target); it.State != Pending { // a value of one hour
		t.Errorf("%+v", it)
	}
	if it := find(t, b, strings.Replace(target, "50", "51", 1)); it.State != Approved {
		t.Errorf("%+v", it)
	}
	if it := find(t, b, "points 10.0.0.1 station 00001 analog_out approved"); it.Ranges != "100-101" {
		t.Errorf("%+v", it)
	}
	if items, err := b.itemsOf(1); err != nil || items[0].Engineered != "" {
		t.Errorf("%+v, %v", items, err)
	}
	if text := export(t, b); !strings.Contains(text, `"engineered":"float voltage"`) {
		t.Error(text)
	} else if err := openIn(t, "", rules.Learn).Import(strings.NewReader(text)); err != nil {
		t.Error(err)
	}

	b = openIn(t, "", rules.Learn)
	b.Use(engineering{protocols.AnalogOut, 50, 101})
	for h, v := range []float64{20, 21, 22, 23, 900} {
		b.play(int64(h)*6*hour, poll, answer, write.with(func(s *step) { s.points = values(50, v) }))
	}
	if got := classes(b); !slices.Contains(got, "rare: target analog_out") {
		t.Errorf("a range of one hour far beyond: %q", got)
	}
}
