package course

import (
	"testing"

	"github.com/roje-ot/roje/rules"
)

// TestDrift: a value that creeps is followed by 5 % of the learned range in a week and no more, over a restart too; then it
// is said to be at its bound, and what lies beyond the margin is odd as before. Where nothing may be learned, nothing is.
func TestDrift(t *testing.T) {
	p := newPlant()
	p.learn(21 * day)
	low, high := p.rangeOf(t)
	width := high - low
	p.Fixed = true
	p.show(false, high+0.02*width, p.volts())
	if len(p.Drifts()) != 0 {
		t.Error("the range was widened where nothing may be learned")
	}
	p.Fixed = false
	step := func(by float64) rules.Odd {
		p.at += 10 * second
		return p.show(false, high+by*width, p.volts()).Odd &^ rules.ValueJumped
	}
	if odd := step(0.03); odd != 0 {
		t.Errorf("%06b", odd)
	}
	restart(t, p)
	if odd := step(0.04) | step(0.049); odd != 0 {
		t.Errorf("%06b", odd)
	}
	step(0.09)
	d := p.Drifts()
	if len(d) != 1 || d[0].Addr != 100 || !d[0].Bound || d[0].Low != low || d[0].High != high || d[0].More < high+0.0499*width || d[0].More > high+0.0501*width {
		t.Fatalf("%+v, learned %g to %g", d, low, high)
	}
	restart(t, p)
	step(0.09)
	if got := p.Drifts(); len(got) != 1 || got[0] != d[0] {
		t.Errorf("after a restart %+v, before %+v", got, d)
	}
	if step(0.2)&rules.ValueOutside == 0 {
		t.Error("a value far beyond is not odd")
	}
	p.at += week
	step(0.09)
	if got := p.Drifts(); got[0].More < high+0.08*width || got[0].More > high+0.1001*width {
		t.Errorf("a week later %+v", got)
	}
}

// rangeOf is what was learned of point 100.
func (p *plant) rangeOf(t *testing.T) (low, high float64) {
	t.Helper()
	for _, page := range p.Track(rtu, false).pages {
		if c := &page.courses[100%pageSize]; c.N > 0 {
			return c.Low, c.High
		}
	}
	t.Fatal("nothing was learned")
	return 0, 0
}

// restart stores what has changed and reads it into a new memory.
func restart(t *testing.T, p *plant) {
	t.Helper()
	next := &Memory{}
	rows := map[string][][2][]byte{}
	p.Rows(func(table string, key, value []byte) { rows[table] = append(rows[table], [2][]byte{key, value}) })
	for _, table := range Tables() {
		for _, row := range rows[table] {
			if err := next.Load(table, row[0], row[1]); err != nil {
				t.Fatal(err)
			}
		}
	}
	p.Memory = next
}
