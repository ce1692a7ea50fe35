package engine

import (
	"net/netip"
	"slices"

	"github.com/roje-ot/roje/rules"
)

// maxFindings bounds the findings that are open at one time.
const maxFindings = 4096

// ongoing is after how long a finding that never pauses is said again.
const ongoing = 24 * 3600 * 1e9

// A finding is an alert that was emitted and whose repeats are being counted.
type finding struct {
	key      uint64
	rule     *running
	alert    *rules.Alert // as it was made
	sentence string       // its own, without the headline of a fan
	emitted  uint64       // the count that was last emitted
	first    int64
	last     int64
	count    uint64
	head     []uint64 // first frames
	tail     [10]uint64
	tailN    int
	many     map[netip.Addr]struct{} // of a fan: the clients or servers that it stands for
	open     bool
	flaps    bool // it comes and goes, and is held open longer
}

// A fold is the table of open findings.
type fold struct {
	memory[uint64, finding] // of those that are open, and of cells in free
	free                    []int32
	flaps                   map[uint64]flap
}

func newFold() *fold {
	return &fold{memory: newMemory[uint64, finding](), flaps: map[uint64]flap{}}
}

// A finding that comes and goes is held open, so that its coming and going is one alert.
const (
	flapTimes  = 3          // it was opened so often
	flapWithin = 3600 * 1e9 // in this time
	flapHold   = 3600 * 1e9 // and is held open so long after its last repeat
)

// A flap counts how often a finding was opened since a packet time.
type flap struct {
	since int64
	times int
}

// flapping counts an opening of key and tells whether that is once too often.
func (f *fold) flapping(key uint64, at int64) bool {
	n := f.flaps[key]
	if d := at - n.since; n.times == 0 || d > flapWithin || d < -flapWithin {
		n = flap{since: at}
	}
	n.times++
	if len(f.flaps) >= maxFindings {
		clear(f.flaps) // a flood of findings; what flaps is soon counted again
	}
	f.flaps[key] = n
	return n.times >= flapTimes
}

// add makes room for a new finding. Where it had to close another for that, it returns that one's last state.
func (f *fold) add(key uint64) (added *finding, closed finding) {
	if n := len(f.free); n > 0 {
		i := f.free[n-1]
		f.free = f.free[:n-1]
		f.used.touch(i)
		f.give(i, key)
		added = &f.cells[i]
	} else {
		added = f.take(key, maxFindings)
		closed = *added
	}
	*added = finding{key: key, open: true}
	return added, closed
}

// close forgets the finding of key.
func (f *fold) close(key uint64) {
	i := f.index[key]
	delete(f.index, key)
	f.cells[i] = finding{}
	f.free = append(f.free, i)
}

// all returns the open findings by their first time and id.
func (f *fold) all() []*finding {
	var open []*finding
	for i := range f.cells {
		if f.cells[i].open {
			open = append(open, &f.cells[i])
		}
	}
	slices.SortFunc(open, func(a, b *finding) int {
		if a.first != b.first {
			return int(max(min(a.first-b.first, 1), -1))
		}
		if a.alert.ID < b.alert.ID {
			return -1
		}
		return 1
	})
	return open
}

// ended tells whether a repeat at packet time at would be a new finding. Time that jumps far back, as between capture
// files, ends findings too.
func (f *finding) ended(at int64) bool {
	quiet := f.rule.Quiet
	if f.flaps {
		quiet = max(quiet, flapHold)
	}
	return at-f.last > quiet || f.first-at > quiet || at-f.first > ongoing
}

// repeat counts one more event.
func (f *finding) repeat(at int64, frame uint64) {
	f.count++
	f.last = max(f.last, at)
	f.first = min(f.first, at)
	f.frame(frame)
}

// frame notes a packet, if it has a number.
func (f *finding) frame(frame uint64) {
	if frame == 0 {
		return
	}
	if len(f.head) < len(f.tail) {
		f.head = append(f.head, frame)
		return
	}
	f.tail[f.tailN%len(f.tail)] = frame
	f.tailN++
}

// frames returns the first and the latest frames.
func (f *finding) frames() []uint64 {
	frames := slices.Clone(f.head)
	n := min(f.tailN, len(f.tail))
	for i := f.tailN - n; i < f.tailN; i++ {
		frames = append(frames, f.tail[i%len(f.tail)])
	}
	return frames
}
