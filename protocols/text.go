package protocols

import (
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// validRune returns the length of the well-formed UTF-8 sequence at s[i], or 0.
func validRune[T ~string | ~[]byte](s T, i int) int {
	var b [utf8.UTFMax]byte
	n := copy(b[:], s[i:])
	r, size := utf8.DecodeRune(b[:n])
	if r == utf8.RuneError && size <= 1 {
		return 0
	}
	return size
}

// AppendTime appends ns (Unix nanoseconds) as RFC 3339 with nanoseconds, UTC, in quotes.
func AppendTime(dst []byte, ns int64) []byte {
	dst = append(dst, '"')
	dst = time.Unix(0, ns).UTC().AppendFormat(dst, "2006-01-02T15:04:05.000000000Z07:00")
	return append(dst, '"')
}

// AppendNumber appends v as a JSON number; what JSON has no number for becomes a string: "NaN", "Infinity".
func AppendNumber(dst []byte, v float64) []byte {
	switch {
	case math.IsNaN(v):
		return append(dst, `"NaN"`...)
	case math.IsInf(v, 1):
		return append(dst, `"Infinity"`...)
	case math.IsInf(v, -1):
		return append(dst, `"-Infinity"`...)
	case v == math.Trunc(v) && math.Abs(v) < 1<<53:
		return strconv.AppendInt(dst, int64(v), 10)
	}
	return strconv.AppendFloat(dst, v, 'g', -1, 64)
}

// AppendStatus appends "ok" or the protocol's words for m.Status.
func (m *Message) AppendStatus(dst []byte) []byte {
	if m.Status == 0 || m.Proto.AppendStatus == nil {
		return append(dst, "ok"...)
	}
	return m.Proto.AppendStatus(dst, m.Status)
}

// AppendPoint appends p of m as the JSON object of the event contract.
func (m *Message) AppendPoint(dst []byte, p *Point) []byte {
	dst = append(dst, `{"kind":"`...)
	dst = append(dst, p.Kind.String()...)
	dst = append(dst, `","addr":`...)
	dst = strconv.AppendUint(dst, uint64(p.Addr), 10)
	dst = append(dst, `,"n":`...)
	dst = strconv.AppendUint(dst, uint64(p.N), 10)
	if p.Has&HasValue != 0 {
		dst = append(dst, `,"value":`...)
		dst = AppendNumber(dst, p.Value)
	}
	if p.Has&HasText != 0 {
		dst = append(dst, `,"text":`...)
		dst = AppendString(dst, m.Text(p))
	}
	if p.Has&HasQuality != 0 {
		dst = append(dst, `,"quality":"`...)
		dst = append(p.Quality.Append(dst), '"')
	}
	if p.Has&HasTime != 0 {
		dst = append(dst, `,"time":`...)
		dst = AppendTime(dst, p.Time)
	}
	if p.Has&HasAge != 0 {
		dst = append(dst, `,"age_ms":`...)
		dst = strconv.AppendInt(dst, p.Time/1e6, 10)
	}
	if p.Has&HasControl != 0 {
		dst = append(dst, `,"control":`...)
		dst = strconv.AppendUint(dst, uint64(p.Control), 10)
	}
	if p.Has&HasPulse != 0 {
		dst = append(dst, `,"pulse":{"count":`...)
		dst = strconv.AppendUint(dst, uint64(p.Count), 10)
		dst = append(dst, `,"on_ms":`...)
		dst = strconv.AppendUint(dst, uint64(p.OnMS), 10)
		dst = append(dst, `,"off_ms":`...)
		dst = strconv.AppendUint(dst, uint64(p.OffMS), 10)
		dst = append(dst, '}')
	}
	if p.Has&HasStatus != 0 {
		dst = append(dst, `,"control_status":`...)
		dst = strconv.AppendUint(dst, uint64(p.Status), 10)
	}
	return append(dst, '}')
}

// AppendText appends m as one readable line, the form of the golden files: who, station, name, status, faults, points,
// then the protocol's own object.
func (m *Message) AppendText(dst []byte) []byte {
	dst = append(dst, m.Proto.Name...)
	if m.From == Client {
		dst = append(dst, " >"...)
	} else {
		dst = append(dst, " <"...)
	}
	if m.HasMaster {
		dst = append(dst, " master "...)
		dst = strconv.AppendUint(dst, uint64(m.Master), 10)
	}
	if m.HasStation {
		dst = append(dst, " station "...)
		dst = strconv.AppendUint(dst, uint64(m.Station), 10)
	}
	dst = append(dst, ' ')
	dst = append(dst, m.Name...)
	if m.HasCode {
		dst = append(dst, " ("...)
		dst = strconv.AppendUint(dst, uint64(m.Code), 10)
		dst = append(dst, ')')
	}
	dst = append(dst, " op="...)
	dst = append(dst, m.Op.String()...)
	if m.Turn != Alone {
		dst = append(dst, " turn="...)
		dst = append(dst, m.Turn.String()...)
	}
	if m.Status != 0 {
		dst = append(dst, " status="...)
		dst = strconv.AppendQuote(dst, string(m.AppendStatus(nil)))
	}
	if m.Faults != 0 {
		dst = append(dst, " FAULT="...)
		dst = m.Faults.Append(dst)
	}
	dst = append(dst, ' ')
	dst = m.AppendJSON(dst)
	for i := range m.Points {
		dst = append(dst, "\n    "...)
		dst = m.AppendPoint(dst, &m.Points[i])
	}
	return dst
}
