package baseline

import (
	"errors"
	"fmt"
	"time"

	"github.com/roje-ot/roje/sensor/course"
)

// valueItems are the items of a measured point: what was approved of its values, and what was learned where that waits.
func valueItems(v *course.Values) (items []*Item) {
	if v.Approved.N > 0 {
		it := valueItem(v, v.Approved)
		it.State, it.Who = Approved, v.By.Who
		if v.By.When != 0 {
			when := time.Unix(0, v.By.When).UTC()
			it.When = &when
		}
		items = append(items, it)
	}
	if v.Waits() {
		it := pendingValues(v)
		items = append(items, it)
	}
	return items
}

func pendingValues(v *course.Values) *Item {
	it := valueItem(v, v.Learned)
	it.State, it.Lows, it.Highs, it.Rejected = Pending, v.Lows.String(), v.Highs.String(), v.Refused
	return it
}

// waitingValues is what was learned of a point's values, and who may approve it.
func (b *Baseline) waitingValues(v *course.Values) (*Item, Class) {
	it := pendingValues(v)
	switch {
	case v.Doubtful():
		it.Why = doubtful
		return it, Rarely
	case b.vouched(it):
		return it, Listed
	case !v.Steady():
		return it, Rarely
	}
	return it, Reads
}

func valueItem(v *course.Values, l course.Learned) *Item {
	return &Item{Kind: "values", Server: &v.Server, Station: &v.Station, Points: v.Kind.String(), Addr: &v.Addr, Low: &l.Low, High: &l.High,
		Count: uint64(l.N), First: time.Unix(0, l.First).UTC(), Last: time.Unix(0, l.End).UTC(), Course: &l}
}

// loadValues is the reverse of valueItems.
func (b *Baseline) loadValues(it *Item) error {
	kind := it.pointKind()
	switch {
	case kind < 0:
		return fmt.Errorf("unknown kind of points %q", it.Points)
	case it.Low == nil || it.High == nil || it.Course == nil:
		return errors.New("values without their range and course")
	case it.State == Held:
		return errors.New("values are never held")
	}
	l := *it.Course
	l.N, l.Low, l.High, l.First, l.End = uint32(min(it.Count, 1<<32-1)), *it.Low, *it.High, it.First.UnixNano(), it.Last.UnixNano()
	if l.N == 0 || !l.Valid() {
		return errors.New("values that cannot have been learned")
	}
	lows, errLows := course.ParseExtremes(it.Lows)
	highs, errHighs := course.ParseExtremes(it.Highs)
	if err := errors.Join(errLows, errHighs); err != nil {
		return err
	}
	at := course.Point{Key: course.Key{Server: *it.Server, Station: *it.Station}, Kind: kinds[kind], Addr: *it.Addr}
	var by *course.Grant
	if it.State == Approved {
		by = &course.Grant{Who: it.Who}
		if it.When != nil {
			by.When = it.When.UnixNano()
		}
	}
	b.courses.Put(&course.Values{Point: at, Learned: l, Lows: lows, Highs: highs, Refused: it.Rejected}, by)
	return nil
}
