package course

import (
	"cmp"
	"math"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

// A plant is a station whose values a test makes up.
type plant struct {
	*Memory
	noise *rand.Rand
	at    int64
	msg   protocols.Message
	fresh bool // something was learned since the last approval
}

var rtu = Key{netip.MustParseAddr("10.0.0.1"), 1}

func newPlant() *plant {
	return &plant{Memory: &Memory{}, noise: rand.New(rand.NewPCG(1, 2)), at: hour}
}

// show has the station show the values of the points 100, 101 and so on. When learning ends, what was learned is approved.
func (p *plant) show(learn bool, values ...float64) (f rules.Facts) {
	if !learn && p.fresh {
		p.approve()
	}
	p.fresh = learn
	p.msg.Points = p.msg.Points[:0]
	for i, v := range values {
		p.msg.Points = append(p.msg.Points, protocols.Point{Kind: protocols.AnalogOut, Has: protocols.HasValue, Addr: 100 + uint32(i), N: 1, Value: v})
	}
	p.Track(rtu, true).Take(&p.msg, p.at, learn, &f)
	return f
}

// approve approves all that was learned.
func (p *plant) approve() {
	p.fresh = false
	p.Each(func(v *Values) { p.Approve(v.Point, &Grant{"anna", p.at}) })
}

// write has a client write point 100.
func (p *plant) write(v float64) {
	p.msg.Points = append(p.msg.Points[:0], protocols.Point{Kind: protocols.AnalogOut, Has: protocols.HasValue, Addr: 100, N: 1, Value: v})
	p.Track(rtu, true).Written(&p.msg, p.at)
}

// volts is a noisy value around 110, between about 108 and 112.
func (p *plant) volts() float64 {
	return 110 + 1.5*math.Sin(float64(p.at)/float64(hour)) + p.noise.Float64() - 0.5
}

// learn shows two points for a time, every ten seconds.
func (p *plant) learn(long int64) {
	for end := p.at + long; p.at < end; p.at += 10 * second {
		p.show(true, p.volts(), p.volts())
	}
}

// TestJudge: what is odd about values after a day of learning, and what is not.
func TestJudge(t *testing.T) {
	for _, c := range []struct {
		name string
		long int64 // of learning
		play func(p *plant) rules.Odd
		want rules.Odd
	}{
		{"as it was", day, func(p *plant) (odd rules.Odd) {
			for range 5000 {
				odd |= p.show(false, p.volts(), p.volts()).Odd
				p.at += 10 * second
			}
			return odd
		}, 0},
		{"far outside", day, func(p *plant) rules.Odd { return p.show(false, 130, p.volts()).Odd }, rules.ValueOutside | rules.ValueJumped},
		{"a little outside, after a day", day, func(p *plant) rules.Odd { return p.show(false, 112.6, p.volts()).Odd &^ rules.ValueJumped }, 0},
		{"a little outside, after three weeks", 21 * day, func(p *plant) rules.Odd { return p.show(false, 112.6, p.volts()).Odd &^ rules.ValueJumped }, rules.ValueOutside},
		{"far outside, but hardly learned", 2 * hour, func(p *plant) rules.Odd { return p.show(false, 130, p.volts()).Odd }, 0},
		{"far outside, after a pause", day, func(p *plant) rules.Odd { p.at += hour; return p.show(false, 130, p.volts()).Odd }, rules.ValueOutside},
		{"a point that nobody learned", day, func(p *plant) rules.Odd {
			var f rules.Facts
			p.msg.Points = append(p.msg.Points[:0], protocols.Point{Kind: protocols.AnalogIn, Has: protocols.HasValue, Addr: 9, N: 1, Value: 5})
			p.Track(rtu, false).Take(&p.msg, p.at, false, &f)
			return f.Odd
		}, 0},
		{"a value marked invalid", day, func(p *plant) rules.Odd {
			var f rules.Facts
			p.msg.Points = append(p.msg.Points[:0], protocols.Point{Kind: protocols.AnalogOut, Has: protocols.HasValue | protocols.HasQuality, Quality: protocols.Invalid, Addr: 100, N: 1, Value: 500})
			p.Track(rtu, false).Take(&p.msg, p.at, false, &f)
			return f.Odd
		}, 0},
		{"frozen while its neighbour moves", day, func(p *plant) (odd rules.Odd) {
			for range 200 {
				odd |= p.show(false, 110, p.volts()).Odd
				p.at += 10 * second
			}
			return odd
		}, rules.ValueFrozen},
		{"all stand still", day, func(p *plant) (odd rules.Odd) {
			for range 200 {
				odd |= p.show(false, 110, 110).Odd
				p.at += 10 * second
			}
			return odd
		}, 0},
		{"an hour is played again", day, func(p *plant) (odd rules.Odd) {
			var tape []float64
			for range 360 {
				tape = append(tape, p.volts())
				p.show(false, tape[len(tape)-1], p.volts())
				p.at += 10 * second
			}
			for _, v := range tape {
				odd |= p.show(false, v, p.volts()).Odd
				p.at += 10 * second
			}
			return odd
		}, rules.ValueReplayed},
		{"written and kept", day, func(p *plant) rules.Odd { p.write(110.5); p.at += second; return p.show(false, 110.5, p.volts()).Odd }, 0},
		{"written and not kept", day, func(p *plant) rules.Odd { p.write(111); p.at += second; return p.show(false, 110.5, p.volts()).Odd }, rules.ValueNotKept},
		{"read back too late to tell", day, func(p *plant) rules.Odd { p.write(111); p.at += 2 * minute; return p.show(false, 110.5, p.volts()).Odd }, 0},
		{"refused", day, func(p *plant) rules.Odd {
			p.write(111)
			p.Track(rtu, false).Refused()
			p.at += second
			return p.show(false, 110.5, p.volts()).Odd
		}, 0},
		{"an attack of an hour while it is learned teaches nothing", day, func(p *plant) rules.Odd {
			for range 360 {
				p.show(true, 130, p.volts())
				p.at += 10 * second
			}
			p.show(true, 110, p.volts())
			p.at += 10 * second
			return p.show(false, 130, p.volts()).Odd
		}, rules.ValueOutside | rules.ValueJumped},
		{"nor does a value that was frozen while it was learned", day, func(p *plant) (odd rules.Odd) {
			for i := range 800 {
				odd |= p.show(i < 500, 110, p.volts()).Odd
				if i == 499 {
					p.at += 10 * second
					p.show(true, 110.1, p.volts())
				}
				p.at += 10 * second
			}
			return odd
		}, rules.ValueFrozen},
		{"what has changed for good is learned", day, func(p *plant) (odd rules.Odd) {
			for range 1080 {
				p.show(true, 20+p.volts(), p.volts())
				p.at += 10 * second
			}
			return p.show(false, 20+p.volts(), p.volts()).Odd
		}, 0},
		{"a register that the device changes, as was learned", day, func(p *plant) rules.Odd {
			p.write(111)
			p.at += second
			p.show(true, 110.5, p.volts())
			p.write(111)
			p.at += second
			return p.show(false, 110.5, p.volts()).Odd
		}, 0},
	} {
		p := newPlant()
		p.learn(c.long)
		if got := c.play(p); got != c.want {
			t.Errorf("%s: %06b, want %06b", c.name, got, c.want)
		}
	}
}

// TestFacts: what a rule can say.
func TestFacts(t *testing.T) {
	p := newPlant()
	p.learn(day)
	p.show(false, 110, 110)
	p.at += second
	f := p.show(false, 130, 110)
	if f.OddAddr != 100 || f.OddValue != 130 || f.OddBefore != 110 || !f.Ranged || f.Low < 107 || f.High > 113 {
		t.Errorf("%+v", f)
	}
}

// TestLowBit: a whole number that hardly changes, and then changes its lowest bit at random.
func TestLowBit(t *testing.T) {
	for _, c := range []struct {
		name   string
		noisy  bool
		unrest int // noisy values at the end of learning
		want   rules.Odd
	}{{"a quiet value", false, 0, rules.LowBitBusy}, {"a noisy value", true, 0, 0}, {"a hidden channel while it is learned", false, 300, rules.LowBitBusy}, {"noise for long", false, 1500, 0}} {
		p := newPlant()
		value := func(noisy bool) float64 {
			if noisy {
				return 5400 + float64(p.noise.IntN(2))
			}
			return 5400 + math.Floor(float64(p.at)/float64(hour))
		}
		for i := range 5000 {
			p.show(true, value(c.noisy || i >= 5000-c.unrest))
			p.at += 10 * second
		}
		var odd rules.Odd
		base := value(false)
		for range 100 {
			odd |= p.show(false, base+float64(p.noise.IntN(2))).Odd & rules.LowBitBusy
			p.at += 10 * second
		}
		if odd != c.want {
			t.Errorf("%s: %06b, want %06b", c.name, odd, c.want)
		}
	}
}

// TestNatural: what repeats itself by nature is no recording.
func TestNatural(t *testing.T) {
	for name, value := range map[string]func(i int) float64{
		"a ramp":         func(i int) float64 { return float64(i % 100) },
		"to and fro":     func(i int) float64 { return float64(i % 2) },
		"few levels":     func(i int) float64 { return float64(i * 7 % 5) },
		"a slow zig-zag": func(i int) float64 { return math.Abs(float64(i%200 - 100)) },
	} {
		p := newPlant()
		var odd rules.Odd
		for i := range 20000 {
			odd |= p.show(i < 10000, value(i)).Odd & rules.ValueReplayed
			p.at += 10 * second
		}
		if odd != 0 {
			t.Errorf("%s was called a recording", name)
		}
	}
}

// TestCounting: a register that only counts up goes on counting, and is no value outside its range.
func TestCounting(t *testing.T) {
	p := newPlant()
	var odd rules.Odd
	for i := range 100000 {
		odd |= p.show(i < 10000, math.Floor(float64(i)/10)).Odd
		p.at += 10 * second
	}
	if odd != 0 {
		t.Errorf("%06b", odd)
	}
}

// TestBackwards: a counter that was turned back is told, one that is full or begins anew is not, nor what only looked like one.
func TestBackwards(t *testing.T) {
	for _, c := range []struct {
		name   string
		long   int // values learned, one each ten seconds, of which every twentieth rises
		drop   float64
		ripple bool // it fell once while it was learned
		want   rules.Odd
	}{
		{"turned back", 9000, 40, false, rules.ValueBackwards},
		{"turned back by a few steps", 9000, 3, false, 0},
		{"full, or begun anew", 9000, 5000, false, rules.ValueJumped},
		{"little was learned", 3000, 40, false, rules.ValueJumped},
		{"it fell before", 9000, 40, true, rules.ValueJumped},
	} {
		p := newPlant()
		value := 5000.0
		for i := range c.long {
			if i%20 == 19 {
				value++
			}
			if c.ripple && i == 4000 {
				value--
			}
			p.show(true, value)
			p.at += 10 * second
		}
		p.approve()
		odd := p.show(false, value).Odd
		p.at += 10 * second
		f := p.show(false, value-c.drop)
		if odd != 0 || f.Odd != c.want || f.Odd&rules.ValueBackwards != 0 && (f.OddBefore != value || f.OddValue != value-c.drop) {
			t.Errorf("%s: %06b and then %06b, want %06b: %+v", c.name, odd, f.Odd, c.want, f)
		}
	}
}

// TestStore: what was learned, approved and refused comes back, to the page; the rest begins anew.
func TestStore(t *testing.T) {
	p := newPlant()
	p.learn(day)
	p.approve()
	p.Refuse(Point{rtu, protocols.AnalogOut, 101}, &Refusal{Who: "boss", When: time.Unix(5, 0).UTC()})
	p.learn(minute)
	q := newPlant()
	rows := 0
	p.Dirty(func(table string, key, value []byte) {
		rows++
		if err := q.Load(table, key, value); err != nil {
			t.Fatal(err)
		}
	})
	p.Dirty(func(table string, key, _ []byte) { t.Errorf("row %s %x was given twice", table, key) })
	if rows != 4 {
		t.Errorf("%d rows", rows)
	}
	known := func(m *Memory) (all []Values) {
		m.Each(func(v *Values) { all = append(all, *v) })
		slices.SortFunc(all, func(x, y Values) int { return cmp.Compare(x.Addr, y.Addr) })
		return all
	}
	a, b := known(p.Memory), known(q.Memory)
	if !reflect.DeepEqual(a, b) || len(a) != 2 || b[0].Approved.N == 0 || b[0].By.Who != "anna" || b[0].Lows.N != Hours || b[1].Refused == nil || b[1].Refused.High == 0 {
		t.Errorf("%+v came back as %+v", a, b)
	}
	q.at = p.at
	if f := q.show(false, 130); f.Odd != rules.ValueOutside {
		t.Errorf("after a restart: %06b", f.Odd)
	}
	for _, bad := range []struct {
		table      string
		key, value []byte
	}{
		{"course", make([]byte, 3), nil}, {"course", make([]byte, keyLen), make([]byte, 5)}, {"course", make([]byte, keyLen), append([]byte{200}, make([]byte, learnedLen)...)},
		{"extent", make([]byte, keyLen), append([]byte{200}, make([]byte, extentLen)...)}, {"extent", make([]byte, keyLen), slices.Repeat([]byte{7}, 1+extentLen)},
		{"approval", make([]byte, keyLen), append([]byte{200}, make([]byte, learnedLen+9)...)}, {"approval", make([]byte, keyLen), slices.Repeat([]byte{7}, learnedLen+10)},
		{"drift", make([]byte, keyLen), []byte{1}}, {"refusal", make([]byte, keyLen), []byte(`{"70":{}}`)}, {"refusal", make([]byte, keyLen), []byte(`{"7":null}`)}, {"colour", make([]byte, keyLen), nil},
	} {
		if q.Load(bad.table, bad.key, bad.value) == nil {
			t.Errorf("a row of %s of %d and %d bytes was taken", bad.table, len(bad.key), len(bad.value))
		}
	}
}

// TestCap: a flood of points is bounded and counted.
func TestCap(t *testing.T) {
	m := &Memory{}
	var f rules.Facts
	msg := &protocols.Message{Points: []protocols.Point{{Kind: protocols.AnalogIn, Has: protocols.HasValue, N: 1}}}
	for i := range uint32(2 * maxPages) {
		msg.Points[0].Addr = i * pageSize
		m.Track(rtu, true).Take(msg, hour, true, &f)
	}
	if m.pages != maxPages || m.Overflow != maxPages {
		t.Errorf("%d pages, %d points without room", m.pages, m.Overflow)
	}
}

// TestNoAllocation: values of known points cost no allocation.
func TestNoAllocation(t *testing.T) {
	p := newPlant()
	p.learn(day)
	for _, learn := range []bool{true, false} {
		if n := testing.AllocsPerRun(1000, func() {
			p.at += second
			p.write(110)
			p.show(learn, p.volts(), p.volts())
		}); n != 0 {
			t.Errorf("learning %v: %v allocations", learn, n)
		}
	}
}
