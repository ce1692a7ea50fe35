package iec104

import (
	"bytes"
	"math"
	"math/bits"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

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

// Field by field against tshark, over captures with clean TCP: every value of every field, in order.
func TestAgainstTshark(t *testing.T) {
	tshark := need.Tool(t, "tshark", "tshark")
	dir := filepath.Join(need.Corpus(t), "captures")
	compared := 0
	for _, path := range []string{
		"EmreEkin__ICS-Pcaps/IEC60870-104/104deneme.pcap", "EmreEkin__ICS-Pcaps/IEC60870-104/58_59.pcap",
		"EmreEkin__ICS-Pcaps/IEC60870-104/63_1.pcap", "ITI__ICS-Security-Tools/pcaps/IEC60870-5-104/090813_diverse.pcap", "fkie-cad__ipal_datasets/EnergyDataset/raw/orig.pcap",
		"fkie-cad__ipal_datasets/EnergyDataset/raw/train.pcap", "parsitects__zeek-iec104/testing/Traces/first/iec104.pcap", "derived/transport/iec104_types.reseg.pcap",
		"cert-lv__spicy-iec104/testing/Traces/fifth/read.pcapng", "derived/brno_iec104/injection-command.pcap", "automayt__ICS-pcap/IEC_60870/IEC104_SQ/IEC104_SQ.pcapng",
	} {
		args := []string{"-n", "-r", filepath.Join(dir, path), "-Y", "iec60870_104", "-T", "fields"}
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
		replay(t, filepath.Join(dir, path), func(m *protocols.Message, _ int64) {
			for i, c := range columns {
				got[i] = append(got[i], c.of(m, detailOf(m))...)
			}
		})
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
	}
	if compared == 0 {
		t.Error("nothing was compared")
	}
	t.Logf("%d values of %d fields agree", compared, len(columns))
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
