package baseline

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/rules"
)

// TestAge: what is not seen for its limit is stale and still enforced; what comes seldom by nature has a longer limit; only
// a person takes it out, which is a version, and then it is new. That holds after a restart, and a roll-back brings it back.
func TestAge(t *testing.T) {
	const d = 24 * hour
	dir := t.TempDir()
	b := learned(t, dir)
	keys := func(at int64) (kinds []string) {
		for _, it := range b.Stale(at) {
			kinds = append(kinds, it.Kind)
		}
		return slices.Compact(kinds)
	}
	for at := 2 * d; at < 95*d; at += d / 2 {
		b.play(at, poll, answer)
		if at == 50*d {
			b.play(at, write)
		}
	}
	if got := keys(80 * d); len(got) != 0 {
		t.Errorf("stale after 30 days: %v", got)
	}
	if e := b.play(95*d, write); e.Facts.Novel != 0 {
		t.Errorf("%s", words(e.Facts.Novel))
	}
	for at := 95 * d; at < 300*d; at += d / 2 {
		b.play(at, poll, answer)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = openIn(t, dir, rules.Enforce)
	// The write paused for 50 days before: three times that.
	if got := keys(240 * d); len(got) != 0 {
		t.Errorf("stale in three times its longest pause: %v", got)
	}
	at := 300 * d
	if got := keys(at); !slices.Equal(got, []string{"op", "target"}) || b.CountStale(at) != len(b.Stale(at)) {
		t.Errorf("stale: %v, %d", got, b.CountStale(at))
	}
	if e := write.event(at); true {
		c := openIn(t, "", rules.Enforce)
		if err := c.Import(strings.NewReader(export(t, b))); err != nil {
			t.Fatal(err)
		}
		if c.Judge(e); e.Facts.Novel != 0 {
			t.Errorf("what is stale is no longer enforced: %s", words(e.Facts.Novel))
		}
	}
	now := time.Unix(0, at)
	if _, err := b.Retire("op nobody", "anna", "", now); err == nil {
		t.Error("retired what is not there")
	}
	n, err := b.Retire("", "anna", "pump taken away", now)
	if err != nil || n == 0 || b.CountStale(at) != 0 {
		t.Errorf("%d retired, %d are left: %v", n, b.CountStale(at), err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = openIn(t, dir, rules.Enforce)
	defer b.Close()
	if v, err := b.Versions(); err != nil || len(v) != 2 || v[1].Who != "anna" || v[1].Why != "pump taken away" || v[1].Items != v[0].Items-n {
		t.Errorf("%+v %v", v, err)
	}
	if e := b.play(at, write); e.Facts.Novel&rules.NewOp == 0 || e.Facts.Novel&rules.NewTarget == 0 {
		t.Errorf("what was retired is called %q", words(e.Facts.Novel))
	}
	if err := b.RollBack(1, b.links[firstLink(b)].server.addr, "boss", "", now); err != nil {
		t.Fatal(err)
	}
	if e := b.play(at, write); e.Facts.Novel != 0 {
		t.Errorf("after the roll-back: %s", words(e.Facts.Novel))
	}
}

// TestDriftIsKept: how far a week has widened a range is there after a restart, and work on the plant widens nothing.
func TestDriftIsKept(t *testing.T) {
	dir := t.TempDir()
	b := openIn(t, dir, rules.Learn)
	show := func(at int64, v float64) { b.play(at, answer.with(func(s *step) { s.points = values(100, v) })) }
	for i := range int64(300) {
		show(i*hour/20, 100+float64(i%11)*(1-2*float64(i%2)))
	}
	b.Approve("test", time.Unix(0, 16*hour))
	b.SetPhase(rules.Enforce)
	b.Pause(func(_, _ netip.Addr, _ int64) bool { return true })
	show(17*hour, 111)
	if d := b.Drifts(); len(d) != 0 {
		t.Errorf("during maintenance %+v", d)
	}
	b.Pause(nil)
	show(18*hour, 111)
	want := b.Drifts()
	if len(want) != 1 || want[0].More <= want[0].High {
		t.Fatalf("%+v", want)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = openIn(t, dir, rules.Enforce)
	defer b.Close()
	if got := b.Drifts(); !slices.Equal(got, want) {
		t.Errorf("after a restart %+v, before %+v", got, want)
	}
}
