package ledger

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

// lists are what a point list says of station 5: command 7 moves 70.
type lists struct {
	reported bool
	travel   int64
	asked    int
}

func (l *lists) Label(_ netip.AddrPort, _ *protocols.Message, p *protocols.Point) *rules.Label {
	if p.Addr == 7 {
		return &rules.Label{Text: "breaker Q0, bay E03"}
	}
	return nil
}

func (l *lists) Mappings(proto *protocols.Protocol, _ netip.AddrPort, station uint32) []Mapping {
	l.asked++
	if proto != iec104Fake || station != 5 {
		return nil
	}
	return []Mapping{{Command: protocols.Point{Kind: protocols.BinaryOut, Addr: 7}, Indicates: protocols.Point{Kind: protocols.BinaryIn, Addr: 70},
		Reported: l.reported, Travel: l.travel}}
}

// interrogated is what the station says of the breaker in a general interrogation.
func interrogated(at, value float64) step {
	s := position(at, value)
	s.said = said{"cot": 20}
	return s
}

// TestImported holds that the effect of a command whose indication a list names is judged from the first command on,
// and only where the state before it is known, the station reports it by itself, and it is of the same sense.
func TestImported(t *testing.T) {
	silent := func(at, value float64) []step {
		return []step{asdu(at, 6, 0, value), asdu(at+1, 7, 0, value), later(at+20, iec104Fake)}
	}
	from := func(parts ...any) (all []step) {
		for _, p := range parts {
			switch p := p.(type) {
			case step:
				all = append(all, p)
			case []step:
				all = append(all, p...)
			}
		}
		return all
	}
	contrary := func(at, value float64) []step {
		return []step{asdu(at, 6, 0, value), asdu(at+1, 7, 0, value), position(at+2, 1-value), later(at+20, iec104Fake)}
	}
	lost := []step{asdu(100, 6, 0, 1), asdu(101, 7, 0, 1), gapOf(102, true), later(120, iec104Fake)}
	for _, c := range []struct {
		name  string
		list  *lists
		steps []step
		want  string
	}{
		{"the first command, and nothing moves", &lists{reported: true}, from(interrogated(1, 0), silent(100, 1)), "confirmed missing"},
		{"it moves", &lists{reported: true}, from(interrogated(1, 0), asdu(100, 6, 0, 1), asdu(101, 7, 0, 1), position(102, 1), later(120, iec104Fake)), "confirmed seen"},
		{"the state that it has", &lists{reported: true}, from(interrogated(1, 1), silent(100, 1)), "confirmed unknown"},
		{"nobody knows where it stood", &lists{reported: true}, from(later(1, iec104Fake), silent(100, 1)), "confirmed unknown"},
		{"it is not reported by itself", &lists{}, from(interrogated(1, 0), silent(100, 1)), "confirmed unknown"},
		{"asked for in time", &lists{reported: true}, from(interrogated(1, 0), asdu(100, 6, 0, 1), asdu(101, 7, 0, 1), interrogated(105, 1), later(120, iec104Fake)), "confirmed unknown"},
		{"of the contrary sense", &lists{reported: true}, from(interrogated(1, 1), contrary(100, 1), contrary(200, 0), silent(300, 0)), "confirmed seen, confirmed seen, confirmed unknown"},
		{"bytes are lost", &lists{reported: true}, from(interrogated(1, 0), lost), "confirmed unknown"},
		{"a slow drive", &lists{reported: true, travel: 30e9}, from(interrogated(1, 0), asdu(100, 6, 0, 1), asdu(101, 7, 0, 1), later(120, iec104Fake), position(125, 1), later(150, iec104Fake)), "confirmed seen"},
		{"a slow drive that stands", &lists{reported: true, travel: 30e9}, from(interrogated(1, 0), asdu(100, 6, 0, 1), asdu(101, 7, 0, 1), later(120, iec104Fake), later(135, iec104Fake)), "confirmed missing"},
	} {
		if got := told(func(l *Ledger) { l.Use(c.list) }, c.steps); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

// TestUse holds that records carry names, that a station is asked for once per connection, and that lists that are
// taken away leave nothing.
func TestUse(t *testing.T) {
	var records []*Record
	l := New(Config{}, func(r *Record) { records = append(records, r) })
	list := &lists{reported: true}
	l.Use(list)
	take := func(steps ...step) {
		for i := range steps {
			l.Take(steps[i].event(1))
		}
	}
	take(interrogated(1, 0), interrogated(2, 0), asdu(100, 6, 0, 1), asdu(101, 7, 0, 1), later(120, iec104Fake))
	if len(records) != 1 || records[0].Point == nil || records[0].Point.Name != "breaker Q0, bay E03" {
		t.Fatalf("records %+v", records)
	}
	if list.asked != 1 {
		t.Errorf("the lists were asked %d times", list.asked)
	}
	command := protocols.Point{Kind: protocols.BinaryOut, Addr: 7}
	if _, ok := l.Mapped(iec104Fake, stationAt, 5, command); !ok {
		t.Error("the command is not mapped")
	}
	l.Use(nil)
	if p, ok := l.Mapped(iec104Fake, stationAt, 5, command); ok || l.maps.shows > 0 {
		t.Errorf("without lists it is mapped to %+v; %d indications", p, l.maps.shows)
	}
	take(asdu(200, 6, 0, 1), asdu(201, 7, 0, 1), later(220, iec104Fake))
	if len(records) != 2 || records[1].Point.Name != "" {
		t.Errorf("a record has a name of lists that are gone: %+v", records[1].Point)
	}
}

// TestListedPolling holds that polling of listed stations allocates nothing.
func TestListedPolling(t *testing.T) {
	l := New(Config{}, func(*Record) {})
	l.Use(&lists{reported: true})
	polls := []*rules.Event{}
	for i := range 4 {
		s := interrogated(float64(i+1), 0)
		e := *s.event(uint64(i + 1))
		e.Flow.Conn = uint64(i + 1)
		e.Msg.Points = slices.Clone(e.Msg.Points)
		polls = append(polls, &e)
		l.Take(&e)
	}
	if n := testing.AllocsPerRun(100, func() {
		for _, e := range polls {
			l.Take(e)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestQueryName holds which records a name picks.
func TestQueryName(t *testing.T) {
	r := &Record{Proto: "iec104", Point: &rules.Point{Kind: "binary_out", Addr: 5001, N: 1, Name: "Breaker Q0, bay E03"}}
	for word, want := range map[string]bool{"": true, "q0": true, "bay e03": true, "e04": false, "5001": false} {
		if q := (Query{Name: word}); q.Picks(r) != want {
			t.Errorf("%q: %v", word, !want)
		}
	}
	r.Points = []rules.Point{*r.Point, {Kind: "binary_out", Addr: 5002, N: 1, Name: "isolator Q1"}}
	if q := (Query{Name: "Q1"}); !q.Picks(r) {
		t.Error("the second point is not found")
	}
	if err := (&Query{Name: strings.Repeat("x", 3)}).Check(); err != nil {
		t.Error(err)
	}
}
