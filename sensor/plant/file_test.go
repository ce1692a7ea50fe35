package plant

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/protocols/dnp3"
	"github.com/roje-ot/roje/protocols/iec104"
	"github.com/roje-ot/roje/protocols/modbus"
)

// list writes a file and returns it as a configuration names it.
func list(t testing.TB, name, text string) File {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return File{Path: path}
}

func number(n uint32) *uint32 { return &n }

// said asks a book for the label of a point of a message.
func said(b *Book, proto *protocols.Protocol, server string, station uint32, p protocols.Point) string {
	if p.N == 0 {
		p.N = 1
	}
	l := b.Label(netip.AddrPortFrom(netip.MustParseAddr(server), proto.TCP[0]), &protocols.Message{Proto: proto, HasStation: true, Station: station}, &p)
	if l == nil {
		return ""
	}
	return l.Text
}

const bays = "\ufeffCommon address;IOA;TI;Signal;Bay;Unit;Scaling;Indication IOA;Remarks\r\n" +
	"3;1001;31;breaker Q0;E03;;;;position\r\n" +
	"3;5001;C_DC_NA_1;breaker Q0;E03;;;1001;\r\n" +
	"# spare row;;;;;;;;\r\n" +
	";;;;;;;;\r\n" +
	"3;2001;float;busbar voltage;;kV;0,1;;\r\n" +
	"3;2005;M_ME_NB_1;\"oil; top\";T1;°C;\"0,5\";;\r\n"

const registers = "unit id,table,address,count,type,name,bay,unit,scale,offset\n" +
	"1,holding register,4,,uint16,float voltage,rectifier 1,V,0.01,\n" +
	"1,input registers,10,,float32,\"load, total\",,kW,,\n" +
	"1,3x,20,,int16,room temperature,,°C,0.1,-5\n" +
	"1,0x,3,,,load disconnect,rectifier 1,,,\n"

// TestCSV reads lists as tools write them.
func TestCSV(t *testing.T) {
	e03 := list(t, "e03.csv", bays)
	telecom := list(t, "telecom.csv", registers)
	telecom.Assets = []string{"10.20.5.31", "10.20.5.32"}
	modicon := list(t, "modicon.csv", "asset\treference\tname\n10.20.5.41\t40011\tidle speed\n10.20.5.41\t300001\toil pressure\n10.20.5.41\t00001\trun\n")
	modicon.Station = number(2)
	outstation := list(t, "rtu.csv", "Outstation,Type,Index,Designation,Feedback,Event class\n4,BO,0,relay 1,,\n4,BI,0,relay 1 closed,,1\n4,DBI,0,isolator,,2\n4,AO,1,limit,7,\n4,AI,7,limit,,\n")
	german := list(t, "de.csv", "Bezeichnung;Adresse dez;Typ\nSammelschiene;77;1\n")
	german.Protocol, german.Columns = "iec104", map[string]string{"name": "Bezeichnung", "address": "Adresse dez", "type": "Typ"}
	german.Station = number(9)
	b, err := Load([]File{e03, telecom, modicon, outstation, german})
	if err != nil {
		t.Fatal(err)
	}
	if got := b.Unread[e03.Path]; !slices.Equal(got, []string{"Remarks"}) {
		t.Errorf("columns that are not read: %q", got)
	}
	holding, input, coil := protocols.AnalogOut, protocols.AnalogIn, protocols.BinaryOut
	for _, c := range []struct {
		proto   *protocols.Protocol
		server  string
		station uint32
		p       protocols.Point
		want    string
	}{
		{iec104.Protocol, "10.1.1.1", 3, protocols.Point{Kind: protocols.BinaryIn, Addr: 1001}, "breaker Q0, bay E03"},
		{iec104.Protocol, "10.9.9.9", 3, protocols.Point{Kind: protocols.BinaryOut, Addr: 5001}, "breaker Q0, bay E03"},
		{iec104.Protocol, "10.1.1.1", 3, protocols.Point{Kind: protocols.OtherKind, Addr: 5001}, "breaker Q0, bay E03"},
		{iec104.Protocol, "10.1.1.1", 4, protocols.Point{Kind: protocols.BinaryIn, Addr: 1001}, ""},
		{iec104.Protocol, "10.1.1.1", 3, protocols.Point{Kind: protocols.AnalogIn, Addr: 2005}, "oil; top, bay T1"},
		{iec104.Protocol, "10.1.1.1", 9, protocols.Point{Kind: protocols.BinaryIn, Addr: 77}, "Sammelschiene"},
		{modbus.Protocol, "10.20.5.32", 1, protocols.Point{Kind: holding, Addr: 4}, "float voltage, bay rectifier 1"},
		{modbus.Protocol, "::ffff:10.20.5.32", 1, protocols.Point{Kind: holding, Addr: 4}, "float voltage, bay rectifier 1"},
		{modbus.Protocol, "10.20.5.33", 1, protocols.Point{Kind: holding, Addr: 4}, ""},
		{modbus.Protocol, "10.20.5.31", 1, protocols.Point{Kind: input, Addr: 11}, "load, total"},
		{modbus.Protocol, "10.20.5.31", 1, protocols.Point{Kind: input, Addr: 10, N: 2}, "load, total"},
		{modbus.Protocol, "10.20.5.31", 1, protocols.Point{Kind: input, Addr: 10, N: 3}, ""},
		{modbus.Protocol, "10.20.5.31", 1, protocols.Point{Kind: coil, Addr: 3}, "load disconnect, bay rectifier 1"},
		{modbus.Protocol, "10.20.5.41", 2, protocols.Point{Kind: holding, Addr: 10}, "idle speed"},
		{modbus.Protocol, "10.20.5.41", 2, protocols.Point{Kind: input, Addr: 0}, "oil pressure"},
		{modbus.Protocol, "10.20.5.41", 2, protocols.Point{Kind: coil, Addr: 0}, "run"},
		{dnp3.Protocol, "10.1.1.4", 4, protocols.Point{Kind: protocols.BinaryIn, Addr: 0, Type: 2<<8 | 1}, "relay 1 closed"},
		{dnp3.Protocol, "10.1.1.4", 4, protocols.Point{Kind: protocols.BinaryIn, Addr: 0, Type: 4<<8 | 1}, "isolator"},
	} {
		if got := said(b, c.proto, c.server, c.station, c.p); got != c.want {
			t.Errorf("%s station %d at %s, %v %d: %q, want %q", c.proto.Name, c.station, c.server, c.p.Kind, c.p.Addr, got, c.want)
		}
	}
	for _, c := range []struct {
		name string
		raw  float64
		want float64
		unit string
	}{{"busbar voltage", 1104, 110.4, "kV"}, {"oil; top", 82, 41, "°C"}, {"float voltage", 5420, 54.2, "V"}, {"room temperature", 65236, -35, "°C"}, {"load, total", 7, 7, ""}} {
		i := slices.IndexFunc(b.Points, func(p *Point) bool { return p.Name == c.name })
		l := &b.Points[i].label
		if got := l.Value(c.raw); got < c.want-1e-9 || got > c.want+1e-9 || l.Unit != c.unit {
			t.Errorf("%s: %v is %v %q, want %v %q", c.name, c.raw, got, l.Unit, c.want, c.unit)
		}
	}
	maps := b.Mappings(iec104.Protocol, netip.MustParseAddrPort("10.1.1.1:2404"), 3)
	if len(maps) != 1 || maps[0].Command.Addr != 5001 || maps[0].Indicates.Addr != 1001 || maps[0].Indicates.Kind != protocols.BinaryIn || !maps[0].Reported {
		t.Errorf("mappings %+v", maps)
	}
	maps = b.Mappings(dnp3.Protocol, netip.MustParseAddrPort("10.1.1.4:20000"), 4)
	if len(maps) != 1 || maps[0].Command.Kind != protocols.AnalogOut || maps[0].Indicates.Kind != protocols.AnalogIn || maps[0].Reported {
		t.Errorf("mappings of DNP3 %+v", maps)
	}
}

const profile = `<?xml version="1.0" encoding="utf-8"?>
<?xml-stylesheet type="text/xsl" href="DNP3DeviceProfileNov2014.xslt"?>
<DNP3DeviceProfileDocument xmlns="http://www.dnp3.org/DNP3/DeviceProfile/Nov2014" schemaVersion="2.10.00">
 <documentHeader><documentName>Recloser</documentName></documentHeader>
 <referenceDevice>
  <configuration><deviceConfig><deviceName><currentValue><value>not a point</value></currentValue></deviceName></deviceConfig></configuration>
  <dataPointsList>
   <binaryInputPoints>
    <configuration><pointListDefinition><fixed/></pointListDefinition></configuration>
    <dataPoints>
     <binaryInput><index>0</index><name>recloser closed</name><changeEventClass>one</changeEventClass><nameState0>open</nameState0></binaryInput>
     <binaryInput><index>1</index><name>
        battery   low</name><description>the battery</description><changeEventClass>none</changeEventClass></binaryInput>
    </dataPoints>
   </binaryInputPoints>
   <doubleBitInputPoints><dataPoints><doubleBitInput><index>0</index><name>isolator</name></doubleBitInput></dataPoints></doubleBitInputPoints>
   <binaryOutputPoints><dataPoints>
     <binaryOutput><index>0</index><name>trip and close</name><supportedControlOperations><supportSelectOperate/><supportTrip/></supportedControlOperations></binaryOutput>
     <binaryOutput><index>1</index><name>lockout</name><supportedControlOperations/></binaryOutput>
   </dataPoints></binaryOutputPoints>
   <counterPoints><dataPoints><counter><index>2</index><name>operations</name><counterEventClass>three</counterEventClass><frozenCounterExists>true</frozenCounterExists></counter></dataPoints></counterPoints>
   <analogInputPoints><dataPoints>
     <analogInput><index>5</index><name>current L1</name><changeEventClass>two</changeEventClass><scaleOffset>0</scaleOffset><scaleFactor>0.1</scaleFactor><units>A</units></analogInput>
   </dataPoints></analogInputPoints>
   <analogOutputPoints><dataPoints><analogOutput><index>0</index><name></name><description>set current</description></analogOutput></dataPoints></analogOutputPoints>
  </dataPointsList>
 </referenceDevice>
</DNP3DeviceProfileDocument>
`

// TestProfile reads a device profile.
func TestProfile(t *testing.T) {
	f := list(t, "recloser.xml", profile)
	f.Station, f.Assets = number(4), []string{"10.10.1.104"}
	b, err := Load([]File{f})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range b.Points {
		line := p.Type.Name + " " + p.Name + " " + p.Class
		if p.Reads {
			line += " read"
		}
		got = append(got, strings.TrimSpace(line))
	}
	want := []string{"binary input recloser closed 1 read", "binary input battery low none read", "double-bit input isolator  read", "binary output trip and close",
		"binary output lockout  read", "counter operations 3 read", "analog input current L1 2 read", "analog output set current"}
	if !slices.Equal(got, want) {
		t.Errorf("points\n got %q\nwant %q", got, want)
	}
	p := protocols.Point{Kind: protocols.AnalogIn, Addr: 5, Type: 30<<8 | 2}
	if got := said(b, dnp3.Protocol, "10.10.1.104", 4, p); got != "current L1" {
		t.Errorf("the analog input is called %q", got)
	}
	if got := said(b, dnp3.Protocol, "10.10.1.104", 5, p); got != "" {
		t.Errorf("that of another outstation is called %q", got)
	}
	f.Station, f.Assets = nil, nil
	if b, err = Load([]File{f}); err != nil || said(b, dnp3.Protocol, "10.7.7.7", 99, p) != "current L1" {
		t.Errorf("a profile without an address is not one of any outstation: %v", err)
	}
}

// TestFaults holds that everything that is wrong is told, with its place, and that nothing is taken then.
func TestFaults(t *testing.T) {
	for _, c := range []struct {
		name, file, text string
		f                File
		want             []string // each behind the path
	}{
		{"empty", "a.csv", "", File{}, []string{":1:1: the file is empty"}},
		{"no names", "a.csv", "ioa;type\n1;1\n", File{}, []string{":1:1: no column holds the names"}},
		{"all rows", "a.csv", "ca;ioa;type;name;scale\n70000;1;1;a;\n3;x;1;b;\n3;0.15.161;1;c;\n3;9;C_IC_NA_1;d;\n3;10;dubble point;e;1,2,3\n3;;1;f\n3;11;1;;\n3;12;;g\n", File{}, []string{
			":2:1: station 70000 is greater than 65535", `:3:3: ioa "x" is no whole number`, "write it as one number, not by its octets", `:5:5: type C_IC_NA_1 carries no point`,
			`:6:6: unknown type "dubble point"; did you mean "double point"?`, `:6:21: scale "1,2,3" is no number`, ":7:3: the point has no address", ":8:8: the point has no name", ":9:6: the point has no type"}},
		{"twice", "a.csv", "ca;ioa;type;name\n3;1;1;a\n3;2;1;b\n3;1;30;c\n", File{}, []string{":4:1: object 1 of station 3 is also on line 2"}},
		{"overlap", "a.csv", "slave,table,address,type,name\n1,hr,4,float,a\n1,hr,5,,b\n", File{}, []string{":3:1: holding register 5 of station 1 is also on line 2"}},
		{"no such indication", "a.csv", "ca;ioa;type;name;indication\n3;5001;45;a;99\n", File{}, []string{`:2:13: indication 99 of "a" is not in any list of station 3`}},
		{"indication of an indication", "a.csv", "ca;ioa;type;name;indication\n3;1;1;a;2\n3;2;1;b;\n", File{}, []string{`:2:9: "a" has a column indication, but its type is single point`}},
		{"which protocol", "a.csv", "address,name\n1,a\n", File{}, []string{":2:1: the headings do not tell the protocol"}},
		{"protocol of a row", "a.csv", "proto,address,type,name\niec10,1,1,a\n", File{}, []string{`:2:1: unknown protocol "iec10"; did you mean "iec104"?`}},
		{"two protocols", "a.csv", "ioa,table,name\n", File{}, []string{`:1:5: the heading "table" belongs to a list of`}},
		{"two names", "a.csv", "ioa,type,signal,tag\n1,1,a,b\n", File{}, []string{`:1:17: the headings "signal" and "tag" both mean name`}},
		{"Latin-1", "a.csv", "ioa;type;name\n1;1;K\xfchlung\n", File{}, []string{":2:1: this is not UTF-8"}},
		{"torn quote", "a.csv", "ioa;type;name\n1;1;a\n2;1;\"b\n3;1;c\n", File{}, []string{`nothing behind it was read`}},
		{"too many fields", "a.csv", "ioa,type,name\n1,1,oil, top\n", File{}, []string{":2:1: the row has 4 fields and the headings 3"}},
		{"registers", "a.csv", "table,address,count,name,indication\nhr,65535,2,a\nholding registr,1,,b\nhr,,,c\n,1,,d\nhr,9,,e,7\nhr,9,257,f,\n", File{}, []string{":2:10: the point takes 2 registers from 65535 on", `:3:1: unknown table "holding registr"; did you mean "holding register"?`,
			":4:4: the point has no address", ":5:1: the point has neither a table nor a reference", ":6:9: a Modbus write is judged by the registers", ":7:6: count 257 is greater than 256"}},
		{"reference", "a.csv", "reference,name\n50001,a\n4001,b\n40000,c\n", File{}, []string{`:2:1: reference "50001"`, `:3:1: reference "4001"`, `:4:1: reference "40000"`}},
		{"words", "a.csv", "ioa,type,name,access,class,travel,asset\n1,1,a,maybe,7,-1,nowhere\n", File{}, []string{":2:7: access", ":2:13: class", ":2:15: travel", `:2:18: asset "nowhere" is no IP address`}},
		{"columns", "a.csv", "ioa,type,name\n", File{Columns: map[string]string{"name": "Text"}}, []string{`:1:1: no column has the heading "Text"`}},
		{"unknown column", "a.csv", "", File{Columns: map[string]string{"nmae": "Text"}}, []string{`unknown column "nmae"; did you mean "name"?`}},
		{"bad configuration", "a.csv", "", File{Protocol: "dnp", Assets: []string{"10.1"}}, []string{`unknown protocol "dnp"; did you mean "dnp3"?`, `asset "10.1" is no IP address`}},
		{"another document", "a.xml", "<html><body/></html>", File{}, []string{":1:1: the document is a <html>"}},
		{"entities", "a.xml", "<?xml version=\"1.0\"?>\n<!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]>\n<DNP3DeviceProfileDocument>&b;</DNP3DeviceProfileDocument>", File{}, []string{":2:1: a device profile declares no document type"}},
		{"capabilities only", "a.xml", "<DNP3DeviceProfileDocument><referenceDevice/></DNP3DeviceProfileDocument>", File{}, []string{":1:1: the profile has no dataPointsList"}},
		{"torn", "a.xml", profile[:900], File{}, []string{"nothing behind it was read"}},
		{"encoding", "a.xml", "<?xml version=\"1.0\" encoding=\"utf-16\"?><a/>", File{}, []string{"save it as UTF-8"}},
		{"deep", "a.xml", "<DNP3DeviceProfileDocument>" + strings.Repeat("<a>", 40), File{}, []string{"nested deeper than"}},
		{"wrong numbers", "a.xml", strings.NewReplacer("<index>5<", "<index>66000<", "<scaleFactor>0.1<", "<scaleFactor>tenth<").Replace(profile), File{}, []string{
			`:23:6: the index of a analogInput is "66000"`, `the scaleFactor of "current L1" is "tenth", no number`}},
	} {
		f := list(t, c.file, c.text)
		c.f.Path = f.Path
		b, err := Load([]File{c.f})
		if err == nil || b != nil {
			t.Errorf("%s: nothing is wrong", c.name)
			continue
		}
		for _, want := range c.want {
			if strings.HasPrefix(want, ":") {
				want = f.Path + want
			}
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: the error lacks %q:\n%v", c.name, want, err)
			}
		}
	}
}

// TestBounds holds the caps: on the size of a file, the points and the faults that are told.
func TestBounds(t *testing.T) {
	big := list(t, "big.csv", strings.Repeat("x", maxFile+1))
	if _, err := Load([]File{big}); err == nil || !strings.Contains(err.Error(), "the file has more than") {
		t.Errorf("a big file: %v", err)
	}
	var text strings.Builder
	text.WriteString("ioa,type,name\n")
	for range 300 {
		text.WriteString("a,1,b\n")
	}
	_, err := Load([]File{list(t, "bad.csv", text.String())})
	if n := strings.Count(err.Error(), "\n"); n != maxFaults || !strings.Contains(err.Error(), "and 200 more") {
		t.Errorf("%d lines of faults", n)
	}
	if _, err := Load([]File{{Path: filepath.Join(t.TempDir(), "none.csv")}}); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("a file that is not there: %v", err)
	}
}

// TestLabelAllocates holds that naming a point allocates nothing, whether it is listed or not.
func TestLabelAllocates(t *testing.T) {
	b, err := Load([]File{list(t, "e03.csv", bays)})
	if err != nil {
		t.Fatal(err)
	}
	m := &protocols.Message{Proto: iec104.Protocol, HasStation: true, Station: 3}
	server := netip.MustParseAddrPort("10.1.1.1:2404")
	for _, addr := range []uint32{1001, 4711} {
		p := &protocols.Point{Kind: protocols.BinaryIn, Addr: addr, N: 1}
		if n := testing.AllocsPerRun(100, func() { b.Label(server, m, p) }); n != 0 {
			t.Errorf("address %d: %v allocations", addr, n)
		}
	}
}

// FuzzList reads whatever bytes as a list or a profile: it ends, and a point that is taken is whole.
func FuzzList(f *testing.F) {
	for _, text := range []string{bays, registers, profile, "reference;name\n40001;a\n", "ioa,type,name,command\n1,1,a,2\n2,45,b,\n"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, proto := range []string{"", "dnp3"} {
			b := &Book{Unread: map[string][]string{}, stations: map[scope]*station{}}
			faults := append(b.read(File{Path: "f", Protocol: proto}, text), b.link()...)
			for _, p := range b.Points {
				if p.Proto == nil || p.Name == "" || p.N == 0 || p.Line < 1 || p.Addr+p.N < p.Addr || len(p.label.Text) < len(p.Name) {
					t.Fatalf("the point %+v is not whole", p)
				}
				if q, exact := b.find(p.Proto, netip.IPv6Loopback(), p.Station, spot{p.Kind, p.Double, p.Addr}); len(p.Assets) == 0 && (q == nil || !exact) {
					t.Fatalf("the point %+v is not found", p)
				}
			}
			for _, err := range faults {
				if !strings.HasPrefix(err.Error(), "f:") && !strings.HasPrefix(err.Error(), "and ") {
					t.Fatalf("a fault without its place: %v", err)
				}
			}
		}
	})
}
