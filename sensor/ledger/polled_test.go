package ledger

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

// reads is what a station gives back of a few points in a row, the last of which is addr.
func reads(at float64, kind protocols.Kind, addr uint32, value float64) step {
	s := step{at: at, proto: modbusFake, server: true, code: 1, op: protocols.Read}
	for i := range uint32(4) {
		s.points = append(s.points, report(kind, addr-3+i, 0, 0)...)
	}
	s.points[3].Value = value
	return s
}

// writesRead is writes, their answers and the reads that give back what was written, each 90 s after the one before.
func writesRead(kind protocols.Kind, addr uint32, n int) (list []step) {
	for i := range n {
		at, value := 90*float64(i), float64(i&1)
		list = append(list, wrote(at, kind, addr, value)...)
		list = append(list, reads(at+2, kind, addr, value), reads(at+80, kind, addr, value))
	}
	return list
}

// wrote is a write and its answer.
func wrote(at float64, kind protocols.Kind, addr uint32, value float64) []step {
	request, answer := write(at, false, 1, addr, value), write(at+1, true, 1, addr, value)
	request.points, answer.points = report(kind, addr, value, 0), report(kind, addr, value, 0)
	return []step{request, answer}
}

// TestPolled holds when a coil or a register that has followed writes is told to have changed without one.
func TestPolled(t *testing.T) {
	const addr = 40
	at := 900.0
	change := func(at float64, kind protocols.Kind) step { return reads(at, kind, addr, 0) }
	run := func(s step, n uint32) step { // of n points, the fourth of which is addr
		s.points = []protocols.Point{{Kind: s.points[0].Kind, Addr: addr - 3, N: n, Has: protocols.HasValue}}
		return s
	}
	unit := func(s step) step { s.points = slices.Clone(s.points); return s }
	for _, kind := range []protocols.Kind{protocols.BinaryOut, protocols.AnalogOut} {
		for _, c := range []struct {
			name string
			n    int // times that it followed
			then []step
			want int
		}{
			{"as it was", 8, []step{reads(at, kind, addr, 1)}, 0},
			{"alone", 8, []step{change(at, kind)}, 1},
			{"and back", 8, []step{change(at, kind), reads(at+300, kind, addr, 1)}, 1},
			{"seldom seen to follow", 5, []step{change(at, kind)}, 0},
			{"another point", 8, []step{reads(at, kind, addr+10, 1), reads(at+1, kind, addr+10, 0)}, 0},
			{"another kind", 8, []step{reads(at, protocols.BinaryIn, addr, 1), reads(at+1, protocols.BinaryIn, addr, 0)}, 0},
			{"written", 8, append(wrote(at, kind, addr, 0), change(at+2, kind)), 0},
			{"written, asked for much later", 8, append(wrote(at, kind, addr, 0), change(at+3000, kind)), 0},
			{"written with others", 8, []step{run(unit(wrote(at, kind, addr, 0)[0]), 10), change(at+2, kind)}, 0},
			{"others are written", 8, []step{run(unit(wrote(at, kind, addr, 0)[0]), 3), change(at+2, kind)}, 1},
			{"the write is lost, its answer not", 8, []step{wrote(at, kind, addr, 0)[1], change(at+2, kind)}, 0},
			{"a write may be lost", 8, []step{gapOf(at, false), change(at+2, kind)}, 0},
			{"a write may be lost, on another connection", 8, []step{gapOf(at, false).on(9), change(at+2, kind)}, 0},
			{"a loss long before, and asked for since", 8, []step{gapOf(at, false), reads(at+60, kind, addr, 1), reads(at+400, kind, addr, 1), change(at+401, kind)}, 1},
			{"a loss long before, and not asked for since", 8, []step{gapOf(at, false), change(at+3000, kind)}, 0},
			{"bytes are missing", 8, []step{func() step { s := change(at, kind); s.unseen = true; return s }()}, 0},
			{"over UDP", 8, []step{func() step { s := change(at, kind); s.udp = true; return s }()}, 0},
			{"it changes as it likes", 8, []step{change(at, kind), reads(at+100, kind, addr, 1), change(at+200, kind), reads(at+300, kind, addr, 1), change(at+400, kind)}, 1},
		} {
			var told []string
			l := New(Config{Tell: func(e *rules.Event) {
				if e.Act.Unasked {
					told = append(told, fmt.Sprintf("%v %d is %v", e.Msg.Points[0].Kind, e.Msg.Points[0].Addr, e.Msg.Points[0].Value))
				}
			}}, func(*Record) {})
			steps := append(writesRead(kind, addr, c.n), c.then...)
			for i := range steps {
				l.Take(steps[i].event(uint64(i + 1)))
			}
			want := slices.Repeat([]string{fmt.Sprintf("%v %d is 0", kind, addr)}, c.want)
			if !slices.Equal(told, want) {
				t.Errorf("%v, %s: told %q, want %q", kind, c.name, strings.Join(told, ", "), strings.Join(want, ", "))
			}
		}
	}
}

// TestPolledInput holds that an input that a point list maps to a coil is watched too, from what was seen of it on.
func TestPolledInput(t *testing.T) {
	alone := 0
	l := New(Config{Tell: func(e *rules.Event) {
		if e.Act.Unasked {
			alone++
		}
	}}, func(*Record) {})
	l.Map(modbusFake, stationAt, 5, Mapping{Command: protocols.Point{Kind: protocols.BinaryOut, Addr: 7}, Indicates: protocols.Point{Kind: protocols.BinaryIn, Addr: 70}})
	n := uint64(0)
	take := func(steps ...step) {
		for i := range steps {
			n++
			l.Take(steps[i].event(n))
		}
	}
	take(reads(0, protocols.BinaryIn, 70, 0))
	for i := range 6 {
		at, value := 10+90*float64(i), float64(1-i&1)
		take(wrote(at, protocols.BinaryOut, 7, value)...)
		take(reads(at+4, protocols.BinaryIn, 70, value))
	}
	if alone != 0 {
		t.Fatalf("%d changes that were commanded are told", alone)
	}
	take(reads(800, protocols.BinaryIn, 70, 0), reads(900, protocols.BinaryIn, 70, 1))
	if alone != 1 {
		t.Errorf("told %d times, want once", alone)
	}
}

// TestWritesForgotten holds that nothing is told while more was written than is remembered.
func TestWritesForgotten(t *testing.T) {
	var w writes
	for i := range maxWrites + 10 {
		s := write(float64(i), false, 1, uint32(i), 1)
		w.note(s.event(1))
	}
	for _, c := range []struct {
		addr  uint32
		since float64
		want  bool
	}{{maxWrites + 9, 20, true}, {50, 20, true}, {50, 60, false}, {9999, 20, false}, {9999, 5, true}, {3, 5, true}} {
		if got := w.explain(stationAt, protocols.AnalogOut, c.addr, int64(c.since*1e9)); got != c.want {
			t.Errorf("point %d since %v s: %v", c.addr, c.since, got)
		}
	}
}
