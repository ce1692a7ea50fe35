package course

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Hours is in how many different hours a value must have been reached before it counts as ordinary.
const Hours = 3

// Extremes are the three farthest values of as many different hours, the farthest first. One act of attack falls into
// one hour or two; the third is what ordinary work has reached. The zero value holds none.
type Extremes struct {
	Values [Hours]float64
	Of     [Hours]int32 // hours since 1970
	N      uint8        // how many of them there are
}

// Note takes a value of packet time at, and tells whether it changed anything; sign is 1 where the greatest are kept, -1
// where the least are.
func (x *Extremes) Note(v float64, at int64, sign float64) bool {
	h := int32(at / hour)
	i := uint8(0)
	for i < x.N && x.Of[i] != h {
		i++
	}
	switch last := x.N - 1; {
	case i < x.N && (v-x.Values[i])*sign > 0: // it is the farthest of its hour
	case i < x.N:
		return false
	case x.N < Hours:
		x.N++
	case (v-x.Values[last])*sign > 0:
		i = last
	default:
		return false
	}
	for ; i > 0 && cmp.Compare(v*sign, x.Values[i-1]*sign) > 0; i-- {
		x.Values[i], x.Of[i] = x.Values[i-1], x.Of[i-1]
	}
	x.Values[i], x.Of[i] = v, h
	return true
}

// Join takes the values of other; sign is that of Note.
func (x *Extremes) Join(other *Extremes, sign float64) {
	for i := range other.N {
		x.Note(other.Values[i], int64(other.Of[i])*hour, sign)
	}
}

// Doubtful tells whether a learned range rests on values that few hours have seen and that lie far beyond the others: by
// more than half of the range that ordinary work has, and by more than a tenth of its values.
func Doubtful(lows, highs *Extremes) bool {
	if lows.N < Hours || highs.N < Hours {
		return false // seen too seldom as a whole
	}
	low, high := lows.Values[Hours-1], highs.Values[Hours-1]
	if low > high { // in a handful of values the third from below lies above the third from above
		low, high = high, low
	}
	beyond := max((high-low)/2, math.Abs(high)/10, math.Abs(low)/10)
	return highs.Values[0] > high+beyond || lows.Values[0] < low-beyond
}

// String writes "50.5@482736,50@482735": values and hours since 1970.
func (x *Extremes) String() string {
	parts := make([]string, x.N)
	for i := range parts {
		parts[i] = strconv.FormatFloat(x.Values[i], 'g', -1, 64) + "@" + strconv.Itoa(int(x.Of[i]))
	}
	return strings.Join(parts, ",")
}

// ParseExtremes reads what String wrote.
func ParseExtremes(text string) (x Extremes, err error) {
	if text == "" {
		return x, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		value, hour, _ := strings.Cut(part, "@")
		v, errValue := strconv.ParseFloat(value, 64)
		h, errHour := strconv.ParseInt(hour, 10, 32)
		if errValue != nil || errHour != nil || x.N >= Hours {
			return Extremes{}, fmt.Errorf("%q is not a value with its hour", part)
		}
		x.Values[x.N], x.Of[x.N] = v, int32(h)
		x.N++
	}
	return x, nil
}

// An extent is how far the values of a point went, and in which hours. Its layout is that of the file.
type extent struct{ Lows, Highs Extremes }

func (e *extent) note(v float64, at int64) bool {
	low, high := e.Lows.Note(v, at, -1), e.Highs.Note(v, at, 1)
	return low || high
}
