package sensor

import (
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/roje-ot/roje/protocols"
)

// own reads the field name of m's own object as tshark prints it.
func own(name string, when ...which) reading {
	return func(dst []string, m *protocols.Message) []string {
		for _, cond := range when {
			if !cond(m) {
				return dst
			}
		}
		for i := range m.Proto.Field {
			f := &m.Proto.Field[i]
			if f.Name != name {
				continue
			}
			switch {
			case f.Int != nil:
				if v, ok := f.Int(m); ok {
					return append(dst, strconv.FormatInt(v, 10))
				}
			case f.Bool != nil:
				if v, ok := f.Bool(m); ok {
					return append(dst, bit(v))
				}
			case f.Text != nil:
				if v, ok := f.Text(m); ok {
					return append(dst, v)
				}
			}
			return dst
		}
		panic("no field " + name + " in " + m.Proto.Name)
	}
}

func bit(v bool) string {
	if v {
		return "1"
	}
	return "0"
}

func code(dst []string, m *protocols.Message) []string {
	if m.HasCode {
		dst = append(dst, strconv.Itoa(int(m.Code)))
	}
	return dst
}

// points appends one value for each point that has one by read.
func points(read func(m *protocols.Message, p *protocols.Point) (string, bool)) reading {
	return func(dst []string, m *protocols.Message) []string {
		for i := range m.Points {
			if v, ok := read(m, &m.Points[i]); ok {
				dst = append(dst, v)
			}
		}
		return dst
	}
}

// value reads the points' values where take agrees.
func value(take some) reading {
	return points(func(m *protocols.Message, p *protocols.Point) (string, bool) {
		return strconv.FormatFloat(p.Value, 'g', -1, 64), p.Has&protocols.HasValue != 0 && take(m, p)
	})
}

// quality reads one bit of the points' quality where take agrees.
func quality(q protocols.Quality, take some) reading {
	return points(func(m *protocols.Message, p *protocols.Point) (string, bool) {
		return bit(p.Quality&q != 0), p.Has&protocols.HasQuality != 0 && take(m, p)
	})
}

// stamp reads the points' times where take agrees.
func stamp(take some) reading {
	return points(func(m *protocols.Message, p *protocols.Point) (string, bool) {
		return time.Unix(0, p.Time).UTC().Format(timeForm), p.Has&protocols.HasTime != 0 && take(m, p)
	})
}

// object decodes m's own object, for what has no word in the rule language.
func object(m *protocols.Message, into any) {
	if err := json.Unmarshal(m.AppendJSON(nil), into); err != nil {
		panic(err)
	}
}

// text reads the points' texts as hex digits, where take agrees.
func text(take some) reading {
	return points(func(m *protocols.Message, p *protocols.Point) (string, bool) {
		return hex.EncodeToString(m.Text(p)), p.Has&protocols.HasText != 0 && take(m, p)
	})
}

// when reads only some messages.
func (r reading) when(take which) reading {
	return func(dst []string, m *protocols.Message) []string {
		if !take(m) {
			return dst
		}
		return r(dst, m)
	}
}

// mask reads some bits of the numbers that r reads.
func (r reading) mask(bits, shift int) reading {
	return func(dst []string, m *protocols.Message) []string {
		for _, v := range r(nil, m) {
			n, _ := strconv.Atoi(v)
			dst = append(dst, strconv.Itoa(n&bits>>shift))
		}
		return dst
	}
}

// sameHex compares digits of either case.
func sameHex(theirs, ours string) bool { return strings.EqualFold(theirs, ours) }
