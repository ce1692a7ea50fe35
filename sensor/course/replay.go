package course

import "math"

// A stretch of values that came before, to the last digit, was recorded and is played again: no process repeats itself
// like that. The last window values of each point that changes are hashed as they come; every sampled one of the hashes is
// kept, and one that is there already is a stretch that came before.

const (
	window  = 32
	sampled = 8       // one hash in so many is kept, chosen by the hash itself, so that the same stretch is chosen again
	marks   = 1 << 16 // hashes that are kept
	base    = 0x9e3779b97f4a7c15

	minDistinct = 24          // different values in the window, and
	minTurns    = 8           // turns up and down: a ramp or a square wave repeats itself by nature
	minAgo      = 10 * minute // between the stretch and its repetition
)

// ring is the last values of a point that each differed from the one before.
type ring struct {
	values [window]float32
	hash   uint64
	next   uint8
	n      uint8
}

// A mark is a hash and when its stretch ended.
type mark struct {
	hash uint64
	at   int64
}

// power is base to the power of window.
var power = func() uint64 {
	p := uint64(1)
	for range window {
		p *= base
	}
	return p
}()

func mix(v float32) uint64 {
	h := uint64(math.Float32bits(v)) + 1
	h *= 0xff51afd7ed558ccd
	return h ^ h>>33
}

// push takes a value; the hash is a polynomial of the values in the window.
func (r *ring) push(v float32) {
	r.hash = r.hash*base + mix(v)
	if r.n == window {
		r.hash -= mix(r.values[r.next]) * power
	} else {
		r.n++
	}
	r.values[r.next] = v
	r.next = (r.next + 1) % window
}

// again takes a value of point n of a page and tells how long ago the stretch that it ends came before, if it did.
func (m *Memory) again(r *ring, p *page, n uint32, v float64, at int64) (ago int64, again bool) {
	r.push(float32(v))
	if r.n < window || r.hash>>40%sampled != 0 {
		return 0, false
	}
	key := (r.hash ^ p.salt + uint64(n)) * 0xff51afd7ed558ccd
	k := &m.seen[key%marks]
	if k.hash == key && at-k.at >= minAgo && r.lively() {
		return at - k.at, true // the mark stays: what is played again may be played a third time
	}
	if k.hash != key || at < k.at {
		*k = mark{key, at}
	}
	return 0, false
}

// lively tells whether the window is one that chance does not repeat.
func (r *ring) lively() bool {
	distinct, turns := 0, 0
	up := false
	for i := range r.values {
		v := r.values[(int(r.next)+i)%window]
		first := true
		for k := range i {
			if r.values[(int(r.next)+k)%window] == v {
				first = false
				break
			}
		}
		if first {
			distinct++
		}
		if i > 0 {
			rises := v > r.values[(int(r.next)+i-1)%window]
			if i > 1 && rises != up {
				turns++
			}
			up = rises
		}
	}
	return distinct >= minDistinct && turns >= minTurns
}
