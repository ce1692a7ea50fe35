package baseline

import "github.com/roje-ot/roje/sensor/course"

// A wider is what was written to an approved point beyond the range that was approved for it, while it was learned. It
// waits, as an item of its own that stands for the whole range, and widens nothing before a person approves it.
type wider struct {
	mark
	low, high   float64         // the approved range among them
	lows, highs course.Extremes // of what lies beyond it alone
}

// learn takes a value that is commanded.
func (t *target) learn(v float64, at int64, analog bool) {
	switch {
	case !t.ranged:
		t.low, t.high, t.ranged = v, v, true
	case analog && t.approved():
		t.beyond(v, at)
		return
	}
	if analog {
		t.lows.Note(v, at, -1)
		t.highs.Note(v, at, 1)
	}
	t.low, t.high = min(t.low, v), max(t.high, v)
}

// beyond takes a value that an approved point is commanded to have.
func (t *target) beyond(v float64, at int64) {
	if !t.outside(v) {
		return
	}
	if t.wider == nil {
		t.wider = &wider{low: t.low, high: t.high}
	}
	w := t.wider
	w.see(at, "")
	w.low, w.high = min(w.low, v), max(w.high, v)
	w.lows.Note(v, at, -1)
	w.highs.Note(v, at, 1)
}

// widen makes what waits the range of t.
func (t *target) widen() {
	w := t.wider
	t.low, t.high = min(t.low, w.low), max(t.high, w.high)
	t.lows.Join(&w.lows, -1)
	t.highs.Join(&w.highs, 1)
	t.wider, t.dirty = nil, true
}

func (t *target) widerItem(key targetKey) *Item {
	w := t.wider
	it := t.item(key)
	low, high := w.low, w.high
	it.Beyond, it.Low, it.High, it.Lows, it.Highs = true, &low, &high, w.lows.String(), w.highs.String()
	it.put(&w.mark)
	return it
}

// settle widens the ranges of approved points for which that was approved, and of all points that are themselves no longer
// approved.
func (b *Baseline) settle() {
	for key, t := range b.targets {
		w := t.wider
		if w == nil || t.approved() && !w.approved() {
			continue
		}
		b.gone = append(b.gone, t.widerItem(key).Key())
		t.widen()
		if w.approved() {
			t.who, t.when = w.who, w.when
		}
	}
}
