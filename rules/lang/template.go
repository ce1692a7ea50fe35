package lang

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

// A Template is a sentence with {words}. A part in [brackets] is left out where one of its words has no value.
type Template struct {
	parts  []part
	window int64
}

// A part is literal text, or what append appends, or an optional run of parts.
type part struct {
	text     string
	append   func(dst []byte, env *Env) []byte
	has      func(env *Env) bool // nil: always
	optional *Template
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

// template compiles text. Doubled braces and brackets stand for themselves.
func (v *Vocabulary) template(text string, window int64) (*Template, error) {
	t := &Template{window: window}
	outer := t
	literal := func(s string) {
		if s != "" {
			t.parts = append(t.parts, part{text: s})
		}
	}
	for at := 0; ; {
		i := strings.IndexAny(text[at:], "{}[]")
		if i < 0 {
			literal(text[at:])
			if t != outer {
				return nil, &condError{len(text), "bracket without its partner", "double it to show it"}
			}
			return t, nil
		}
		literal(text[at : at+i])
		at += i
		c := text[at]
		switch {
		case at+1 < len(text) && text[at+1] == c:
			literal(text[at : at+1])
			at += 2
		case c == '[' && t == outer:
			t = &Template{window: window}
			at++
		case c == ']' && t != outer:
			outer.parts = append(outer.parts, part{optional: t})
			t = outer
			at++
		case c == '{' && strings.IndexByte(text[at:], '}') > 0:
			end := at + strings.IndexByte(text[at:], '}')
			p, err := v.placeholder(text[at+1:end], at+1, t)
			if err != nil {
				return nil, err
			}
			t.parts = append(t.parts, p)
			at = end + 1
		default:
			return nil, &condError{at, "brace or bracket without its partner", "double it to show it"}
		}
	}
}

// placeholder compiles one {word}.
func (v *Vocabulary) placeholder(name string, at int, t *Template) (part, error) {
	if make, ok := extras[name]; ok {
		p := part{append: make(t)}
		if name == "targets" {
			p.has = func(env *Env) bool { return env.E.Msg != nil && len(env.E.Msg.Points) > 0 }
		}
		return p, nil
	}
	if w, ok := v.words[name]; ok {
		return part{append: sentence(w), has: w.has}, nil
	}
	names := v.names()
	for name := range Extras() {
		names = append(names, name)
	}
	return part{}, &condError{at, "unknown word {" + name + "}", didYouMean(name, names)}
}

// sentence is how w is shown in a sentence: numbers with few digits, addresses with the name of their point.
func sentence(w *Word) func([]byte, *Env) []byte {
	if w.point != nil {
		return func(dst []byte, env *Env) []byte {
			dst = w.Append(dst, env)
			if p := w.point(env); p != nil {
				if label := env.label(p); label != nil {
					dst = append(append(append(dst, " ("...), label.Text...), ')')
				}
			}
			return dst
		}
	}
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
func (t *Template) Render(env *Env) string { return string(t.render(nil, env)) }

func (t *Template) render(dst []byte, env *Env) []byte {
	for _, p := range t.parts {
		switch {
		case p.append != nil:
			dst = p.append(dst, env)
		case p.optional == nil:
			dst = append(dst, p.text...)
		case p.optional.Complete(env):
			dst = p.optional.render(dst, env)
		}
	}
	return dst
}

// Complete tells whether every word of t outside brackets has a value.
func (t *Template) Complete(env *Env) bool {
	for _, p := range t.parts {
		if p.has != nil && !p.has(env) {
			return false
		}
	}
	return true
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
		if label := env.label(p); label != nil {
			dst, last = appendLabelled(dst, label, names[p.Kind], p), ""
			continue
		}
		if name := names[p.Kind]; name != last {
			dst, last = append(append(dst, name...), ' '), name
		}
		dst = appendValue(appendTarget(dst, p), p)
	}
	return dst
}

// label is what point lists say of p, a point of the event's message; nil where they say nothing.
func (env *Env) label(p *protocols.Point) *rules.Label {
	if env.Labels == nil || env.E.Msg == nil {
		return nil
	}
	return env.Labels.Label(env.E.Flow.Server, env.E.Msg, p)
}

// appendLabelled appends "breaker Q0, bay E03 (object 4001) = 1", or where the list says what a value means
// "float voltage (holding register 4) = 54.2 V (5420)".
func appendLabelled(dst []byte, label *rules.Label, kind string, p *protocols.Point) []byte {
	dst = append(append(dst, label.Text...), " ("...)
	dst = appendTarget(append(append(dst, kind...), ' '), p)
	dst = append(dst, ')')
	if p.Has&protocols.HasValue == 0 || label.Plain() {
		return appendValue(dst, p)
	}
	dst = protocols.AppendNumber(append(dst, " = "...), math.Round(label.Value(p.Value)*1e4)/1e4)
	if label.Unit != "" {
		dst = append(append(dst, ' '), label.Unit...)
	}
	if v := label.Value(p.Value); v != p.Value {
		dst = append(appendShort(append(dst, " ("...), p.Value), ')')
	}
	return dst
}

func appendTarget(dst []byte, p *protocols.Point) []byte {
	dst = strconv.AppendUint(dst, uint64(p.Addr), 10)
	if p.N > 1 {
		dst = append(dst, " to "...)
		dst = strconv.AppendUint(dst, uint64(p.Addr)+uint64(p.N)-1, 10)
	}
	return dst
}

func appendValue(dst []byte, p *protocols.Point) []byte {
	if p.Has&protocols.HasValue != 0 {
		dst = append(dst, " = "...)
		dst = appendShort(dst, p.Value)
	}
	return dst
}
