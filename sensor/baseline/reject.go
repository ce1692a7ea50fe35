package baseline

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/roje-ot/roje/sensor/course"
)

// refused tells whether a person has rejected the item, which has not changed since, and that is not over. Points are told
// apart by waitingSpans.
func (it *Item) refused(now time.Time) bool {
	r := it.Rejected
	switch {
	case r == nil || it.Kind == "points":
		return false
	case it.Low != nil && it.High != nil:
		return r.Stands(*it.Low, *it.High, now)
	}
	return r.Fresh(now) && r.What == it.content()
}

// content is what of an item can change, its range aside.
func (it *Item) content() string {
	switch it.Kind {
	case "host":
		return strings.Join(slices.Concat(it.Roles, it.MACs), " ")
	case "points":
		return it.Ranges
	}
	return ""
}

// Reject notes that a person wants none of what waits: the item of a key, or all of a host. It goes on being learned, and
// is not proposed again for course.RefusedFor, unless it changes. It returns how many items that are.
func (b *Baseline) Reject(key string, c Choice) (int, error) {
	if key == "" && !c.Host.IsValid() {
		return 0, errors.New("say what is rejected: an item or a host")
	}
	chosen := map[string]*course.Refusal{}
	for _, it := range b.Waiting() {
		if k := it.Key(); k == key || key == "" && it.names(c.Host) {
			chosen[k] = &course.Refusal{Who: c.Who, Why: c.Why, When: c.At.UTC(), What: it.content()}
			if it.Low != nil && it.High != nil {
				chosen[k].Low, chosen[k].High = *it.Low, *it.High
			}
		}
	}
	if len(chosen) == 0 {
		return 0, fmt.Errorf("no item %q waits; `roje-sensor baseline diff` lists those that do", cmp.Or(key, c.Host.String()))
	}
	b.each(func(it *Item, m *mark) {
		if r := chosen[it.Key()]; r != nil && m.state != Approved {
			m.no, m.dirty = r, true
		}
	})
	b.courses.Each(func(v *course.Values) {
		if r := chosen[pendingValues(v).Key()]; r != nil && v.Waits() {
			b.courses.Refuse(v.Point, r)
		}
	})
	return len(chosen), nil
}

// CountRejected returns how many items wait that are not proposed, since a person has rejected them.
func (b *Baseline) CountRejected(now time.Time) (n int) {
	for _, it := range b.Waiting() {
		if it.refused(now) || it.Kind == "points" && it.Rejected.Fresh(now) {
			n++
		}
	}
	return n
}

func reject(b *Baseline, o *Order, at time.Time) (Answer, error) {
	n, err := b.Reject(o.Item, Choice{Who: o.Who, Why: o.Why, At: at, Host: o.Host})
	return func(out io.Writer) error {
		_, err := fmt.Fprintf(out, "%d items are rejected\n", n)
		return err
	}, err
}
