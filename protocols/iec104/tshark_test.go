package iec104

import (
	"bytes"
	"math"
	"math/bits"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/testdata/need"
)

// columns are tshark's fields that are compared, each with the values that a message gives for it, in order.
var columns = []struct {
	field string
	of    func(m *protocols.Message, d *detail) []float64
}{
	{"iec60870_104.apdulen", func(m *protocols.Message, d *detail) []float64 { return []float64{float64(m.Raw[1])} }},
	{"iec60870_104.tx", func(m *protocols.Message, d *detail) []float64 { return only1(d.format == formatI, float64(d.ns)) }},
	{"iec60870_104.rx", func(m *protocols.Message, d *detail) []float64 {
		return only1(d.format == formatI || d.format == formatS, float64(d.nr))
	}},
	{"iec60870_asdu.typeid", func(m *protocols.Message, d *detail) []float64 { return only1(d.is(hasType), float64(d.typ)) }},
	{"iec60870_asdu.sq", func(m *protocols.Message, d *detail) []float64 { return only1(d.is(hasVSQ), flag01(d.sq)) }},
	{"iec60870_asdu.numix", func(m *protocols.Message, d *detail) []float64 { return only1(d.is(hasVSQ), float64(d.n)) }},
	{"iec60870_asdu.causetx", func(m *protocols.Message, d *detail) []float64 { return only1(d.is(hasCause), float64(d.cause)) }},
	{"iec60870_asdu.nega", func(m *protocols.Message, d *detail) []float64 { return only1(d.is(hasCause), flag01(d.pn)) }},
	{"iec60870_asdu.test", func(m *protocols.Message, d *detail) []float64 { return only1(d.is(hasCause), flag01(d.test)) }},
	{"iec60870_asdu.oa", func(m *protocols.Message, d *detail) []float64 { return only1(d.is(hasOrigin), float64(d.origin)) }},
	{"iec60870_asdu.addr", func(m *protocols.Message, d *detail) []float64 { return only1(d.is(hasCommon), float64(d.common)) }},
	{"iec60870_asdu.ioa", func(m *protocols.Message, d *detail) []float64 {
		return points(m, func(p *protocols.Point) float64 { return float64(p.Addr) })
	}},
	{"iec60870_asdu.float", elementValues(&r32)},
	{"iec60870_asdu.normval", elementValues(&nva)},
	{"iec60870_asdu.scalval", elementValues(&sva)},
	{"iec60870_asdu.siq.spi", elementValues(&siq)},
	{"iec60870_asdu.diq.dpi", elementValues(&diq)},
	{"iec60870_asdu.vti.v", elementValues(&vti)},
	{"iec60870_asdu.bcr.count", elementValues(&bcr)},
	// tshark shows a bitstring most significant octet first; it is the other way round (7.2.6.13: bit 1 in octet 1).
	{"iec60870_asdu.bitstring", elementPoints(&bsi, func(p *protocols.Point) float64 { return float64(bits.ReverseBytes32(uint32(p.Value))) })},
	{"iec60870_asdu.sco", elementControl(&sco)},
	{"iec60870_asdu.dco", elementControl(&dco)},
	{"iec60870_asdu.rco", elementControl(&rco)},
	{"iec60870_asdu.qos", elementControl(&qos)},
	{"iec60870_asdu.qoi", elementQualifier(&qoi)},
	{"iec60870_asdu.qcc", elementQualifier(&qcc)},
	{"iec60870_asdu.coi", elementQualifier(&coi)},
	{"iec60870_asdu.qpm", elementQualifier(&qpm)},
	{"iec60870_asdu.qds.iv", elementQuality(&qds, protocols.Invalid)},
	{"iec60870_asdu.qds.nt", elementQuality(&qds, protocols.NotTopical)},
	{"iec60870_asdu.qds.sb", elementQuality(&qds, protocols.Substituted)},
	{"iec60870_asdu.qds.bl", elementQuality(&qds, protocols.Blocked)},
	{"iec60870_asdu.qds.ov", elementQuality(&qds, protocols.Overflow)},
	{"iec60870_asdu.siq.iv", elementQuality(&siq, protocols.Invalid)},
	{"iec60870_asdu.diq.nt", elementQuality(&diq, protocols.NotTopical)},
	{"iec60870_asdu.cp56time.iv", dated(func(p *protocols.Point) float64 { return flag01(p.Quality&protocols.TimeInvalid != 0) })},
	{"iec60870_asdu.cp56time", dated(func(p *protocols.Point) float64 { return float64(p.Time / 1e6) })},
}

// dated is of the objects with CP56Time2a; tshark shows those of M_EP_TD_1 to M_EP_TF_1 as raw data.
func dated(get func(*protocols.Point) float64) func(*protocols.Message, *detail) []float64 {
	of := elementPoints(&cp56, get)
	return func(m *protocols.Message, d *detail) []float64 {
		if 38 <= d.typ && d.typ <= 40 {
			return nil
		}
		return of(m, d)
	}
}

func only1(ok bool, v float64) []float64 {
	if !ok {
		return nil
	}
	return []float64{v}
}

func flag01(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func points(m *protocols.Message, get func(*protocols.Point) float64) (all []float64) {
	for i := range m.Points {
		all = append(all, get(&m.Points[i]))
	}
	return all
}

func elementValues(e *element) func(*protocols.Message, *detail) []float64 {
	return elementPoints(e, func(p *protocols.Point) float64 { return p.Value })
}

func elementControl(e *element) func(*protocols.Message, *detail) []float64 {
	return elementPoints(e, func(p *protocols.Point) float64 { return float64(p.Control) })
}

func elementQuality(e *element, bit protocols.Quality) func(*protocols.Message, *detail) []float64 {
	return elementPoints(e, func(p *protocols.Point) float64 { return flag01(p.Quality&bit != 0) })
}

func elementQualifier(e *element) func(*protocols.Message, *detail) []float64 {
	return func(m *protocols.Message, d *detail) []float64 {
		return only1(rowOf[d.typ].holds(e), float64(d.qualifier))
	}
}

func elementPoints(e *element, get func(*protocols.Point) float64) func(*protocols.Message, *detail) []float64 {
	return func(m *protocols.Message, d *detail) []float64 {
		if !d.is(hasType) || !rowOf[d.typ].holds(e) {
			return nil
		}
		return points(m, get)
	}
}

// tsharkValue reads what tshark prints of a field: numbers in any base, booleans, and dates.
func tsharkValue(s string) float64 {
	if v, err := strconv.ParseInt(s, 0, 64); err == nil {
		return float64(v)
	}
	if v, err := strconv.ParseFloat(s, 64); err == nil {
		return v
	}
	if v, err := exactTime(s); err == nil {
		return v
	}
	return math.NaN()
}

// compare reads a capture of frames with tshark and the frames with the decoder, and returns how many values agree. What
// the corpus says is compared in the sensor's TestConformance.
func compare(t *testing.T, tshark, path string, frames []vector) (compared int) {
	t.Helper()
	args := []string{"-n", "-r", path, "-Y", "iec60870_104", "-T", "fields"}
	for _, c := range columns {
		args = append(args, "-e", c.field)
	}
	cmd := exec.Command(tshark, args...)
	cmd.Env = append(cmd.Environ(), "TZ=UTC")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(path, err)
	}
	want := make([][]float64, len(columns))
	for _, line := range bytes.Split(bytes.TrimRight(out, "\n"), []byte("\n")) {
		for i, cell := range strings.Split(string(line), "\t") {
			if cell == "" {
				continue
			}
			for _, v := range splitValues(cell) {
				want[i] = append(want[i], tsharkValue(v))
			}
		}
	}
	got := make([][]float64, len(columns))
	var dec protocols.Decoder
	var m protocols.Message
	for _, v := range frames {
		if v.first || dec == nil {
			dec = fresh()
		}
		dec.Split(v.dir, v.bytes, false)
		dec.Decode(protocols.Frame{Dir: v.dir, At: at, Bytes: v.bytes}, &m)
		for i, c := range columns {
			got[i] = append(got[i], c.of(&m, detailOf(&m))...)
		}
	}
	for i, c := range columns {
		if len(got[i]) != len(want[i]) {
			t.Errorf("%s %s: %d values, tshark %d", path, c.field, len(got[i]), len(want[i]))
			continue
		}
		for k := range got[i] {
			if !close(got[i][k], want[i][k]) {
				t.Errorf("%s %s value %d: %v, tshark %v", path, c.field, k, got[i][k], want[i][k])
				break
			}
			compared++
		}
	}
	return compared
}

// raw are the types whose objects tshark 4.0.17 shows as octets, or of which it shows the first object only.
var raw = map[byte]bool{20: true, 41: true, 107: true, 126: true, 127: true}

// The vectors of every type that tshark knows, as a capture of one connection per file.
func TestVectorsAgainstTshark(t *testing.T) {
	tshark := need.Tool(t, "tshark", "tshark")
	compared := 0
	for _, name := range []string{"monitor", "control", "system", "files", "session"} {
		path := filepath.Join(t.TempDir(), name+".pcap")
		var known []vector
		for _, v := range vectors(t, "testdata/"+name+".txt") {
			if len(v.bytes) == header || !raw[v.bytes[header]] {
				known = append(known, v)
			}
		}
		capture(t, path, known)
		compared += compare(t, tshark, path, known)
		out, err := exec.Command(tshark, "-r", path, "-Y", "_ws.malformed").Output()
		if err != nil || len(out) > 0 {
			t.Errorf("%s: malformed to tshark: %s%v", name, out, err)
		}
	}
	t.Logf("%d values agree", compared)
}

// capture writes frames as TCP segments of one connection to port 2404; a new connection begins where a vector's does.
func capture(t *testing.T, path string, frames []vector) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := pcapgo.NewWriter(f)
	if err := w.WriteFileHeader(1<<16, layers.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	port, seq := layers.TCPPort(40000), [2]uint32{1, 1}
	for i, v := range frames {
		if v.first {
			port, seq = port+1, [2]uint32{1, 1}
		}
		ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: net.IP{192, 0, 2, 1}, DstIP: net.IP{192, 0, 2, 2}}
		tcp := &layers.TCP{SrcPort: port, DstPort: 2404, Seq: seq[v.dir], Ack: seq[1-v.dir], ACK: true, PSH: true, Window: 8192}
		if v.dir == 1 {
			ip.SrcIP, ip.DstIP, tcp.SrcPort, tcp.DstPort = ip.DstIP, ip.SrcIP, 2404, port
		}
		seq[v.dir] += uint32(len(v.bytes))
		if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
			t.Fatal(err)
		}
		eth := &layers.Ethernet{SrcMAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, DstMAC: net.HardwareAddr{2, 0, 0, 0, 0, 2}, EthernetType: layers.EthernetTypeIPv4}
		buf := gopacket.NewSerializeBuffer()
		if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, eth, ip, tcp, gopacket.Payload(v.bytes)); err != nil {
			t.Fatal(err)
		}
		b := buf.Bytes()
		if err := w.WritePacket(gopacket.CaptureInfo{Timestamp: time.Unix(0, at+int64(i)*1e6), CaptureLength: len(b), Length: len(b)}, b); err != nil {
			t.Fatal(err)
		}
	}
}

// close allows for the six digits that tshark prints.
func close(a, b float64) bool {
	return a == b || math.IsNaN(a) && math.IsNaN(b) || math.Abs(a-b) <= 1e-5*max(math.Abs(a), math.Abs(b)) && math.Abs(a) < 1e9
}

// splitValues cuts a cell into its values; a date holds a comma of its own ("Jul 13, 2026 14:30:24.464000000 UTC").
func splitValues(cell string) (all []string) {
	for _, v := range strings.Split(cell, ",") {
		if strings.HasPrefix(v, " ") && len(all) > 0 {
			all[len(all)-1] += "," + v
			continue
		}
		all = append(all, v)
	}
	return all
}

// exactTime reads a date of tshark's, in milliseconds.
func exactTime(s string) (float64, error) {
	at, err := time.Parse("Jan _2, 2006 15:04:05.000000000 MST", s)
	return float64(at.UnixMilli()), err
}
