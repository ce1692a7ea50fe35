package flow_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/tcpassembly"
	newer "github.com/gopacket/gopacket"
	newerlayers "github.com/gopacket/gopacket/layers"

	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/sensor/capture"
	"github.com/roje-ot/roje/sensor/flow"
	"github.com/roje-ot/roje/testdata/need"
)

// inMemory reads a capture of the corpus.
func inMemory(b *testing.B, path string) (packets []capture.Packet, bytes int64) {
	file, err := capture.Open(filepath.Join(need.Corpus(b), "captures", path))
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	var p capture.Packet
	for file.Next(&p) == nil {
		q := p
		q.Data = append([]byte(nil), p.Data...)
		packets = append(packets, q)
		bytes += int64(len(p.Data))
	}
	return packets, bytes
}

// BenchmarkPacket is the cost of a packet: here with all decoders, here without any, and with gopacket, which decodes no
// control protocol. The tcpassembly of google/gopacket serves both of its ways to parse: its successor's cannot be
// linked into the same program. Compare within one run only.
func BenchmarkPacket(b *testing.B) {
	for name, path := range map[string]string{
		"modbus": "ITI__ICS-Security-Tools/pcaps/ModbusTCP/ModbusTCP.pcap",
		"dnp3":   "derived/qut_dnp3_nogoose/attacks_training_frequent.pcap",
		"iec104": "derived/brno_iec104/dos-attack.pcap",
	} {
		packets, bytes := inMemory(b, path)
		table := func(config flow.Config) func() {
			return func() {
				t := flow.New(config, flow.Ignore{})
				for i := range packets {
					t.Packet(&packets[i])
				}
				t.Flush()
			}
		}
		for _, c := range []struct {
			name string
			run  func()
		}{
			{"roje", table(flow.Config{Protocols: catalog.All})},
			{"roje-streams-only", table(flow.Config{})},
			{"gopacket-parser", func() { parser(packets) }},
			{"google-parser+tcpassembly", func() { parserAssembly(packets) }},
			{"google-newpacket+tcpassembly", func() { newPacketAssembly(packets) }},
		} {
			b.Run(name+"/"+c.name, func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(bytes)
				for b.Loop() {
					c.run()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(packets)), "ns/packet")
				b.ReportMetric(float64(bytes)/float64(len(packets)), "bytes/packet")
			})
		}
	}
}

// sink takes what an assembler delivers, and drops it.
type sink struct{}

func (sink) Reassembled([]tcpassembly.Reassembly)      {}
func (sink) ReassemblyComplete()                       {}
func (sink) New(_, _ gopacket.Flow) tcpassembly.Stream { return sink{} }

func parser(packets []capture.Packet) {
	var eth newerlayers.Ethernet
	var dot1q newerlayers.Dot1Q
	var ip4 newerlayers.IPv4
	var ip6 newerlayers.IPv6
	var tcp newerlayers.TCP
	var udp newerlayers.UDP
	var payload newer.Payload
	parser := newer.NewDecodingLayerParser(newerlayers.LayerTypeEthernet, &eth, &dot1q, &ip4, &ip6, &tcp, &udp, &payload)
	parser.IgnoreUnsupported = true
	found := make([]newer.LayerType, 0, 8)
	for i := range packets {
		parser.DecodeLayers(packets[i].Data, &found) //nolint:errcheck // broken packets are part of the load
	}
}

func parserAssembly(packets []capture.Packet) {
	var eth layers.Ethernet
	var dot1q layers.Dot1Q
	var ip4 layers.IPv4
	var ip6 layers.IPv6
	var tcp layers.TCP
	var udp layers.UDP
	var payload gopacket.Payload
	parser := gopacket.NewDecodingLayerParser(layers.LayerTypeEthernet, &eth, &dot1q, &ip4, &ip6, &tcp, &udp, &payload)
	parser.IgnoreUnsupported = true
	assembler := tcpassembly.NewAssembler(tcpassembly.NewStreamPool(sink{}))
	found := make([]gopacket.LayerType, 0, 8)
	for i := range packets {
		parser.DecodeLayers(packets[i].Data, &found) //nolint:errcheck // broken packets are part of the load
		for _, kind := range found {
			if kind == layers.LayerTypeTCP {
				network := ip4.NetworkFlow()
				if ip4.Version == 0 {
					network = ip6.NetworkFlow()
				}
				assembler.AssembleWithTimestamp(network, &tcp, time.Unix(0, packets[i].At))
			}
		}
		if i%4096 == 4095 {
			assembler.FlushOlderThan(time.Unix(0, packets[i].At-1e9))
		}
	}
	assembler.FlushAll()
}

func newPacketAssembly(packets []capture.Packet) {
	assembler := tcpassembly.NewAssembler(tcpassembly.NewStreamPool(sink{}))
	for i := range packets {
		packet := gopacket.NewPacket(packets[i].Data, layers.LinkTypeEthernet, gopacket.NoCopy)
		if tcp, ok := packet.TransportLayer().(*layers.TCP); ok {
			assembler.AssembleWithTimestamp(packet.NetworkLayer().NetworkFlow(), tcp, time.Unix(0, packets[i].At))
		}
		if i%4096 == 4095 {
			assembler.FlushOlderThan(time.Unix(0, packets[i].At-1e9))
		}
	}
	assembler.FlushAll()
}
