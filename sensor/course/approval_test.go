package course

import (
	"net/netip"
	"testing"
	"time"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

// of returns what is known of point 100.
func (p *plant) of(t *testing.T) (is *Values) {
	is = &Values{}
	t.Helper()
	p.Each(func(v *Values) {
		if v.Addr == 100 {
			is = v
		}
	})
	return is
}

// TestApproval: values are judged by what was approved alone, whatever is learned later; what goes beyond it waits.
func TestApproval(t *testing.T) {
	p := newPlant()
	p.learn(20 * hour)
	if v := p.of(t); !v.Waits() || v.Steady() {
		t.Errorf("learned on one day, and not approved: %+v", v)
	}
	var f rules.Facts
	p.Track(rtu, false).Take(&p.msg, p.at, false, &f) // the last values again, by nobody's approval
	p.msg.Points[0].Value = 500
	if p.Track(rtu, false).Take(&p.msg, p.at, false, &f); f.Odd != 0 {
		t.Errorf("what nobody approved is enforced: %06b", f.Odd)
	}
	p.learn(5 * hour)
	p.approve()
	if v := p.of(t); v.Waits() || !v.Steady() {
		t.Errorf("approved: %+v", v)
	}
	p.learn(hour)
	if p.of(t).Waits() {
		t.Error("values as before wait for approval")
	}
	for range 3 * 360 { // the process has changed
		p.show(true, 20+p.volts(), p.volts())
		p.at += 10 * second
	}
	v := p.of(t)
	if !v.Waits() || v.Learned.High < 128 || v.Approved.High > 113 {
		t.Errorf("values far beyond do not wait: %+v", v)
	}
	p.fresh = false // and nobody approves
	if odd := p.show(false, 20+p.volts(), p.volts()).Odd; odd&rules.ValueOutside == 0 {
		t.Errorf("what was learned after the approval is enforced: %06b", odd)
	}
	at := Point{rtu, protocols.AnalogOut, 100}
	r := &Refusal{Who: "boss", When: time.Unix(0, p.at)}
	p.Refuse(at, r)
	for _, c := range []struct {
		name   string
		later  time.Duration
		beyond float64
		stands bool
	}{{"at once", 0, 0, true}, {"after 89 days", 89 * 24 * time.Hour, 0, true}, {"after 90 days", 90 * 24 * time.Hour, 0, false}, {"values a little beyond", 0, 0.04, true}, {"values beyond", 0, 0.06, false}} {
		l := p.of(t).Learned
		l.High += c.beyond * (l.High - l.Low)
		if got := r.Stands(l.Low, l.High, r.When.Add(c.later)); got != c.stands {
			t.Errorf("%s: the refusal stands: %v", c.name, got)
		}
	}
	p.Approve(at, &Grant{"anna", p.at})
	if v := p.of(t); v.Refused != nil || v.Waits() {
		t.Errorf("approved after all: %+v", v)
	}
	p.Withdraw(netip.MustParseAddr("10.9.9.9"))
	if p.of(t).Approved.N == 0 {
		t.Error("another server's approval was withdrawn")
	}
	p.Withdraw(rtu.Server)
	if v := p.of(t); v.Approved.N != 0 || !v.Waits() {
		t.Errorf("withdrawn: %+v", v)
	}
	p.Forget(rtu.Server)
	if v := p.of(t); v.Learned.N != 0 {
		t.Errorf("forgotten: %+v", v)
	}
}

// TestPut: what was approved elsewhere is enforced, and what is learned here goes on.
func TestPut(t *testing.T) {
	from := newPlant()
	from.learn(day)
	v := from.of(t)
	p := newPlant()
	p.at = from.at
	p.Put(v, &Grant{"anna", 1})
	if odd := p.show(false, 200).Odd; odd != rules.ValueOutside {
		t.Errorf("%06b", odd)
	}
	if got := p.of(t); got.Learned != v.Learned || got.Approved != v.Learned || got.Waits() {
		t.Errorf("%+v", got)
	}
	wider := *v
	wider.Learned.High += 100
	p.Put(&wider, &Grant{"anna", 2})
	if got := p.of(t); got.Learned != v.Learned || got.Approved != wider.Learned || got.By.When != 2 {
		t.Errorf("%+v", got)
	}
}

// TestExtremes: the farthest values of three hours, and which of them make a range doubtful.
func TestExtremes(t *testing.T) {
	var lows, highs Extremes
	for i, v := range []float64{50, 52, 51, 49, 53, 50} {
		lows.Note(v, int64(i)*hour, -1)
		highs.Note(v, int64(i)*hour, 1)
	}
	highs.Note(54, 4*hour, 1) // the farthest of its hour
	highs.Note(53.5, 4*hour, 1)
	if got := lows.String() + " " + highs.String(); got != "49@3,50@0,50@5 54@4,52@1,51@2" {
		t.Error(got)
	}
	if Doubtful(&lows, &highs) {
		t.Error("ordinary values are doubtful")
	}
	highs.Note(70, 9*hour, 1)
	if !Doubtful(&lows, &highs) {
		t.Error("a value of one hour far beyond is not doubtful")
	}
	back, err := ParseExtremes(highs.String())
	if err != nil || back != highs {
		t.Errorf("%v %v", back, err)
	}
	for _, bad := range []string{"5", "5@x", "x@5", "1@1,2@2,3@3,4@4"} {
		if _, err := ParseExtremes(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
