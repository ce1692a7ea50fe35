package plant

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/protocols/dnp3"
	"github.com/roje-ot/roje/protocols/iec104"
	"github.com/roje-ot/roje/protocols/modbus"
	"github.com/roje-ot/roje/rules"
)

// event is a message with one point: what a station shows, or with op what a client does to it.
func event(proto *protocols.Protocol, server string, station uint32, op protocols.Op, p protocols.Point) *rules.Event {
	m := &protocols.Message{Proto: proto, HasStation: true, Station: station, HasCode: true, Op: op, From: protocols.Server, Points: []protocols.Point{p}}
	if op == protocols.Operate || op == protocols.Write {
		m.From = protocols.Client
		m.Points[0].Has |= protocols.HasValue
	}
	if m.Points[0].N == 0 {
		m.Points[0].N = 1
	}
	e := &rules.Event{What: rules.Message, At: 1e18, Msg: m}
	e.Flow.Client, e.Flow.Server = netip.MustParseAddrPort("10.0.0.9:4000"), netip.AddrPortFrom(netip.MustParseAddr(server), proto.TCP[0])
	return e
}

// TestCompare holds what is said of each way in which list, seen and learned can differ, and nothing of what agrees.
func TestCompare(t *testing.T) {
	const bayList = "asset;ca;ioa;type;name;bay;access\n10.0.0.3;3;1;31;breaker;E03;\n10.0.0.3;3;2;30;door;E03;\n10.0.0.3;3;3;13;voltage;E03;\n" +
		"10.0.0.3;3;4;45;horn;E03;\n10.0.0.3;3;5;45;lamp;E03;\n10.0.0.3;3;6;50;limit;E03;r\n"
	const unitList = "asset,slave,table,address,type,name,access\n10.0.0.5,1,hr,10,float,power,\n10.0.0.5,1,hr,20,,serial,r\n10.0.0.5,1,ir,0,,spare,\n"
	files := []File{list(t, "bay.csv", bayList), list(t, "unit.csv", unitList), list(t, "any.xml", profile)}
	b, err := Load(files)
	if err != nil {
		t.Fatal(err)
	}
	in, out, ain, aout := protocols.BinaryIn, protocols.BinaryOut, protocols.AnalogIn, protocols.AnalogOut
	seen := &Seen{}
	for _, e := range []*rules.Event{
		event(iec104.Protocol, "10.0.0.3", 3, protocols.Report, protocols.Point{Kind: in, Addr: 1, Type: 3}),
		event(iec104.Protocol, "10.0.0.3", 3, protocols.Report, protocols.Point{Kind: in, Addr: 2, Type: 31}),
		event(iec104.Protocol, "10.0.0.3", 3, protocols.Operate, protocols.Point{Kind: out, Addr: 3, Type: 45}),
		event(iec104.Protocol, "10.0.0.3", 3, protocols.Operate, protocols.Point{Kind: out, Addr: 4, Type: 45}),
		event(iec104.Protocol, "10.0.0.3", 3, protocols.Operate, protocols.Point{Kind: aout, Addr: 6, Type: 50}),
		event(iec104.Protocol, "10.0.0.3", 3, protocols.Report, protocols.Point{Kind: in, Addr: 70, Type: 1}),
		event(iec104.Protocol, "10.0.0.3", 3, protocols.Report, protocols.Point{Kind: in, Addr: 71, Type: 1}),
		event(iec104.Protocol, "10.0.0.3", 4, protocols.Report, protocols.Point{Kind: in, Addr: 1, Type: 1}),
		event(modbus.Protocol, "10.0.0.5", 1, protocols.Read, protocols.Point{Kind: aout, Addr: 11, Type: 4}),
		event(modbus.Protocol, "10.0.0.5", 1, protocols.Write, protocols.Point{Kind: aout, Addr: 20, Type: 4}),
		event(dnp3.Protocol, "10.0.0.7", 7, protocols.Read, protocols.Point{Kind: in, Addr: 0, Type: 3<<8 | 2}),
		event(dnp3.Protocol, "10.0.0.7", 7, protocols.Read, protocols.Point{Kind: ain, Addr: 5, N: 2, Type: 30<<8 | 1}),
	} {
		seen.Take(e)
	}
	faulty := event(iec104.Protocol, "10.0.0.3", 3, protocols.Report, protocols.Point{Kind: in, Addr: 99, Type: 1})
	faulty.Msg.Faults = protocols.Unframed
	seen.Take(faulty)
	echo := event(dnp3.Protocol, "10.0.0.7", 7, protocols.Read, protocols.Point{Kind: out, Addr: 9, Type: 12<<8 | 1, Has: protocols.HasStatus})
	seen.Take(echo)

	at := netip.MustParseAddr
	learned := []Learned{{at("10.0.0.3"), 3, in, 70, 70}, {at("10.0.0.3"), 3, in, 80, 82}, {at("10.0.0.5"), 1, ain, 0, 0}, {at("10.0.0.8"), 1, ain, 0, 9}}
	r := Compare(b, seen, learned)
	var got []string
	for _, f := range r.Findings {
		if f.Proto == "dnp3" && f.Finding == NeverSeen {
			continue // the profile has more than is shown here
		}
		got = append(got, f.Finding+": "+f.String())
	}
	const last = ", last on 2001-09-09T01:46:40Z"
	bay, unit := files[0].Path, files[1].Path
	want := []string{
		"read_only_commanded: iec104 station 3 at 10.0.0.3: voltage, bay E03 (object 3) is listed as short float and seen as single command, commanded 1 times, first by 10.0.0.9" + last + " [" + bay + ":4]",
		"read_only_commanded: iec104 station 3 at 10.0.0.3: limit, bay E03 (object 6), commanded 1 times, first by 10.0.0.9" + last + " [" + bay + ":7]",
		"read_only_commanded: modbus station 1 at 10.0.0.5: serial (holding register 20), commanded 1 times, first by 10.0.0.9" + last + " [" + unit + ":3]",
		"type_differs: iec104 station 3 at 10.0.0.3: door, bay E03 (object 2) is listed as single point and seen as double point, shown 1 times" + last + " [" + bay + ":3]",
		"not_listed: iec104 station 3 at 10.0.0.3: object 70, single point, shown 1 times" + last + ", learned",
		"not_listed: iec104 station 3 at 10.0.0.3: object 71, single point, shown 1 times" + last,
		"not_listed: dnp3 station 7 at 10.0.0.7: analog input 6, shown 1 times" + last,
		"learned_not_listed: iec104 station 3 at 10.0.0.3: object 80 to 82",
		"never_seen: modbus station 1 at 10.0.0.5: spare (input register 0), learned [" + unit + ":4]",
		"never_commanded: iec104 station 3 at 10.0.0.3: lamp, bay E03 (object 5) [" + bay + ":6]",
	}
	if !slices.Equal(got, want) {
		t.Errorf("findings\n got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if len(r.Without) != 1 || r.Without[0].Station != 4 {
		t.Errorf("stations without a list: %+v", r.Without)
	}
	text := r.String()
	for _, part := range []string{"3 commanded or written, and listed as only to be read\n", "3 seen and not listed\n", "3 learned, not seen this time and not listed\n", "1 stations are in no list\n  iec104 station 4 at 10.0.0.3: 1 points seen\n"} {
		if !strings.Contains(text, part) {
			t.Errorf("the report lacks %q:\n%s", part, text)
		}
	}
}

// TestSeenBounds holds that a scan of points that do not exist takes no more room than there is, and that it is said.
func TestSeenBounds(t *testing.T) {
	seen := &Seen{}
	for station := range uint32(5) {
		seen.Take(event(modbus.Protocol, "10.0.0.5", station, protocols.Read, protocols.Point{Kind: protocols.AnalogOut, N: 1 << 16, Type: 4}))
	}
	held := 0
	for _, spots := range seen.stations {
		held += len(spots)
	}
	if held != maxSeen || seen.Over != 5<<16-maxSeen {
		t.Errorf("%d points are held, %d found no room", held, seen.Over)
	}
}
