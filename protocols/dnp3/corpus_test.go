package dnp3

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
	"github.com/google/gopacket/tcpassembly"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/testdata/need"
)

// truthCounts is what tshark counted in one pass over a capture.
type truthCounts struct {
	Fragments int            `json:"app_fragments"`
	Links     int            `json:"link_frames"`
	Functions map[string]int `json:"al_func"`
	Objects   map[string]int `json:"objects"`
}

type truthPass struct {
	DNP3 *truthCounts `json:"dnp3"`
}

type truthFile struct {
	Path string `json:"path"`
	truthPass
	Ooo   *truthPass `json:"ooo"`
	Noseq *truthPass `json:"noseq"`
}

// passes returns the counts of all passes of one kind of count.
func (f *truthFile) passes(of func(*truthCounts) map[string]int) (p []map[string]int) {
	for _, c := range []*truthPass{&f.truthPass, f.Ooo, f.Noseq} {
		if c != nil && c.DNP3 != nil {
			p = append(p, of(c.DNP3))
		}
	}
	return p
}

// counts is what the decoder found in a capture.
type counts struct {
	functions, objects map[string]int
	faults             map[string]int
	messages           []string
}

// flows feeds one decoder per connection.
type flows struct {
	t        testing.TB
	decoders map[string]*decoder
	msg      protocols.Message
	*counts
}

type half struct {
	f    *flows
	d    *decoder
	dir  protocols.Dir
	held []byte
}

func (f *flows) New(net, tcp gopacket.Flow) tcpassembly.Stream {
	d, dir := f.connection(net, tcp)
	return &half{f: f, d: d, dir: dir}
}

func (f *flows) connection(net, port gopacket.Flow) (*decoder, protocols.Dir) {
	dir := protocols.Dir(0)
	if net.Src().LessThan(net.Dst()) || net.Src() == net.Dst() && port.Src().LessThan(port.Dst()) {
		dir = 1
	}
	key := fmt.Sprint(net, port)
	if dir == 1 {
		key = fmt.Sprint(net.Reverse(), port.Reverse())
	}
	if f.decoders[key] == nil {
		f.decoders[key] = newDecoder(protocols.Hint{})
	}
	return f.decoders[key], dir
}

func (h *half) Reassembled(rs []tcpassembly.Reassembly) {
	for _, r := range rs {
		if r.Skip != 0 {
			h.drain(true, r.Seen.UnixNano())
			h.d.Lost(h.dir)
		}
		h.held = append(h.held, r.Bytes...)
		h.drain(r.End, r.Seen.UnixNano())
	}
}

func (h *half) ReassemblyComplete() { h.drain(true, 0) }

func (h *half) drain(last bool, at int64) {
	for len(h.held) > 0 {
		skip, n := h.d.Split(h.dir, h.held, last)
		frame := h.held[skip : skip+n]
		if n > 0 && h.d.Decode(protocols.Frame{Dir: h.dir, At: at, Bytes: frame}, &h.f.msg) {
			h.f.count(&h.f.msg)
		}
		h.held = h.held[skip+n:]
		if n == 0 {
			break
		}
	}
}

func (c *counts) count(m *protocols.Message) {
	if m.HasCode {
		c.functions[fmt.Sprint(m.Code)]++
	}
	for _, o := range detail(m).objects {
		v := o.variation
		if o.group >= 110 && o.group <= 111 {
			v = 0 // tshark counts octet strings of all lengths as one
		}
		c.objects[fmt.Sprintf("g%dv%d", o.group, v)]++
	}
	if m.Faults != 0 {
		c.faults[m.Faults.String()]++
	}
	if os.Getenv("DNP3_PRINT") != "" {
		c.messages = append(c.messages, string(m.AppendText(nil)))
	}
}

// decodeCapture runs a whole capture through decoders.
func decodeCapture(t testing.TB, path string) *counts {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var src gopacket.PacketDataSource
	var link layers.LinkType
	if r, err := pcapgo.NewReader(file); err == nil {
		src, link = r, r.LinkType()
	} else {
		file.Seek(0, io.SeekStart)
		r, err := pcapgo.NewNgReader(file, pcapgo.DefaultNgReaderOptions)
		if err != nil {
			t.Fatal(err)
		}
		src, link = r, r.LinkType()
	}
	f := &flows{t: t, decoders: map[string]*decoder{}, counts: &counts{functions: map[string]int{}, objects: map[string]int{}, faults: map[string]int{}}}
	asm := tcpassembly.NewAssembler(tcpassembly.NewStreamPool(f))
	first := gopacket.Decoder(link)
	if link == layers.LinkTypeIPv4 {
		first = layers.LayerTypeIPv4
	}
	for packet := range gopacket.NewPacketSource(src, first).Packets() {
		if packet.NetworkLayer() == nil {
			continue
		}
		net := packet.NetworkLayer().NetworkFlow()
		switch l := packet.TransportLayer().(type) {
		case *layers.TCP:
			if l.SrcPort == 20000 || l.DstPort == 20000 {
				asm.AssembleWithTimestamp(net, l, packet.Metadata().Timestamp)
			}
		case *layers.UDP:
			if l.SrcPort == 20000 || l.DstPort == 20000 {
				d, dir := f.connection(net, l.TransportFlow())
				h := &half{f: f, d: d, dir: dir, held: l.Payload}
				h.drain(true, packet.Metadata().Timestamp.UnixNano())
			}
		}
	}
	asm.FlushAll()
	return f.counts
}

// corpusTruth returns the captures of the corpus in which tshark sees DNP3.
func corpusTruth(t testing.TB) (dir string, files []truthFile) {
	dir = need.Corpus(t)
	b, err := os.ReadFile(filepath.Join(dir, "truth.json"))
	if err != nil {
		t.Fatal(err)
	}
	var truth struct{ Files []truthFile }
	if err := json.Unmarshal(b, &truth); err != nil {
		t.Fatal(err)
	}
	for _, f := range truth.Files {
		if f.DNP3 != nil {
			files = append(files, f)
		}
	}
	return filepath.Join(dir, "captures"), files
}

// TestCorpusCounts compares messages per function and objects per group and variation with tshark's three passes.
// With DNP3_PRINT set to a part of a path it prints what those captures say.
func TestCorpusCounts(t *testing.T) {
	dir, files := corpusTruth(t)
	for _, f := range files {
		got := decodeCapture(t, filepath.Join(dir, f.Path))
		between(t, f.Path, "functions", got.functions, f.passes(func(c *truthCounts) map[string]int { return c.Functions }))
		between(t, f.Path, "objects", got.objects, f.passes(func(c *truthCounts) map[string]int { return c.Objects }))
		if want := os.Getenv("DNP3_PRINT"); want != "" && strings.Contains(f.Path, want) {
			fmt.Println(f.Path, got.faults)
			fmt.Println(strings.Join(got.messages, "\n"))
		}
	}
}

// differs says where ours is right and tshark is not, by the end of the path and what is compared.
var differs = []struct{ path, what, why string }{
	{"assign_class.pcap", "objects", "tshark does not read the objects of ASSIGN_CLASS"},
	{"DNP3-Malformed.pcap", "objects", "tshark goes on behind what it cannot measure, and takes qualifier 3 for one address"},
	{"Quickdraw-Snort/dnp3_test_data_part1.pcap", "objects", "tshark ends a READ at an unknown variation (g1v7); headers follow it"},
	{"Traces/dnp3/dnp3.pcap", "objects", "the same capture"},
	{"qut_dnp3_nogoose", "", "tcpassembly delivers nothing of some connections (port 55475 of masquerading_training_infrequent); packet by packet the counts agree"},
	{"dnp3_example", "", "tshark does not join segments 63 and 0 of one fragment, and takes a later one for their rest"},
}

func reviewed(path, what string) string {
	for _, d := range differs {
		if strings.Contains(path, d.path) && strings.Contains(what, d.what) {
			return d.why
		}
	}
	return ""
}

func between(t *testing.T, path, what string, got map[string]int, passes []map[string]int) {
	t.Helper()
	if why := reviewed(path, what); why != "" {
		return
	}
	keys := maps.Clone(got)
	for _, p := range passes {
		maps.Copy(keys, p)
	}
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		least, most := passes[0][k], passes[0][k]
		for _, p := range passes[1:] {
			least, most = min(least, p[k]), max(most, p[k])
		}
		if n := got[k]; n < least || n > most {
			t.Errorf("%s: %s %s: %d, want %d to %d", path, what, k, n, least, most)
		}
	}
}
