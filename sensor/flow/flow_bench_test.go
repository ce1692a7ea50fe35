package flow_test

import (
	"encoding/binary"
	"path/filepath"
	"runtime"
	"syscall"
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

// tiled repeats packets, each time between other hosts and later, until there are at least n of them. Sessions that
// overlap in time are thus as many as in the original, and all sessions are n packets' worth.
func tiled(packets []capture.Packet, n int) []capture.Packet {
	const ethernet, ipv4 = 14, 0x0800
	span := packets[len(packets)-1].At - packets[0].At + 1e9
	var out []capture.Packet
	for tile := 0; len(out) < n; tile++ {
		for _, p := range packets {
			p.Data = append([]byte(nil), p.Data...)
			if len(p.Data) >= ethernet+20 && binary.BigEndian.Uint16(p.Data[12:]) == ipv4 {
				p.Data[ethernet+13] ^= byte(tile) // the second octets of both addresses
				p.Data[ethernet+17] ^= byte(tile)
			}
			p.At += int64(tile) * span
			p.Frame = uint64(len(out) + 1)
			out = append(out, p)
		}
	}
	return out
}

// cpu is the processor time that the program has used, collection of garbage included. Other programs on the machine
// do not count, as they would with a clock on the wall.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkPacket is the processor time of a packet, with all decoders and without any, and that of gopacket, which decodes
// no control protocol: its DecodingLayerParser, that and the tcpassembly, and NewPacket and the tcpassembly. They take
// turns over the same packets, so that their ratios mean something on a machine that does other things as well. The
// tcpassembly of google/gopacket serves both of its ways to parse: its successor's cannot be linked into the same program.
func BenchmarkPacket(b *testing.B) {
	const packetsEach = 60000
	for _, load := range []struct {
		name  string
		paths []string
	}{
		{"modbus", []string{"ITI__ICS-Security-Tools/pcaps/ModbusTCP/ModbusTCP.pcap"}},
		{"modbus-polls", []string{"antoine-lemay__Modbus_dataset/characterization_modbus_6RTU_with_operate.pcap"}},
		{"dnp3", []string{"derived/qut_dnp3_nogoose/attacks_training_frequent.pcap"}},
		{"dnp3-large", []string{"cisagov__icsnpp-dnp3/testing/traces/dnp3_example.pcap"}},
		{"iec104", []string{"derived/brno_iec104/dos-attack.pcap"}},
		{"mixed", []string{"ITI__ICS-Security-Tools/pcaps/ModbusTCP/ModbusTCP.pcap", "derived/qut_dnp3_nogoose/attacks_training_frequent.pcap", "derived/brno_iec104/dos-attack.pcap"}},
	} {
		b.Run(load.name, func(b *testing.B) {
			var packets []capture.Packet
			for _, path := range load.paths {
				part, _ := inMemory(b, path)
				packets = append(packets, tiled(part, packetsEach)...)
			}
			bytes := 0
			for i := range packets {
				bytes += len(packets[i].Data)
			}
			table := func(config flow.Config) func() {
				return func() {
					t := flow.New(config, flow.Ignore{})
					for i := range packets {
						t.Packet(&packets[i])
					}
					t.Flush()
				}
			}
			const decode, assemble, whole = 0, 3, 4
			runs := [...]struct {
				name string
				run  func()
				cpu  time.Duration
			}{
				decode:   {name: "roje", run: table(flow.Config{Protocols: catalog.All})},
				1:        {name: "streams", run: table(flow.Config{})},
				2:        {name: "parser", run: func() { parser(packets) }},
				assemble: {name: "parser+tcpassembly", run: func() { parserAssembly(packets) }},
				whole:    {name: "newpacket+tcpassembly", run: func() { newPacketAssembly(packets) }},
			}
			for b.Loop() {
				for i := range runs {
					runtime.GC()
					before := cpu()
					runs[i].run()
					runs[i].cpu += cpu() - before
				}
			}
			for i := range runs {
				b.ReportMetric(float64(runs[i].cpu.Nanoseconds())/float64(b.N)/float64(len(packets)), runs[i].name+"-ns/packet")
			}
			b.ReportMetric(float64(runs[decode].cpu)/float64(runs[assemble].cpu), "x-parser+tcpassembly")
			b.ReportMetric(float64(runs[decode].cpu)/float64(runs[whole].cpu), "x-newpacket+tcpassembly")
			b.ReportMetric(float64(bytes)/float64(len(packets)), "bytes/packet")
			b.ReportMetric(0, "ns/op") // says nothing here
		})
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
