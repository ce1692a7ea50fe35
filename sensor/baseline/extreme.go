package baseline

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// extremes are the three farthest values of as many different hours, the farthest first. One act of attack falls into
// one hour or two; the third is what ordinary work has reached.
type extremes []extreme

type extreme struct {
	value float64
	hour  int32
}

// note takes a value of packet time at; sign is 1 where the greatest are kept, -1 where the least are.
func (x *extremes) note(v float64, at int64, sign float64) {
	h := int32(at / anHour)
	list := *x
	for i := range list {
		if e := &list[i]; e.hour == h {
			if (v-e.value)*sign > 0 {
				e.value = v
				list.sort(sign)
			}
			return
		}
	}
	if len(list) < steadyHours {
		list = append(list, extreme{v, h})
	} else if last := &list[len(list)-1]; (v-last.value)*sign > 0 {
		*last = extreme{v, h}
	} else {
		return
	}
	list.sort(sign)
	*x = list
}

func (x extremes) sort(sign float64) {
	slices.SortStableFunc(x, func(a, b extreme) int { return cmp.Compare(b.value*sign, a.value*sign) })
}

// doubtful tells whether the learned range rests on values that few hours have seen and that lie far beyond the others:
// by more than half of the range that ordinary work has, and by more than a tenth of its values.
func (t *target) doubtful() bool {
	if len(t.lows) < steadyHours || len(t.highs) < steadyHours {
		return false // seen too seldom as a whole
	}
	low, high := t.lows[steadyHours-1].value, t.highs[steadyHours-1].value
	if low > high { // in a handful of values the third from below lies above the third from above
		low, high = high, low
	}
	beyond := max((high-low)/2, math.Abs(high)/10, math.Abs(low)/10)
	return t.highs[0].value > high+beyond || t.lows[0].value < low-beyond
}

// String writes "50.5@482736,50@482735": values and hours since 1970.
func (x extremes) String() string {
	parts := make([]string, len(x))
	for i, e := range x {
		parts[i] = strconv.FormatFloat(e.value, 'g', -1, 64) + "@" + strconv.Itoa(int(e.hour))
	}
	return strings.Join(parts, ",")
}

func parseExtremes(text string) (x extremes, err error) {
	if text == "" {
		return nil, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		value, hour, _ := strings.Cut(part, "@")
		v, errValue := strconv.ParseFloat(value, 64)
		h, errHour := strconv.ParseInt(hour, 10, 32)
		if errValue != nil || errHour != nil || len(x) >= steadyHours {
			return nil, fmt.Errorf("%q is not a value with its hour", part)
		}
		x = append(x, extreme{v, int32(h)})
	}
	return x, nil
}
