package engine

import (
	"github.com/roje-ot/roje/rules/lang"
)

// A state is what one rule remembers: a bounded number of keys, each with its count, values and place in a sequence.
type state struct {
	*lang.State
	keyed[cellState]
	seed lang.Hash
}

// cellState is the memory of one key.
type cellState struct {
	slots   [slots]uint32 // events by eighth of the window
	first   int64         // number of the eighth that slots[0] stands for, in windows/8 since 1970
	values  []sighting
	step    int
	started int64 // when the first step of the sequence was done

	prior    int64 // packet time of the event that the rule remembers, if hasPrior
	last     float64
	hasPrior bool
	hasLast  bool
	rate     rate
}

// slots is how finely a window is cut: a count stands for between 7/8 and all of it, never for more.
const slots = 8

// A sighting is one of the different values and when it was last seen.
type sighting struct {
	value uint64
	at    int64
}

func newState(s *lang.State, seed lang.Hash) *state {
	return &state{State: s, keyed: newKeyed[cellState](), seed: seed}
}

// of returns the memory of env's key, made if need be.
func (s *state) of(env *lang.Env) *cellState {
	c, known := s.cell(key(s.seed, s.By, env), s.Keys)
	if !known {
		*c = cellState{values: c.values[:0]}
	}
	return c
}

// count takes env's event into account and puts the numbers into env.
func (s *state) count(env *lang.Env) {
	c := s.of(env)
	at := env.E.At
	switch {
	case s.Rate:
		env.Count, env.Rate = c.rate.add(at, s.Window), &c.rate.known
	case s.Counts:
		env.Count = c.add(at, s.Window)
	}
	if s.Prior != nil {
		env.PriorAgo = at - c.prior
		env.Prior = c.hasPrior && env.PriorAgo >= 0 && env.PriorAgo < s.Window
		if s.Prior(env) {
			c.prior, c.hasPrior = at, true
		}
	}
	if s.Last != nil {
		c.compare(s.Last, env)
	}
	env.Distinct = 0
	switch {
	case s.Points:
		if m := env.E.Msg; m != nil {
			for i := range m.Points {
				p := &m.Points[i]
				for k := range min(p.N, uint32(s.Cap)) {
					c.see(uint64(s.seed.Uint64(uint64(p.Kind)).Uint64(uint64(p.Addr)+uint64(k))), at, s.Cap)
				}
			}
		}
		env.Distinct = c.expire(at, s.Window)
	case s.Distinct != nil:
		c.see(uint64(s.Distinct.Hash(s.seed, env)), at, s.Cap)
		env.Distinct = c.expire(at, s.Window)
	}
	if s.Sequence != nil {
		c.advance(s, env)
	}
}

// key mixes the values of words.
func key(h lang.Hash, words []*lang.Word, env *lang.Env) uint64 {
	for _, w := range words {
		h = w.Hash(h, env)
	}
	return uint64(h)
}

// remember takes an event that only matters to those after it.
func (s *state) remember(env *lang.Env) {
	c := s.of(env)
	c.prior, c.hasPrior = env.E.At, true
}

// compare sets the value of w beside the one before it.
func (c *cellState) compare(w *lang.Word, env *lang.Env) {
	v, ok := w.Number(env)
	env.Previous, env.HasPrev = c.last, c.hasLast
	env.Changed = ok && c.hasLast && v != c.last
	if ok {
		c.last, c.hasLast = v, true
	}
}

// add counts an event at packet time and returns how many the window holds. Time that runs back a little counts as the
// oldest part of the window; after a jump far back, as between capture files, counting starts again.
func (c *cellState) add(at, window int64) int64 {
	eighth := at / max(window/slots, 1)
	if c.first-eighth > slots {
		c.slots, c.first = [slots]uint32{}, eighth-slots+1
	}
	if shift := eighth - (c.first + slots - 1); shift > 0 {
		if shift >= slots {
			c.slots = [slots]uint32{}
		} else {
			copy(c.slots[:], c.slots[shift:])
			clear(c.slots[slots-shift:])
		}
		c.first += shift
	}
	i := min(max(eighth-c.first, 0), slots-1)
	c.slots[i]++
	var n int64
	for _, k := range c.slots {
		n += int64(k)
	}
	return n
}

// see notes a value. At the cap the value seen longest ago makes room.
func (c *cellState) see(value uint64, at int64, cap int) {
	oldest := 0
	for i := range c.values {
		v := &c.values[i]
		if v.value == value {
			v.at = max(v.at, at)
			return
		}
		if v.at < c.values[oldest].at {
			oldest = i
		}
	}
	if len(c.values) < cap {
		c.values = append(c.values, sighting{value, at})
		return
	}
	c.values[oldest] = sighting{value, at}
}

// expire forgets values that left the window and returns how many are left.
func (c *cellState) expire(at, window int64) int64 {
	if len(c.values) == 1 && c.values[0].at == at {
		return 1
	}
	kept := c.values[:0]
	for _, v := range c.values {
		if d := at - v.at; -window < d && d < window {
			kept = append(kept, v)
		}
	}
	c.values = kept
	return int64(len(kept))
}

// advance moves the sequence on if its next step holds. It starts again when the window since its first
// step is over; until then it stays done.
func (c *cellState) advance(s *state, env *lang.Env) {
	at := env.E.At
	if c.step > 0 && (at-c.started >= s.Window || at < c.started) {
		c.step = 0
	}
	if c.step < len(s.Sequence) && s.Sequence[c.step](env) {
		if c.step == 0 {
			c.started = at
		}
		c.step++
	}
	env.Step = int64(c.step)
	env.Done = c.step == len(s.Sequence)
}
