package engine

import (
	"encoding/binary"
	"slices"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/lang"
)

// An index answers which rules may be about an event without looking at their conditions: an array lookup by protocol,
// side, code and operation, and whether the message is faulty, refused or shows an odd value. What an index cannot tell of a rule (a code
// above 255, the name of a message without code, one fault of several) is asked of the few rules that need it.
type index struct {
	protos []string
	met    []*protocols.Protocol // by protos, of the event before
	cells  []uint32              // by cell(); number of a list
	lists  [][]*running          // deduplicated
	other  [nWhats][nOutcomes][]*running
}

const (
	nCodes    = 258 // 0 to 255, then noCode, then bigCode
	noCode    = 256
	bigCode   = 257
	nOps      = 11
	nWhats    = 6 // kinds of events
	nOutcomes = 3
	faulty    = 1
	refused   = 2
	odd       = 4
	nFlags    = 8
)

func cell(proto, side, code, op, flags int) int {
	return (((proto*2+side)*nCodes+code)*nOps+op)*nFlags + flags
}

func newIndex(run []*running) *index {
	x := &index{}
	for _, r := range run {
		for _, p := range r.When.Protos {
			if !slices.Contains(x.protos, p) {
				x.protos = append(x.protos, p)
			}
		}
	}
	x.met = make([]*protocols.Protocol, len(x.protos))
	x.cells = make([]uint32, cell(len(x.protos)+1, 0, 0, 0, 0))
	x.lists = [][]*running{nil}
	known := map[string]uint32{"": 0}
	for proto := range len(x.protos) + 1 {
		name := "" // the last is every protocol that no rule names
		if proto < len(x.protos) {
			name = x.protos[proto]
		}
		of := slices.DeleteFunc(slices.Clone(run), func(r *running) bool {
			return r.When.What&(1<<rules.Message) == 0 || len(r.When.Protos) > 0 && !slices.Contains(r.When.Protos, name)
		})
		for code := range nCodes {
			coded := slices.DeleteFunc(slices.Clone(of), func(r *running) bool { return !takesCode(&r.When, code) })
			if len(coded) > 0 {
				x.fill(proto, code, coded, known)
			}
		}
	}
	for what := range x.other {
		for outcome := range x.other[what] {
			for _, r := range run {
				w := &r.When
				if w.What&(1<<what) != 0 && (w.Outcomes == 0 || w.Outcomes&(1<<outcome) != 0) {
					x.other[what][outcome] = append(x.other[what][outcome], r)
				}
			}
		}
	}
	return x
}

func takesCode(w *lang.When, code int) bool {
	if len(w.Codes) == 0 {
		return true
	}
	return slices.ContainsFunc(w.Codes, func(c uint16) bool { return int(c) == code || c > 255 && code == bigCode })
}

// fill writes the cells of one protocol and code.
func (x *index) fill(proto, code int, coded []*running, known map[string]uint32) {
	key := make([]byte, 0, len(coded))
	for side := range 2 {
		for op := range nOps {
			for flags := range nFlags {
				key = key[:0]
				var list []*running
				for i, r := range coded {
					w := &r.When
					if !w.From.Takes(side == int(protocols.Client)) || w.Ops != 0 && w.Ops&(1<<op) == 0 ||
						w.Faults != 0 && flags&faulty == 0 || !w.OK.Takes(flags&refused == 0) || !w.Odd.Takes(flags&odd != 0) {
						continue
					}
					list = append(list, coded[i])
					key = binary.AppendUvarint(key, uint64(r.number)+1)
				}
				n, ok := known[string(key)]
				if !ok {
					n = uint32(len(x.lists))
					known[string(key)] = n
					x.lists = append(x.lists, list)
				}
				x.cells[cell(proto, side, code, op, flags)] = n
			}
		}
	}
}

// covered tells whether the index says all that w says of a message.
func covered(w *lang.When) bool {
	return w.Names == nil && w.Faults == 0 && !slices.ContainsFunc(w.Codes, func(c uint16) bool { return c > 255 })
}

// lookup returns the rules that may be about e.
func (x *index) lookup(e *rules.Event) []*running {
	if e.What != rules.Message || e.Msg == nil {
		return x.other[e.What][e.Flow.Outcome]
	}
	m := e.Msg
	proto := x.proto(m.Proto)
	code := noCode
	if m.HasCode {
		code = min(int(m.Code), bigCode)
		if m.Code == noCode {
			code = bigCode
		}
	}
	flags := 0
	if m.Faults != 0 {
		flags |= faulty
	}
	if m.Status != 0 {
		flags |= refused
	}
	if e.Facts.Odd != 0 {
		flags |= odd
	}
	return x.lists[x.cells[cell(proto, int(m.From), code, int(m.Op), flags)]]
}

// proto returns p's number.
func (x *index) proto(p *protocols.Protocol) int {
	for i, known := range x.met {
		if known == p {
			return i
		}
	}
	n := slices.Index(x.protos, p.Name)
	if n < 0 {
		return len(x.protos)
	}
	x.met[n] = p
	return n
}
