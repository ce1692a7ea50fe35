package baseline

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

var modbus = &protocols.Protocol{Name: "modbus", TCP: []uint16{502}, Field: []protocols.Field{
	{Name: "sub", Int: func(m *protocols.Message) (int64, bool) { v, ok := m.Detail.(int); return int64(v), ok }}}}

var dnp3 = &protocols.Protocol{Name: "dnp3", TCP: []uint16{20000}}

const hour = int64(time.Hour)

// A step is one event of a test: who, what, and to whom.
type step struct {
	client, server string
	proto          *protocols.Protocol
	from           protocols.Side
	code           uint16
	op             protocols.Op
	station        uint32
	points         []protocols.Point
	sub            any
	faults         protocols.Faults
}

var (
	poll    = step{client: "10.0.0.10", server: "10.0.0.1", code: 3, op: protocols.Read, station: 1, points: []protocols.Point{{Kind: protocols.AnalogOut, Addr: 100, N: 4}}}
	answer  = step{client: "10.0.0.10", server: "10.0.0.1", from: protocols.Server, code: 3, op: protocols.Read, station: 1, points: values(100, 1, 2, 3, 4)}
	write   = step{client: "10.0.0.10", server: "10.0.0.1", code: 6, op: protocols.Write, station: 1, points: values(50, 20)}
	restart = step{client: "10.0.0.10", server: "10.0.0.1", code: 8, op: protocols.Restart, station: 1, sub: 1}
)

// values are holding registers from addr on.
func values(addr uint32, v ...float64) (points []protocols.Point) {
	for i, v := range v {
		points = append(points, protocols.Point{Kind: protocols.AnalogOut, Addr: addr + uint32(i), N: 1, Has: protocols.HasValue, Value: v})
	}
	return points
}

func (s step) event(at int64) *rules.Event {
	p := s.proto
	if p == nil {
		p = modbus
	}
	m := &protocols.Message{Proto: p, From: s.from, HasCode: true, Code: s.code, Name: fmt.Sprint("function ", s.code), Op: s.op, HasStation: true,
		Station: s.station, Points: s.points, Detail: s.sub, Faults: s.faults}
	return &rules.Event{At: at, Msg: m, Flow: rules.Flow{Client: netip.MustParseAddrPort(s.client + ":40000"),
		Server: netip.AddrPortFrom(netip.MustParseAddr(s.server), p.TCP[0]), Conn: 1}}
}

// with returns s changed by edit.
func (s step) with(edit func(*step)) step { edit(&s); return s }

func (b *Baseline) play(at int64, steps ...step) (last *rules.Event) {
	for _, s := range steps {
		last = s.event(at)
		b.Judge(last)
	}
	return last
}

func openIn(t testing.TB, dir string, phase rules.Phase) *Baseline {
	t.Helper()
	b, warning, err := Open(dir, Options{Phase: phase})
	if err != nil || warning != nil {
		t.Fatal(err, warning)
	}
	return b
}

// learned returns a baseline that has learned polling for a day and a write, and enforces.
func learned(t testing.TB, dir string) *Baseline {
	t.Helper()
	b := openIn(t, dir, rules.Learn)
	for h := range int64(25) {
		b.play(h*hour, poll, answer)
	}
	b.play(3*hour, write, write.with(func(s *step) { s.points = values(50, 30) }))
	b.Approve("test", time.Unix(0, 25*hour))
	b.SetPhase(rules.Enforce)
	return b
}

func words(n rules.Novel) string {
	var names []string
	for i, name := range rules.NovelNames() {
		if n&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, " ")
}

func TestEnforce(t *testing.T) {
	b := learned(t, "")
	for _, test := range []struct {
		name string
		step step
		want string
	}{
		{"learned poll", poll, ""},
		{"learned answer", answer, ""},
		{"learned write", write, ""},
		{"part of what is polled", poll.with(func(s *step) { s.points = []protocols.Point{{Kind: protocols.AnalogOut, Addr: 101, N: 2}} }), ""},
		{"other registers", poll.with(func(s *step) { s.points = []protocols.Point{{Kind: protocols.AnalogOut, Addr: 102, N: 4}} }), "new_point"},
		{"registers of a kind that was never seen", poll.with(func(s *step) { s.points = []protocols.Point{{Kind: protocols.AnalogIn, Addr: 102, N: 4}} }), ""},
		{"other unit", poll.with(func(s *step) { s.station = 2 }), "new_station new_op"},
		{"other function", poll.with(func(s *step) { s.code = 4 }), "new_op"},
		{"other client", poll.with(func(s *step) { s.client = "10.0.0.66" }), "new_client new_link new_station new_op new_device"},
		{"the server asks", poll.with(func(s *step) { s.client, s.server = "10.0.0.1", "10.0.0.10" }), "new_client new_server new_link new_station new_op"},
		{"other server", poll.with(func(s *step) { s.server = "10.0.0.2" }), "new_server new_link new_station new_op new_device"},
		{"other protocol", poll.with(func(s *step) { s.proto = dnp3 }), "new_link new_station new_op new_point"},
		{"other register written", write.with(func(s *step) { s.points = values(51, 20) }), "new_target"},
		{"value at the edge of the range and its margin", write.with(func(s *step) { s.points = values(50, 30.4) }), ""},
		{"value far above", write.with(func(s *step) { s.points = values(50, 300) }), "new_value"},
		{"stranger writes", write.with(func(s *step) { s.client = "10.0.0.66" }), "new_client new_link new_station new_op new_writer new_device"},
	} {
		want := strings.Fields(test.want)
		if test.name == "other protocol" {
			want = slices.DeleteFunc(want, func(s string) bool { return s == "new_point" })
			test.step.points = nil
		}
		e := b.play(26*hour, test.step)
		if got := words(e.Facts.Novel); got != strings.Join(want, " ") {
			t.Errorf("%s:\n got %s\nwant %s", test.name, got, strings.Join(want, " "))
		}
		if e.Facts.Approved != !strings.Contains(test.want, "new_op") || e.Facts.Phase != rules.Enforce {
			t.Errorf("%s: approved %v, phase %v", test.name, e.Facts.Approved, e.Facts.Phase)
		}
	}
}

func TestFacts(t *testing.T) {
	b := learned(t, "")
	f := b.play(26*hour, write).Facts
	if f.Masters != 1 || f.Writers != 1 || !f.LinkWrites || !f.ClientCommand || f.Low != 20 || f.High != 30 || !f.Ranged || f.Days != 1 || f.CommandPoints != 1 {
		t.Errorf("got %+v", f)
	}
	if !f.ServerServes || !f.ClientAsks || f.ClientServes {
		t.Errorf("roles: %+v", f)
	}
}

// TestNothingKnown: novelty is silent in every phase but Enforce, and where nothing was approved. The roles are known all the same.
func TestNothingKnown(t *testing.T) {
	for _, phase := range []rules.Phase{rules.Off, rules.Learn, rules.Enforce} {
		b := openIn(t, "", phase)
		b.play(0, poll, answer)
		e := b.play(hour, poll.with(func(s *step) { s.client, s.server = "10.0.0.1", "10.0.0.7" }))
		if e.Facts.Novel != 0 || e.Facts.Approved || !e.Facts.ClientServes || e.Facts.Phase != phase {
			t.Errorf("phase %v: %+v", phase, e.Facts)
		}
	}
}

// TestPhaseOffLearnsNothing, nor does Enforce.
func TestOnlyLearnLearns(t *testing.T) {
	for _, phase := range []rules.Phase{rules.Off, rules.Enforce} {
		b := openIn(t, "", phase)
		b.play(0, poll, answer, write)
		if items := b.Items(); len(items) != 0 {
			t.Errorf("phase %v learned %d items, the first %s", phase, len(items), items[0].Text())
		}
	}
}

func TestNeverLearnable(t *testing.T) {
	b := openIn(t, "", rules.Learn)
	for h := range int64(100) {
		b.play(h*hour, poll, answer, restart)
		b.play(h*hour, step{client: "10.0.0.66", server: "10.0.0.1", proto: dnp3, code: 21, op: protocols.Configure, station: 4})
		b.play(h*hour, step{client: "10.0.0.10", server: "10.0.0.1", proto: dnp3, code: 5, op: protocols.Operate, station: 0xffff})
		b.play(h*hour, poll.with(func(s *step) { s.code, s.faults = 77, protocols.BadCode }))
	}
	d := b.Approve("test", time.Unix(0, 100*hour))
	if len(d.Held) != 3 || d.Approved["link"] != 1 {
		t.Errorf("held %d, approved %v", len(d.Held), d.Approved)
	}
	b.SetPhase(rules.Enforce)
	if e := b.play(101*hour, restart); e.Facts.Approved || !e.Facts.Held || words(e.Facts.Novel) != "new_op" {
		t.Errorf("restart: approved %v, %s", e.Facts.Approved, words(e.Facts.Novel))
	}
	// The client that only ever sent what is held is no learned client.
	if e := b.play(101*hour, poll.with(func(s *step) { s.client, s.proto = "10.0.0.66", dnp3 })); e.Facts.Novel&rules.NewLink == 0 || e.Facts.Novel&rules.NewClient == 0 {
		t.Errorf("a link of held operations was approved: %s", words(e.Facts.Novel))
	}
	if e := b.play(101*hour, poll.with(func(s *step) { s.code = 77 })); e.Facts.Approved {
		t.Error("a faulty message was learned")
	}
	var key string
	for _, it := range b.Waiting() {
		if it.Code != nil && *it.Code == 8 {
			key = it.Key()
		}
	}
	if err := b.ApproveItem(key, "engineer", "", time.Unix(0, 101*hour)); err != nil {
		t.Fatal(err)
	}
	if e := b.play(102*hour, restart); !e.Facts.Approved || e.Facts.Held || e.Facts.Novel != 0 {
		t.Errorf("after approval: %s", words(e.Facts.Novel))
	}
	if err := b.ApproveItem("op nothing", "engineer", "", time.Unix(0, 0)); err == nil {
		t.Error("an item that does not exist was approved")
	}
}

func TestARP(t *testing.T) {
	arp := func(b *Baseline, at int64, ip string, mac byte) rules.Novel {
		e := &rules.Event{What: rules.ARP, At: at, Flow: rules.Flow{Client: netip.AddrPortFrom(netip.MustParseAddr(ip), 0), ClientMAC: rules.MAC{2, 0, 0, 0, 0, mac}}}
		b.Judge(e)
		return e.Facts.Novel
	}
	b := openIn(t, "", rules.Learn)
	b.play(0, poll, answer)
	arp(b, 0, "10.0.0.1", 1)
	arp(b, 0, "10.0.0.10", 10)
	b.Approve("test", time.Unix(0, 0))
	b.SetPhase(rules.Enforce)
	for _, test := range []struct {
		ip   string
		mac  byte
		want string
	}{{"10.0.0.1", 1, ""}, {"10.0.0.1", 66, "new_binding"}, {"10.0.0.66", 66, "new_device"}} {
		if got := words(arp(b, hour, test.ip, test.mac)); got != test.want {
			t.Errorf("%s at %d: got %q, want %q", test.ip, test.mac, got, test.want)
		}
	}
}

func TestCommandedTogether(t *testing.T) {
	b := openIn(t, "", rules.Learn)
	b.play(0, poll, answer)
	for i := range uint32(5) {
		b.play(int64(i)*10e9, write.with(func(s *step) { s.points = values(i, 1) }))
	}
	for i := range uint32(5) {
		b.play(hour+int64(i)*hour, write.with(func(s *step) { s.points = values(10+i, 1) }))
	}
	b.Approve("test", time.Unix(0, 0))
	if f := b.play(10*hour, poll).Facts; f.CommandPoints != 5 {
		t.Errorf("got %d, want 5", f.CommandPoints)
	}
}

func TestRanges(t *testing.T) {
	var r ranges
	for _, test := range []struct {
		lo, hi uint32
		want   string
	}{
		{10, 20, "10-20"}, {30, 40, "10-20,30-40"}, {21, 22, "10-22,30-40"}, {24, 28, "10-22,24-28,30-40"}, {23, 23, "10-28,30-40"}, {29, 29, "10-40"},
		{0, 0, "0,10-40"}, {0xffffffff, 0xffffffff, "0,10-40,4294967295"}, {5, 50, "0,5-50,4294967295"}, {0, 0xffffffff, "0-4294967295"},
	} {
		r.add(test.lo, test.hi)
		if got := r.String(); got != test.want {
			t.Errorf("after %d-%d: got %s, want %s", test.lo, test.hi, got, test.want)
		}
		if back, err := parseRanges(test.want); err != nil || !slices.Equal(back, r) {
			t.Errorf("%s reads back as %v, %v", test.want, back, err)
		}
	}
	r = nil
	for i := range uint32(3000) {
		r.add(i*10+i%7, i*10+i%7)
	}
	if len(r) != maxRanges || !r.has(0, 0) || !r.has(2999*10+2999%7, 2999*10+2999%7) {
		t.Errorf("%d ranges, want %d that still hold all", len(r), maxRanges)
	}
	for _, bad := range []string{"a", "5-3", "1,,2", "4294967296", "-1"} {
		if _, err := parseRanges(bad); err == nil {
			t.Errorf("%q was taken for ranges", bad)
		}
	}
}

// TestCaps floods a learning baseline; its tables stay at their caps, what is approved stays, and what is new still gets in.
func TestCaps(t *testing.T) {
	b := openIn(t, "", rules.Learn)
	b.play(0, poll, answer)
	b.Approve("test", time.Unix(0, 0))
	for i := range 12000 {
		s := poll.with(func(s *step) { s.client = fmt.Sprintf("11.%d.%d.%d", i>>16, i>>8&255, i&255); s.station = uint32(i) })
		b.play(int64(i), s)
	}
	for i := range 60000 {
		b.play(hour, write.with(func(s *step) { s.points = values(uint32(i), 1) }), poll.with(func(s *step) { s.station = uint32(i) }))
	}
	if len(b.hosts) > maxHosts || len(b.links) > maxLinks || len(b.targets) > maxTargets || len(b.spans) > maxSpanSets {
		t.Errorf("tables grew to %d hosts, %d links, %d targets", len(b.hosts), len(b.links), len(b.targets))
	}
	for _, l := range b.links {
		if len(l.stations) > maxStations || len(l.ops) > maxOps*maxStations {
			t.Errorf("a link grew to %d stations and %d operations", len(l.stations), len(l.ops))
		}
	}
	if b.Overflow.Targets == 0 || b.Overflow.Stations == 0 {
		t.Errorf("overflow was not counted: %+v", b.Overflow)
	}
	if full := b.Full(); full["targets"] != b.Overflow.Targets || full["stations"] != b.Overflow.Stations || len(full) < 2 || full["links"] != b.Overflow.Links {
		t.Errorf("%v is said to be full of %+v", full, b.Overflow)
	}
	b.SetPhase(rules.Enforce)
	if e := b.play(2*hour, poll); e.Facts.Novel != 0 {
		t.Errorf("the flood displaced what was approved: %s", words(e.Facts.Novel))
	}
	if e := b.play(2*hour, poll.with(func(s *step) { s.client = "11.0.46.223" })); e.Facts.ClientServes {
		t.Error("a client serves")
	}
}
