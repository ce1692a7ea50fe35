package baseline

import (
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/roje-ot/roje/rules"
)

// volts plays a measured value around level every five minutes, from one hour to another.
func (b *Baseline) volts(from, to int64, level float64) (odd rules.Odd) {
	for at := from * hour; at < to*hour; at += hour / 12 {
		v := level + math.Sin(float64(at)) // up and down
		odd |= b.play(at, poll, answer.with(func(s *step) { s.points = values(100, v, 7) })).Facts.Odd
	}
	return odd
}

// measured returns the items of measured values.
func measured(b *Baseline) (all []*Item) {
	return slices.DeleteFunc(b.Items(), func(it *Item) bool { return it.Kind != "values" })
}

// metered is a baseline that has learned two measured points for thirty hours, and enforces them.
func metered(t *testing.T, dir string) *Baseline {
	t.Helper()
	b := openIn(t, dir, rules.Learn)
	b.volts(1, 31, 110)
	b.Decide(Choice{Who: "anna", Why: "T-1", At: time.Unix(0, 31*hour), Classes: []Class{Reads}})
	b.SetPhase(rules.Enforce)
	return b
}

// TestValuesAreApproved: what measured values do waits, is approved as any item is, and only then enforced; a version holds
// it, roll-back brings it back, and re-learning begins it anew.
func TestValuesAreApproved(t *testing.T) {
	b := openIn(t, "", rules.Learn)
	b.volts(1, 11, 110)
	if got := classes(b); !slices.Contains(got, "rare: values analog_out") {
		t.Errorf("on one day: %q", got)
	}
	b.volts(11, 31, 110)
	if got := classes(b); !slices.Contains(got, "reads: values analog_out") {
		t.Errorf("on two days: %q", got)
	}
	b.Decide(Choice{Who: "anna", At: time.Unix(0, 31*hour), Classes: []Class{Commands}})
	b.SetPhase(rules.Enforce)
	if odd := b.volts(32, 33, 500); odd != 0 {
		t.Errorf("what waits is enforced: %06b", odd)
	}

	b = metered(t, "")
	if odd := b.volts(31, 33, 110); odd != 0 {
		t.Errorf("as it was learned: %06b", odd)
	}
	if odd := b.volts(33, 34, 500); odd&rules.ValueOutside == 0 {
		t.Errorf("far beyond: %06b", odd)
	}
	if v, _ := b.Versions(); !v[0].Whole || !strings.Contains(export(t, b), `"kind":"values"`) {
		t.Errorf("%+v", v)
	}
	b.SetPhase(rules.Learn)
	b.volts(34, 60, 500)
	if odd := b.Waiting(); len(odd) != 1 || odd[0].Kind != "values" || *odd[0].Addr != 100 || *odd[0].High < 500 {
		t.Errorf("the process has changed, and %d items wait", len(odd))
	}
	b.Decide(Choice{Who: "boss", At: time.Unix(0, 60*hour), Classes: []Class{Reads}})
	b.SetPhase(rules.Enforce)
	if odd := b.volts(60, 61, 500) &^ rules.ValueJumped; odd != 0 {
		t.Errorf("approved after it has changed: %06b", odd)
	}
	if err := b.RollBack(1, netip.Addr{}, "boss", "", time.Unix(0, 62*hour)); err != nil {
		t.Fatal(err)
	}
	if odd := b.volts(62, 63, 500); odd&rules.ValueOutside == 0 {
		t.Errorf("back to the first version: %06b", odd)
	}
	if len(b.Waiting()) != 1 {
		t.Errorf("what is no longer approved does not wait, or more does: %v", b.Waiting()[0])
	}
	if err := b.Relearn(netip.MustParseAddr("10.0.0.1"), "boss", "", time.Unix(0, 64*hour)); err != nil {
		t.Fatal(err)
	}
	if n := len(measured(b)); n != 0 {
		t.Errorf("%d measured points are known of a host that is learned anew", n)
	}
	b.volts(70, 100, 300)
	b.Decide(Choice{Who: "boss", At: time.Unix(0, 100*hour), Classes: []Class{Reads}})
	if got := measured(b); len(got) != 2 || *got[0].Low < 290 || *got[0].High > 310 {
		t.Errorf("learned anew: %v", got)
	}
	if odd := b.volts(100, 101, 110); odd&rules.ValueOutside == 0 {
		t.Errorf("what was before it was learned anew: %06b", odd)
	}
}

// TestValuesOfFewHours: a range that rests on values of an hour or two is shown to a person, not approved in bulk.
func TestValuesOfFewHours(t *testing.T) {
	b := openIn(t, "", rules.Learn)
	b.volts(1, 3, 110)
	b.volts(3, 4, 400) // before enough was learned to call it odd
	b.volts(4, 40, 110)
	if got := classes(b); !slices.Contains(got, "rare: values analog_out") {
		t.Errorf("%q", got)
	}
}

// TestValuesTravel: the export of measured values is the same after a restart, and after an import somewhere else, where
// they are enforced.
func TestValuesTravel(t *testing.T) {
	dir := t.TempDir()
	b := metered(t, dir)
	b.SetPhase(rules.Learn)
	b.volts(31, 60, 900)
	b.SetPhase(rules.Enforce)
	want := export(t, b)
	if strings.Count(want, `"kind":"values"`) != 3 { // what is approved, and what waits of one
		t.Error(want)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = openIn(t, dir, rules.Enforce)
	if got := export(t, b); got != want {
		t.Errorf("after a restart\n got %s\nwant %s", got, want)
	}
	c := openIn(t, t.TempDir(), rules.Enforce)
	if err := c.Import(strings.NewReader(want)); err != nil {
		t.Fatal(err)
	}
	if got := export(t, c); got != want {
		t.Errorf("imported\n got %s\nwant %s", got, want)
	}
	for name, b := range map[string]*Baseline{"restarted": b, "imported": c} {
		if odd := b.volts(61, 62, 900); odd != rules.ValueOutside {
			t.Errorf("%s: %06b", name, odd)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{`"state":"held","course":{}`, `"state":"approved"`, `"state":"approved","course":{"colour":1}`, `"state":"approved","lows":"x","course":{}`} {
		line := `{"kind":"values","server":"10.0.0.1","station":1,"points":"analog_in","addr":1,"low":1,"high":2,"count":5,` + bad + "}\n"
		if err := openIn(t, "", rules.Enforce).Import(strings.NewReader(line)); err == nil {
			t.Errorf("%s was taken", line)
		}
	}
}

// TestValuesOfBefore: a file of before values were approved enforced what was learned of them, and goes on with that; a
// version of then says nothing of them, and going back to it leaves them.
func TestValuesOfBefore(t *testing.T) {
	dir := t.TempDir()
	b := metered(t, dir)
	b.courses.Withdraw(netip.Addr{})
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	asBefore := func(tx *bbolt.Tx) error {
		if err := tx.DeleteBucket([]byte("approval")); err != nil {
			return err
		}
		return tx.Bucket(metaBucket).Delete(valuesKey)
	}
	db, err := bbolt.Open(filepath.Join(dir, fileName), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(asBefore); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for _, run := range []string{"first", "second"} {
		b = openIn(t, dir, rules.Enforce)
		if odd := b.volts(33, 34, 500); odd&rules.ValueOutside == 0 {
			t.Errorf("%s start: %06b", run, odd)
		}
		if got := measured(b); len(got) != 2 || got[0].State != Approved {
			t.Errorf("%s start: %v", run, got)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	b = openIn(t, dir, rules.Enforce)
	defer b.Close()
	b.versions[0].Whole = false
	if err := b.RollBack(1, netip.Addr{}, "anna", "", time.Unix(0, 40*hour)); err != nil {
		t.Fatal(err)
	}
	if odd := b.volts(41, 42, 500); odd&rules.ValueOutside == 0 {
		t.Errorf("after going back to a version of before: %06b", odd)
	}
	b.courses.Withdraw(netip.Addr{})
	if err := b.Flush(); err != nil {
		t.Fatal(err)
	}
	again := openIn(t, copied(t, dir), rules.Enforce)
	defer again.Close()
	if got := measured(again); len(got) == 0 || got[0].State == Approved {
		t.Errorf("what a person has not approved came back as approved: %v", got)
	}
}

// copied copies the state folder of a baseline that is open.
func copied(t *testing.T, dir string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	to := t.TempDir()
	if err := os.WriteFile(filepath.Join(to, fileName), text, 0o600); err != nil {
		t.Fatal(err)
	}
	return to
}
