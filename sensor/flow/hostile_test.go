package flow_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/sensor/capture"
	"github.com/roje-ot/roje/sensor/flow"
)

// hostile are streams that are made to cost time: what looks like the beginning of a frame at every place, lengths that
// promise more, checks that fail at the end. Each is repeated until there is enough of it.
var hostile = []struct {
	name string
	unit []byte
}{
	{"noise", noise(8 << 10)},
	{"zeros", []byte{0}},
	{"ones", []byte{0xff}},
	{"DNP3 start octets", []byte{0x05, 0x64}},
	{"DNP3 long frames with a wrong header check", []byte{0x05, 0x64, 0xfe, 0x2b, 0xfa, 0x87}},
	{"DNP3 right headers without end", dnp3Header(0xff)},
	{"DNP3 right headers, a little apart", append(dnp3Header(0x0f), 0x05, 0x64, 0x05)},
	{"104 start octets", []byte{0x68}},
	{"104 frames as short as they can be", []byte{0x68, 0x04}},
	{"104 frames as long as they can be", []byte{0x68, 0xfd, 0x00, 0x00, 0x00, 0x00, 0x01}},
	{"104 frames of a private type", []byte{0x68, 0x0e, 0x02, 0x00, 0x02, 0x00, 0xc8, 0x01, 0x03, 0x00, 0x01, 0x00, 0x01, 0x68, 0x68, 0x68}},
	{"Modbus headers of zeros", []byte{0x00, 0x00, 0x00, 0x00, 0x00, 0xfe}},
	{"Modbus headers, one in another", []byte{0x00, 0x01, 0x00, 0x00, 0x00, 0x06, 0x01, 0x03, 0x00}},
	{"Modbus headers of UMAS", []byte{0x00, 0x00, 0x00, 0x00, 0x04, 0x4c, 0x00, 0x5a}},
	{"RTU frames of 240 bytes everywhere", []byte{0x15, 0xf0}},
	{"RTU frames of 250 bytes everywhere", []byte{0xfa, 0x06, 0x17, 0x11, 0xda, 0x70, 0x08, 0x03}},
	{"RTU read and write", []byte{0x17}},
	{"RTU write", []byte{0x10}},
	{"RTU of a function without a length", []byte{0x01, 0x63}},
	{"RTU right frames", []byte{0x01, 0x03, 0x00, 0x00, 0x00, 0x0a, 0xc5, 0xcd}},
	{"ASCII colons", []byte{':'}},
	{"ASCII digits without end", append([]byte{':'}, bytes.Repeat([]byte{'0'}, 509)...)},
	{"ASCII returns", []byte(":0103\r")},
	{"TLS records without end", []byte{0x16, 0x03, 0x01, 0x40, 0x00, 0x01, 0x00, 0x3f, 0xfc, 0x03, 0x03}},
}

func noise(n int) []byte {
	r := rand.New(rand.NewPCG(7, 7))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// dnp3Header is a link header with a right check. The check is counted bit by bit, not as the decoder does.
func dnp3Header(length byte) []byte {
	b := []byte{0x05, 0x64, length, 0xc4, 1, 0, 2, 0}
	sum := uint16(0)
	for _, v := range b {
		sum ^= uint16(v)
		for range 8 {
			sum = sum>>1 ^ sum&1*0xa6bc
		}
	}
	return binary.LittleEndian.AppendUint16(b, ^sum)
}

// filled repeats unit until there are n bytes.
func filled(unit []byte, n int) []byte { return bytes.Repeat(unit, n/len(unit)+1)[:n] }

// counting wraps p: its decoders count what they are given.
func counting(p *protocols.Protocol, n *counts) *protocols.Protocol {
	q := *p
	q.New = func(h protocols.Hint) protocols.Decoder { return &countingDecoder{Decoder: p.New(h), n: n} }
	if p.Probe != nil {
		q.Probe = func(b []byte, last bool) protocols.Guess {
			n.probes++
			n.probed += len(b)
			return p.Probe(b, last)
		}
	}
	return &q
}

// counts is the work that decoders were asked for.
type counts struct {
	splits int // calls of Split
	frames int // of them, those that gave a frame
	most   int // bytes that Split left waiting, at most
	probes int // calls of Probe
	probed int // bytes that they were shown
}

type countingDecoder struct {
	protocols.Decoder
	n *counts
}

func (d *countingDecoder) Split(dir protocols.Dir, b []byte, last bool) (skip, n int) {
	skip, n = d.Decoder.Split(dir, b, last)
	d.n.splits++
	if n > 0 {
		d.n.frames++
	} else if !last {
		d.n.most = max(d.n.most, len(b)-skip)
	}
	return skip, n
}

// What hostile input may cost, for each packet of a connection and each byte that it brings. The longest frame of the three
// protocols is one of UMAS, of 1106 bytes, and may need another's header behind it.
const (
	mostWaiting   = 2 << 10 // bytes that a decoder lets wait
	mostSplits    = 2       // calls of Split that give no frame, per packet
	mostProbes    = 2       // calls of Probe per packet and protocol
	mostProbed    = 256     // bytes shown to them, per packet and protocol
	probedAtFirst = 1 << 15 // and once, until a connection is given up
)

// check fails t if n is more than packets on one connection may cost.
func (n *counts) check(t *testing.T, name string, packets, protocols int) {
	t.Helper()
	if n.most > mostWaiting {
		t.Errorf("%s: %d bytes wait, want at most %d", name, n.most, mostWaiting)
	}
	if idle := n.splits - n.frames; idle > mostSplits*packets+protocols {
		t.Errorf("%s: %d calls of Split gave no frame, with %d packets", name, idle, packets)
	}
	if n.probes > mostProbes*packets*protocols || n.probed > (mostProbed*packets+probedAtFirst)*protocols {
		t.Errorf("%s: %d calls of Probe with %d bytes, with %d packets", name, n.probes, n.probed, packets)
	}
}

// TestHostileIsBounded counts, without a clock, what hostile input makes the stream layer ask of the decoders: a bounded
// number of calls for each packet, over a bounded number of bytes.
func TestHostileIsBounded(t *testing.T) {
	for _, in := range hostile {
		for _, port := range hostilePorts {
			for _, size := range []int{1, 2, 7, 1460} {
				var n counts
				all := make([]*protocols.Protocol, len(catalog.All))
				for i, p := range catalog.All {
					all[i] = counting(p, &n)
				}
				var got recorder
				table := flow.New(flow.Config{Protocols: all}, &got)
				packets := inOrder(port.number, size, filled(in.unit, 4<<10))
				for i := range packets {
					table.Packet(&packets[i])
				}
				table.Flush()
				n.check(t, in.name+" on port "+port.name, len(packets), len(all))
				checkLaws(t, table, &got, len(packets))
			}
		}
	}
}

var hostilePorts = []struct {
	name   string
	number uint16
}{{"502 modbus", 502}, {"20000 dnp3", 20000}, {"2404 iec104", 2404}, {"4711 unregistered", 4711}}

// inOrder is b in segments of so many bytes.
func inOrder(port uint16, size int, b []byte) (packets []capture.Packet) {
	for at := 0; at < len(b); at += size {
		packets = append(packets, packetAt(port, len(packets), uint32(at), b[at:min(at+size, len(b))]))
	}
	return packets
}

func packetAt(port uint16, n int, seq uint32, b []byte) capture.Packet {
	frame := tcpFrame(alice, bob, tcpHeader{seq: seq, flags: flow.ACK}, b)
	binary.BigEndian.PutUint16(frame[36:], port)
	return capture.Packet{At: int64(n) * 1e5, Frame: uint64(n + 1), Link: capture.Ethernet, Data: frame, OrigLen: len(frame)}
}

// shapes are ways to cut and send n bytes that make the layers below the decoders work.
var shapes = []struct {
	name string
	send func(b []byte) []capture.Packet
}{
	{"one byte at a time, each twice", func(b []byte) (out []capture.Packet) {
		for i := range len(b) / 2 {
			for range 2 {
				out = append(out, packetAt(502, len(out), uint32(i), b[i:i+1]))
			}
		}
		return out
	}},
	{"64 bytes that move on by one", func(b []byte) (out []capture.Packet) {
		for i := range len(b) / 64 {
			out = append(out, packetAt(502, len(out), uint32(i), b[i:i+64]))
		}
		return out
	}},
	{"the same place with other bytes", func(b []byte) (out []capture.Packet) {
		for i := 0; i+8 <= len(b); i += 8 {
			out = append(out, packetAt(502, len(out), uint32(i&0x38), b[i:i+8]))
		}
		return out
	}},
	{"backwards, in single bytes", func(b []byte) (out []capture.Packet) {
		for i := 0; i+60 <= len(b); i += 60 {
			for k := 59; k >= 0; k-- {
				out = append(out, packetAt(502, len(out), uint32(i+k), b[i+k:i+k+1]))
			}
		}
		return out
	}},
	{"every second byte is missing", func(b []byte) (out []capture.Packet) {
		for i := range b {
			out = append(out, packetAt(502, len(out), uint32(2*i), b[i:i+1]))
		}
		return out
	}},
	{"far ahead, each somewhere else", func(b []byte) (out []capture.Packet) {
		for i := range b {
			out = append(out, packetAt(502, len(out), uint32(i)*2654435761, b[i:i+1]))
		}
		return out
	}},
	{"a connection for each 16 bytes", func(b []byte) (out []capture.Packet) {
		for i := 0; i+16 <= len(b); i += 16 {
			p := packetAt(4711, len(out), 0, b[i:i+16])
			binary.BigEndian.PutUint16(p.Data[34:], uint16(1024+i/16))
			out = append(out, p)
		}
		return out
	}},
	{"fragments of 8 bytes of datagrams that never end", func(b []byte) (out []capture.Packet) {
		for i := 0; i+8 <= len(b); i += 8 {
			out = append(out, fragmentAt(len(out), uint16(i/8), 8, b[i:i+8]))
		}
		return out
	}},
	{"every second fragment of one datagram", func(b []byte) (out []capture.Packet) {
		for i := 0; i+8 <= len(b); i += 8 {
			out = append(out, fragmentAt(len(out), uint16(i/2048), i%2048*2, b[i:i+8]))
		}
		return out
	}},
	{"fragments that overlap", func(b []byte) (out []capture.Packet) {
		for i := 0; i+64 <= len(b); i += 64 {
			out = append(out, fragmentAt(len(out), 7, i*7&0x1ff8, b[i:i+64]))
		}
		return out
	}},
	{"datagrams of one byte", func(b []byte) (out []capture.Packet) {
		for i := range b {
			frame := udpFrame(alice, bob, b[i:i+1])
			binary.BigEndian.PutUint16(frame[36:], 20000)
			out = append(out, capture.Packet{At: int64(i) * 1e8, Frame: uint64(i + 1), Link: capture.Ethernet, Data: frame, OrigLen: len(frame)})
		}
		return out
	}},
}

// fragmentAt is a fragment, not the last, of an IPv4 datagram.
func fragmentAt(n int, id uint16, offset int, b []byte) capture.Packet {
	packet := ip(alice.Addr(), bob.Addr(), 17, b)
	binary.BigEndian.PutUint16(packet[4:], id)
	binary.BigEndian.PutUint16(packet[6:], 0x2000|uint16(offset/8))
	frame := etherIP(packet)
	return capture.Packet{At: int64(n) * 1e5, Frame: uint64(n + 1), Link: capture.Ethernet, Data: frame, OrigLen: len(frame)}
}

// TestShapesAreAccounted: whatever the shape, the account of packets and bytes has no hole.
func TestShapesAreAccounted(t *testing.T) {
	for _, s := range shapes {
		var got recorder
		table := flow.New(flow.Config{Protocols: catalog.All}, &got)
		packets := s.send(noise(4 << 10))
		for i := range packets {
			table.Packet(&packets[i])
		}
		table.Flush()
		t.Log(s.name, len(packets))
		checkLaws(t, table, &got, len(packets))
	}
}

// BenchmarkHostile is the processor time of a KiB of hostile input: of each decoder alone in single bytes, of each port
// through the stream layer in single bytes and in whole segments, and of each shape. The floor is 1 ms per KiB.
func BenchmarkHostile(b *testing.B) {
	const amount = 16 << 10
	for _, p := range catalog.All {
		b.Run("decoder "+p.Name, func(b *testing.B) {
			var w worst
			for b.Loop() {
				for _, in := range hostile {
					bytes := filled(in.unit, amount)
					w.time(in.name, amount, func() { alone(p, bytes) })
				}
			}
			w.report(b)
		})
	}
	for _, port := range hostilePorts {
		for _, size := range []int{1, 1460} {
			b.Run("port "+port.name+map[int]string{1: " in single bytes", 1460: " in whole segments"}[size], func(b *testing.B) {
				var w worst
				for b.Loop() {
					for _, in := range hostile {
						w.packets(in.name, inOrder(port.number, size, filled(in.unit, amount)), amount)
					}
				}
				w.report(b)
			})
		}
	}
	b.Run("shapes", func(b *testing.B) {
		var w worst
		for b.Loop() {
			for _, s := range shapes {
				w.packets(s.name, s.send(noise(amount)), amount)
			}
		}
		w.report(b)
	})
}

// alone gives b to a decoder of p byte by byte.
func alone(p *protocols.Protocol, b []byte) {
	d := p.New(protocols.Hint{Server: 1, Known: true})
	var m protocols.Message
	var held []byte
	for _, v := range b {
		held = append(held, v)
		for at := 0; at < len(held); {
			skip, n := d.Split(0, held[at:], false)
			if n > 0 {
				d.Decode(protocols.Frame{At: 1, Bytes: held[at+skip : at+skip+n]}, &m)
			}
			if at += skip + n; n == 0 || at == len(held) {
				held = held[:copy(held, held[at:])]
				break
			}
		}
	}
}

// worst adds up the processor time of each input.
type worst struct {
	names []string
	spent map[string]time.Duration
	bytes map[string]int
}

func (w *worst) time(name string, bytes int, run func()) {
	if w.spent == nil {
		w.spent, w.bytes = map[string]time.Duration{}, map[string]int{}
	}
	if w.bytes[name] == 0 {
		w.names = append(w.names, name)
	}
	runtime.GC()
	before := cpu()
	run()
	w.spent[name] += cpu() - before
	w.bytes[name] += bytes
}

func (w *worst) packets(name string, packets []capture.Packet, bytes int) {
	w.time(name, bytes, func() {
		table := flow.New(flow.Config{Protocols: catalog.All}, flow.Ignore{})
		for i := range packets {
			table.Packet(&packets[i])
		}
		table.Flush()
	})
}

func (w *worst) report(b *testing.B) {
	floor, most, at := 1.0, 0.0, ""
	for _, name := range w.names {
		ms := w.spent[name].Seconds() * 1e3 / (float64(w.bytes[name]) / 1024)
		if ms > most {
			most, at = ms, name
		}
	}
	b.Logf("worst of %d: %s", len(w.names), at)
	b.ReportMetric(most, "ms/KiB")
	b.ReportMetric(most/floor, "x-floor")
	b.ReportMetric(0, "ns/op") // says nothing here
}
