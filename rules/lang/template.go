package lang

import (
	"strconv"
	"strings"
	"time"

	"github.com/roje-ot/roje/protocols"
)

// A Template is a sentence with {words}.
type Template struct {
	parts  []part
	window int64
}

// A part is literal text, or what append appends.
type part struct {
	text   string
	append func(dst []byte, env *Env) []byte
}

// extras are the names that only sentences know.
var extras = map[string]func(*Template) func(dst []byte, env *Env) []byte{
	"at": func(*Template) func([]byte, *Env) []byte {
		return func(dst []byte, env *Env) []byte {
			return time.Unix(0, env.E.At).UTC().AppendFormat(dst, "2006-01-02 15:04:05 UTC")
		}
	},
	"window": func(t *Template) func([]byte, *Env) []byte {
		return func(dst []byte, _ *Env) []byte { return appendDuration(dst, time.Duration(t.window)) }
	},
	"targets": func(*Template) func([]byte, *Env) []byte { return appendTargets },
}

// Extras documents the names that only sentences know.
func Extras() map[string]string {
	return map[string]string{
		"at":      "packet time",
		"window":  "the window of the rule's state",
		"targets": "the points of the message in words, with their values",
	}
}

// template compiles text. A doubled brace stands for itself.
func (v *Vocabulary) template(text string, window int64) (*Template, error) {
	t := &Template{window: window}
	rest, at := text, 0
	literal := func(s string) {
		if s != "" {
			t.parts = append(t.parts, part{text: s})
		}
	}
	for {
		i := strings.IndexAny(rest, "{}")
		if i < 0 {
			literal(rest)
			return t, nil
		}
		literal(rest[:i])
		at, rest = at+i, rest[i:]
		if len(rest) > 1 && rest[1] == rest[0] {
			literal(rest[:1])
			at, rest = at+2, rest[2:]
			continue
		}
		end := strings.IndexByte(rest, '}')
		if rest[0] == '}' || end < 0 {
			return nil, &condError{at, "brace without its partner", "double it to show it"}
		}
		name := rest[1:end]
		if make, ok := extras[name]; ok {
			t.parts = append(t.parts, part{append: make(t)})
		} else if w, ok := v.words[name]; ok {
			t.parts = append(t.parts, part{append: sentence(w)})
		} else {
			names := v.names()
			for name := range Extras() {
				names = append(names, name)
			}
			return nil, &condError{at + 1, "unknown word {" + name + "}", didYouMean(name, names)}
		}
		at, rest = at+end+1, rest[end+1:]
	}
}

// sentence is how w is shown in a sentence: numbers with few digits.
func sentence(w *Word) func([]byte, *Env) []byte {
	if w.Kind != Float {
		return w.Append
	}
	return func(dst []byte, env *Env) []byte {
		v, ok := w.num(env)
		if !ok {
			return append(dst, "unknown"...)
		}
		return appendShort(dst, v)
	}
}

func appendShort(dst []byte, v float64) []byte {
	s := strconv.FormatFloat(v, 'f', 2, 64)
	return append(dst, strings.TrimSuffix(strings.TrimRight(s, "0"), ".")...)
}

func appendDuration(dst []byte, d time.Duration) []byte {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return append(dst, s...)
}

// Render returns the sentence for env.
func (t *Template) Render(env *Env) string {
	var b []byte
	for _, p := range t.parts {
		if p.append != nil {
			b = p.append(b, env)
		} else {
			b = append(b, p.text...)
		}
	}
	return string(b)
}

// pointNames say what a point is called, by protocol and kind.
var pointNames = map[string][6]string{
	"modbus": {"file record", "discrete input", "coil", "input register", "holding register", "counter"},
	"iec104": {"object", "object", "object", "object", "object", "object"},
	"":       {"point", "binary input", "binary output", "analog input", "analog output", "counter"},
}

// targetsShown is how many points a sentence names.
const targetsShown = 4

func appendTargets(dst []byte, env *Env) []byte {
	m := env.E.Msg
	if m == nil || len(m.Points) == 0 {
		return append(dst, "no point"...)
	}
	names, ok := pointNames[m.Proto.Name]
	if !ok {
		names = pointNames[""]
	}
	last := ""
	for i := range m.Points {
		if i == targetsShown {
			dst = append(dst, " and "...)
			dst = strconv.AppendInt(dst, int64(len(m.Points)-i), 10)
			return append(dst, " more"...)
		}
		if i > 0 {
			dst = append(dst, ", "...)
		}
		p := &m.Points[i]
		if name := names[p.Kind]; name != last {
			dst, last = append(append(dst, name...), ' '), name
		}
		dst = appendTarget(dst, p)
	}
	return dst
}

func appendTarget(dst []byte, p *protocols.Point) []byte {
	dst = strconv.AppendUint(dst, uint64(p.Addr), 10)
	if p.N > 1 {
		dst = append(dst, " to "...)
		dst = strconv.AppendUint(dst, uint64(p.Addr)+uint64(p.N)-1, 10)
	}
	if p.Has&protocols.HasValue != 0 {
		dst = append(dst, " = "...)
		dst = appendShort(dst, p.Value)
	}
	return dst
}
