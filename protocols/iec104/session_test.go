package iec104

import (
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/protocols"
)

// A step is one frame of a played connection: who, when (seconds after the step before), what, and what must be said.
type step struct {
	dir   protocols.Dir
	after float64
	frame []byte
	fault protocols.Faults
	turn  protocols.Turn
}

// play runs the steps through one decoder and checks faults and turns.
func play(t *testing.T, name string, steps []step) {
	t.Helper()
	dec := fresh()
	var m protocols.Message
	now := at
	for i, s := range steps {
		now += int64(s.after * 1e9)
		if s.frame == nil {
			dec.Lost(s.dir)
			continue
		}
		dec.Decode(protocols.Frame{Dir: s.dir, At: now, Bytes: s.frame}, &m)
		if m.Faults != s.fault || m.Turn != s.turn {
			t.Errorf("%s step %d: %v turn %q, want %v turn %q\n%s", name, i, m.Faults, m.Turn, s.fault, s.turn, m.AppendText(nil))
		}
	}
}

// point is a spontaneous M_SP_NA_1 with numbers.
func point(ns, nr uint16) []byte { return iFrame(ns, nr, 1, 1, 3, 0, 1, 0, 7, 0, 0, 1) }

// sc is a C_SC_NA_1 to object 7.
func sc(ns, nr uint16, cause, sco byte) []byte {
	return iFrame(ns, nr, 45, 1, cause, 0, 1, 0, 7, 0, 0, sco)
}

func TestSequence(t *testing.T) {
	const un, seq, win = protocols.Unsolicited, protocols.BadSequence, protocols.WindowExceeded
	play(t, "a gap, then going on behind it", []step{
		{1, 0, point(0, 0), 0, un}, {1, 1, point(1, 0), 0, un}, {1, 1, point(5, 0), seq, un}, {1, 1, point(6, 0), 0, un}, {1, 1, point(7, 0), 0, un}})
	play(t, "one frame from elsewhere, then going on before it", []step{
		{1, 0, point(0, 0), 0, un}, {1, 1, point(900, 0), seq, un}, {1, 1, point(1, 0), 0, un}, {1, 1, point(2, 0), 0, un}})
	play(t, "a duplicate", []step{{1, 0, point(0, 0), 0, un}, {1, 1, point(1, 0), 0, un}, {1, 1, point(1, 0), seq, un}, {1, 1, point(2, 0), 0, un}})
	play(t, "wrap", []step{{1, 0, point(32766, 0), 0, un}, {1, 1, point(32767, 0), 0, un}, {1, 1, point(0, 0), 0, un}, {0, 1, sFrame(1), 0, 0}})
	play(t, "a start in the middle, a loss, another place", []step{
		{1, 0, point(4711, 99), 0, un}, {1, 1, point(4712, 99), 0, un}, {1, 0, nil, 0, 0}, {1, 1, point(5000, 99), 0, un}, {1, 1, point(5001, 99), 0, un}})
	play(t, "acknowledging what nobody sent", []step{{1, 0, point(0, 0), 0, un}, {0, 1, sFrame(1000), seq, 0}, {0, 1, sFrame(1), 0, 0}})
	play(t, "acknowledging what is on its way", []step{{1, 0, point(0, 0), 0, un}, {0, 1, sFrame(3), 0, 0}, {1, 1, point(1, 0), 0, un}})
	play(t, "an acknowledgement that goes back", []step{
		{1, 0, point(10, 0), 0, un}, {1, 1, point(11, 0), 0, un}, {0, 1, sFrame(12), 0, 0}, {0, 1, sFrame(10), seq, 0}, {0, 1, sFrame(12), 0, 0}})
	late := []step{{1, 0, point(0, 0), 0, un}, {0, 1, sFrame(1), 0, 0}, {1, 1, point(1, 0), 0, un}, {0, 16, sFrame(2), win, 0}, {1, 1, point(2, 0), 0, un}, {0, 16, sFrame(3), 0, 0}}
	play(t, "t1 exceeded, said once", late)
	many := []step{{1, 0, point(0, 0), 0, un}, {0, 1, sFrame(1), 0, 0}}
	for ns := range uint16(13) {
		many = append(many, step{1, 0.1, point(ns+1, 0), 0, un})
	}
	play(t, "13 unacknowledged", append(many, step{0, 0.1, sFrame(14), win, 0}))
	play(t, "13 unacknowledged, but for a loss", append(append(many, step{0, 0, nil, 0, 0}), step{0, 0.1, sFrame(14), 0, 0}))
	play(t, "a late TESTFR con", []step{{0, 0, uFrame(testAct), 0, protocols.Request}, {1, 20, uFrame(testCon), win, protocols.Response}})
}

func TestTurns(t *testing.T) {
	const req, resp = protocols.Request, protocols.Response
	play(t, "select, execute, termination", []step{
		{0, 0, sc(0, 0, 6, 0x81), 0, req}, {1, 1, sc(0, 1, 7, 0x81), 0, resp},
		{0, 1, sc(1, 1, 6, 0x01), 0, req}, {1, 1, sc(1, 2, 7, 0x01), 0, resp}, {1, 1, sc(2, 2, 10, 0x01), 0, resp}, {1, 1, sc(3, 2, 10, 0x01), 0, protocols.Unpaired}})
	play(t, "confirmed twice", []step{{0, 0, sc(0, 0, 6, 1), 0, req}, {1, 1, sc(0, 1, 7, 1), 0, resp}, {1, 1, sc(1, 1, 7, 1), 0, protocols.Duplicate}})
	play(t, "confirmed as something else", []step{{0, 0, sc(0, 0, 6, 1), 0, req}, {1, 1, sc(0, 1, 7, 0), protocols.Mismatch, resp}})
	play(t, "confirmed, but not asked for", []step{{1, 0, sc(0, 0, 7, 1), 0, protocols.Unpaired}})
	play(t, "asked for, but lost since", []step{{0, 0, sc(0, 0, 6, 1), 0, req}, {0, 0, nil, 0, 0}, {1, 1, sc(0, 1, 7, 1), 0, protocols.Unpaired}})
	play(t, "a deactivation confirmed as an activation", []step{{0, 0, sc(0, 0, 8, 1), 0, req}, {1, 1, sc(0, 1, 7, 1), 0, protocols.Unpaired}})
}

func TestRTT(t *testing.T) {
	dec := fresh()
	var m protocols.Message
	dec.Decode(protocols.Frame{Dir: 0, At: at, Bytes: sc(0, 0, 6, 1)}, &m)
	dec.Decode(protocols.Frame{Dir: 1, At: at + 250e6, Bytes: sc(0, 1, 7, 1)}, &m)
	if m.RTT != int64(250*time.Millisecond) {
		t.Errorf("%v, want 250ms", time.Duration(m.RTT))
	}
}

// Who is the controlling station comes from what is said, whatever the hint says, and one forged message does not
// turn it.
func TestRoles(t *testing.T) {
	for _, tc := range []struct {
		name   string
		hint   protocols.Hint
		frames []step
		want   string // of each frame: > from the controlling station, < from the controlled
	}{
		{"the hint", protocols.Hint{Server: 1, Known: true}, []step{{dir: 0, frame: sFrame(0)}, {dir: 1, frame: sFrame(0)}}, "><"},
		{"the hint, the other way", protocols.Hint{Server: 0, Known: true}, []step{{dir: 0, frame: sFrame(0)}, {dir: 1, frame: sFrame(0)}}, "<>"},
		{"data overrides the hint", protocols.Hint{Server: 1, Known: true}, []step{{dir: 0, frame: point(0, 0)}, {dir: 1, frame: sFrame(1)}}, "<>"},
		{"a command overrides the hint", protocols.Hint{Server: 0, Known: true}, []step{{dir: 0, frame: sc(0, 0, 6, 1)}, {dir: 1, frame: sFrame(1)}}, "><"},
		{"STARTDT overrides the hint", protocols.Hint{Server: 0, Known: true}, []step{{dir: 0, frame: uFrame(startAct)}, {dir: 1, frame: uFrame(startCon)}}, "><"},
		{"no hint", protocols.Hint{}, []step{{dir: 1, frame: sc(0, 0, 6, 1)}, {dir: 0, frame: sc(0, 1, 7, 1)}}, "><"},
		{"TESTFR says nothing", protocols.Hint{Server: 1, Known: true}, []step{{dir: 1, frame: uFrame(testAct)}, {dir: 1, frame: sFrame(0)}}, "<<"},
		{"one forged command", protocols.Hint{}, []step{{dir: 1, frame: point(0, 0)}, {dir: 1, frame: point(1, 0)}, {dir: 1, frame: sc(2, 0, 6, 1)}, {dir: 1, frame: point(3, 0)}}, "<<<<"},
	} {
		dec := New(tc.hint)
		var m protocols.Message
		got := ""
		for _, s := range tc.frames {
			dec.Decode(protocols.Frame{Dir: s.dir, At: at, Bytes: s.frame}, &m)
			got += string("><"[m.From])
		}
		if got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}
}

// Every type, cause and direction: a legal one has no fault, and of two directions at most one is at fault.
func TestCauses(t *testing.T) {
	for i := range rows {
		r := &rows[i]
		for cause := range uint8(64) {
			side, known, legal := r.class.sender(cause)
			var got [2]protocols.Faults
			for dir := range protocols.Dir(2) {
				d := New(protocols.Hint{}).(*decoder)
				d.lean(0, maxBalance)
				d.det.cause = cause
				got[dir] = d.sender(r, dir)
			}
			want := [2]protocols.Faults{}
			switch {
			case !legal:
				want = [2]protocols.Faults{protocols.BadCause, protocols.BadCause}
			case known:
				want[1-side] = protocols.BadDirection
			}
			if got != want {
				t.Errorf("%s cause %d: %v, want %v", r.name, cause, got, want)
			}
		}
		if r.class.control|r.class.monitor == 0 || r.class.control.has(0) || r.class.monitor.has(0) {
			t.Errorf("%s: no cause, or cause 0, is legal", r.name)
		}
	}
}

// The types that only a controlling, only a controlled station sends, as IEC 60870-5-101 clause 7.3 has it.
func TestDirections(t *testing.T) {
	for _, tc := range []struct {
		typ, cause byte
		want       string
	}{
		{1, 3, "server"}, {1, 20, "server"}, {1, 6, "none"}, {36, 5, "server"}, {15, 37, "server"}, {15, 20, "none"}, {45, 6, "client"}, {45, 7, "server"}, {45, 10, "server"},
		{45, 3, "none"}, {45, 44, "server"}, {64, 8, "client"}, {70, 4, "server"}, {100, 6, "client"}, {100, 10, "server"}, {102, 5, "client"}, {102, 6, "none"},
		{103, 3, "server"}, {103, 6, "client"}, {105, 7, "server"}, {110, 6, "client"}, {110, 20, "server"}, {122, 13, "both"}, {122, 5, "client"}, {125, 13, "both"},
		{126, 5, "server"}, {81, 14, "both"}, {84, 15, "client"}, {85, 15, "server"},
	} {
		side, known, legal := rowOf[tc.typ].class.sender(tc.cause)
		got := "none"
		switch {
		case legal && !known:
			got = "both"
		case legal:
			got = [...]string{"client", "server"}[side]
		}
		if got != tc.want {
			t.Errorf("type %d cause %d: %s, want %s", tc.typ, tc.cause, got, tc.want)
		}
	}
}

// Broadcast (7.2.4): allowed with interrogations, clock and reset; a station that uses it as its own is named once.
func TestBroadcast(t *testing.T) {
	own := iFrame(0, 0, 1, 1, 3, 0, 0xff, 0xff, 7, 0, 0, 1)
	again := iFrame(1, 0, 1, 1, 3, 0, 0xff, 0xff, 7, 0, 0, 1)
	all := func(typ byte, rest ...byte) []byte {
		return iFrame(0, 0, append([]byte{typ, 1, 6, 0, 0xff, 0xff, 0, 0, 0}, rest...)...)
	}
	play(t, "its own", []step{{1, 0, own, protocols.BadAddress, protocols.Unsolicited}, {1, 0, again, 0, protocols.Unsolicited}})
	play(t, "interrogation", []step{{0, 0, all(100, 20), 0, protocols.Request}})
	play(t, "reset", []step{{0, 0, all(105, 1), 0, protocols.Request}})
	play(t, "test", []step{{0, 0, all(104, 0xaa, 0x55), protocols.BadAddress, protocols.Request}})
}

// CP24Time2a takes the hour that brings it nearest to the arrival.
func TestHour(t *testing.T) {
	for _, tc := range []struct{ arrival, tag, want string }{
		{"14:31:00", "14:30:24", "14:30:24"}, {"15:00:01", "14:59:59", "14:59:59"}, {"14:59:59", "15:00:01", "15:00:01"}, {"00:00:01", "23:59:59", "23:59:59"}, {"14:45:00", "14:10:00", "15:10:00"}} {
		clock := func(s string) time.Time {
			v, err := time.Parse(time.TimeOnly, s)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
		tag := clock(tc.tag)
		ms := tag.Second() * 1000
		o := object{p: &protocols.Point{}, at: at - mod(at, day) + int64(clock(tc.arrival).Sub(clock("00:00:00")))}
		readCP24(&o, []byte{byte(ms), byte(ms >> 8), byte(tag.Minute())})
		if got := time.Unix(0, o.p.Time).UTC().Format(time.TimeOnly); got != tc.want {
			t.Errorf("%s arriving at %s: %s, want %s", tc.tag, tc.arrival, got, tc.want)
		}
	}
}

func TestDate(t *testing.T) {
	for d := time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC); d.Year() < 2070; d = d.AddDate(0, 0, 1) {
		if got := date(d.Year(), int(d.Month()), d.Day()); got != d.Unix()/86400 {
			t.Fatalf("%v: %d, want %d", d, got, d.Unix()/86400)
		}
		if d.AddDate(0, 0, 1).Day() == 1 && days(d.Year()%100, int(d.Month())) != d.Day() {
			t.Fatalf("%v: %d days", d, days(d.Year()%100, int(d.Month())))
		}
	}
}

// Sizes: each sizing is learned from ordinary traffic, and kept over one odd frame.
func TestSizes(t *testing.T) {
	for i, z := range sizings {
		build := func(typ, n, cause byte, object uint32, element ...byte) []byte {
			a := []byte{typ, n, cause}
			if z.cause == 2 {
				a = append(a, 0)
			}
			a = append(a, []byte{9, 0}[:z.common]...)
			for k := range n {
				at := object + uint32(k)
				if object == 0 {
					at = 0
				}
				a = append(a, []byte{byte(at), byte(at >> 8), byte(at >> 16)}[:z.object]...)
				a = append(a, element...)
			}
			return a
		}
		d := fresh().(*decoder)
		var m protocols.Message
		frames := [][]byte{build(100, 1, 7, 0, 20), build(1, 2, 20, 5, 1), build(11, 3, 20, 6, 1, 0, 0), build(30, 2, 3, 7, 1, 0, 0, 0, 12, 13, 7, 26)}
		odd := build(1, 2, 3, 8, 1)
		frames = append(frames, odd[:len(odd)-1], build(1, 2, 3, 9, 1))
		var got []string
		for ns, a := range frames {
			d.Decode(protocols.Frame{Dir: 1, At: at, Bytes: iFrame(uint16(ns), 0, a...)}, &m)
			got = append(got, sizingNames[d.det.sizing]+" "+m.Faults.String())
		}
		for k, want := range []string{"", "", sizingNames[i] + " ", sizingNames[i] + " ", sizingNames[i] + " short", sizingNames[i] + " "} {
			if want != "" && got[k] != want {
				t.Errorf("%s frame %d: %q, want %q (%s)", sizingNames[i], k, got[k], want, strings.Join(got, "; "))
			}
		}
	}
}

// TestStart: where the beginning of a connection was seen, its I frames count from 0 and wait for STARTDT.
func TestStart(t *testing.T) {
	startAct, startCon := []byte{0x68, 4, 7, 0, 0, 0}, []byte{0x68, 4, 0x0b, 0, 0, 0}
	value := func(ns byte) []byte {
		return []byte{0x68, 0x12, ns << 1, 0, 0, 0, 13, 1, 3, 0, 1, 0, 7, 0, 0, 0, 0, 0x80, 0x3f, 0}
	}
	for _, test := range []struct {
		name   string
		start  bool
		frames [][]byte // the station's, but for STARTDT act
		last   protocols.Faults
	}{
		{"in order", true, [][]byte{startAct, startCon, value(0)}, 0},
		{"number from the future", true, [][]byte{startAct, startCon, value(5)}, protocols.BadSequence},
		{"not started", true, [][]byte{value(0)}, protocols.OutOfTurn},
		{"joined in the middle", false, [][]byte{value(5)}, 0},
	} {
		d := New(protocols.Hint{Server: 1, Known: true, Start: test.start})
		var m protocols.Message
		for i, b := range test.frames {
			dir := protocols.Dir(1)
			if b[2] == 7 {
				dir = 0
			}
			if !d.Decode(protocols.Frame{Dir: dir, At: int64(i+1) * 1e9, Bytes: b}, &m) {
				t.Fatalf("%s: frame %d gives no message", test.name, i)
			}
		}
		if m.Faults != test.last {
			t.Errorf("%s: faults %q, want %q", test.name, m.Faults, test.last)
		}
	}
}
