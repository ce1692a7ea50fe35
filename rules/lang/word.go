package lang

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

// Kind is the type of a word.
type Kind uint8

// The kinds of words.
const (
	Bool   Kind = iota
	Int         // whole number
	Float       // number
	Text        // text; with Names set, one of those
	Addr        // IP address; equal to a network if it lies in it
	MAC         // link-layer address, written "00:11:22:33:44:55"
	Faults      // the set of faults, for `in`
)

var kindNames = [...]string{"bool", "int", "number", "text", "address", "mac", "faults"}

func (k Kind) String() string { return kindNames[k] }

// A Word is one name of the language. Exactly the getter of its kind is set. Getters allocate nothing; ok is false where
// the event has no such value.
type Word struct {
	Name  string
	Doc   string
	Kind  Kind
	Names []string // of a Text: all values there are, indexed by what Int returns
	end   uint8    // 1: the client's address, 2: the server's; Hash keeps those
	State bool     // known only after the rule's state has counted the event

	need, needNot Need            // what an event shows for which the word is true, or false
	needAny       Need            // for which it has a value
	needAt        map[string]Need // for which it has this one

	bool func(*Env) bool
	int  func(*Env) (int64, bool) // also of a Text with Names
	num  func(*Env) (float64, bool)
	text func(*Env) (string, bool)
	addr func(*Env) (netip.Addr, bool)
	mac  func(*Env) (rules.MAC, bool)
	hash func(Hash, *Env) Hash // of all, made of the getter

	point func(*Env) *protocols.Point // of the address of a point: that point, whose name a sentence adds; nil of other words
}

// Append appends the word's value as a sentence shows it, or "unknown".
func (w *Word) Append(dst []byte, env *Env) []byte {
	const unknown = "unknown"
	switch {
	case w.Names != nil:
		if v, ok := w.int(env); ok {
			return append(dst, w.Names[v]...)
		}
	case w.Kind == Bool:
		return strconv.AppendBool(dst, w.bool(env))
	case w.Kind == Int:
		if v, ok := w.int(env); ok {
			return strconv.AppendInt(dst, v, 10)
		}
	case w.Kind == Float:
		if v, ok := w.num(env); ok {
			return protocols.AppendNumber(dst, v)
		}
	case w.Kind == Text:
		if v, ok := w.text(env); ok {
			return append(dst, v...)
		}
	case w.Kind == Addr:
		if v, ok := w.addr(env); ok {
			return v.AppendTo(dst)
		}
	case w.Kind == MAC:
		if v, ok := w.mac(env); ok {
			return v.Append(dst)
		}
	case w.Kind == Faults:
		if m := env.E.Msg; m != nil && m.Faults != 0 {
			return m.Faults.Append(dst)
		}
		return append(dst, "none"...)
	}
	return append(dst, unknown...)
}

// has tells whether the event has a value of the word.
func (w *Word) has(env *Env) (ok bool) {
	switch {
	case w.int != nil:
		_, ok = w.int(env)
	case w.num != nil:
		_, ok = w.num(env)
	case w.text != nil:
		_, ok = w.text(env)
	case w.addr != nil:
		_, ok = w.addr(env)
	case w.mac != nil:
		_, ok = w.mac(env)
	default:
		ok = true
	}
	return ok
}

// Number returns the value of a word that is a number; ok is false where there is none.
func (w *Word) Number(env *Env) (v float64, ok bool) {
	if w.num != nil {
		return w.num(env)
	}
	n, ok := w.int(env)
	return float64(n), ok
}

// Hash mixes the word's value into h; state keys and distinct values are made of it. An absent value has its own hash.
func (w *Word) Hash(h Hash, env *Env) Hash { return w.hash(h, env) }

// hasher returns what Hash does for words of w's kind.
func (w *Word) hasher() func(Hash, *Env) Hash {
	switch {
	case w.int != nil:
		get := w.int
		return func(h Hash, env *Env) Hash {
			if v, ok := get(env); ok {
				return h.Uint64(uint64(v))
			}
			return h.Absent()
		}
	case w.end != 0:
		i := w.end - 1
		return func(h Hash, env *Env) Hash {
			a := env.E.Flow.Client
			if i != 0 {
				a = env.E.Flow.Server
			}
			if !a.Addr().IsValid() {
				return h.Absent()
			}
			return h.Uint64(env.end(i, a.Addr()))
		}
	case w.Kind == Addr:
		return hashing(w.addr, Hash.Addr)
	case w.Kind == Bool:
		return func(h Hash, env *Env) Hash {
			if w.bool(env) {
				return h.Uint64(1)
			}
			return h.Uint64(0)
		}
	case w.Kind == Float:
		return hashing(w.num, Hash.Float64)
	case w.Kind == Text:
		return hashing(w.text, Hash.String)
	case w.Kind == MAC:
		return hashing(w.mac, Hash.MAC)
	}
	return func(h Hash, env *Env) Hash { // the faults
		if m := env.E.Msg; m != nil {
			return h.Uint64(uint64(m.Faults))
		}
		return h.Absent()
	}
}

// hashing mixes in what get returns.
func hashing[T any](get func(*Env) (T, bool), mix func(Hash, T) Hash) func(Hash, *Env) Hash {
	return func(h Hash, env *Env) Hash {
		if v, ok := get(env); ok {
			return mix(h, v)
		}
		return h.Absent()
	}
}

// Vocabulary is the set of words that rules may use: those of every event and those of the given protocols.
type Vocabulary struct {
	words  map[string]*Word
	order  []*Word
	protos []*protocols.Protocol
}

// NewVocabulary makes the words for these protocols.
func NewVocabulary(protos []*protocols.Protocol) *Vocabulary {
	v := &Vocabulary{words: map[string]*Word{}, protos: protos}
	v.add(whoWords()...)
	v.add(messageWords(protos)...)
	v.add(pointWords()...)
	v.add(factWords()...)
	v.add(actWords()...)
	v.add(stateWords()...)
	for _, p := range protos {
		v.add(protocolWords(p)...)
	}
	return v
}

func (v *Vocabulary) add(words ...*Word) {
	for _, w := range words {
		w.hash = w.hasher()
		v.words[w.Name] = w
		v.order = append(v.order, w)
	}
}

// Words returns every word in the order in which the documentation lists them.
func (v *Vocabulary) Words() []*Word { return v.order }

// Word looks a name up.
func (v *Vocabulary) Word(name string) (*Word, bool) {
	w, ok := v.words[name]
	return w, ok
}

// names returns all names, for hints.
func (v *Vocabulary) names() []string {
	names := make([]string, len(v.order))
	for i, w := range v.order {
		names[i] = w.Name
	}
	return names
}

func (v *Vocabulary) proto(name string) (*protocols.Protocol, bool) {
	i := slices.IndexFunc(v.protos, func(p *protocols.Protocol) bool { return p.Name == name })
	if i < 0 {
		return nil, false
	}
	return v.protos[i], true
}

// Markdown returns the table of words for the documentation.
func (v *Vocabulary) Markdown() string {
	var b strings.Builder
	b.WriteString("| word | type | meaning |\n|---|---|---|\n")
	for _, w := range v.order {
		kind := w.Kind.String()
		if w.Names != nil {
			kind = strings.Join(w.Names, ", ")
		}
		b.WriteString("| `" + w.Name + "` | " + kind + " | " + strings.ReplaceAll(w.Doc, "|", "\\|") + " |\n")
	}
	return b.String()
}
