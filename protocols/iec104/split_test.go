package iec104

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/testdata/need"
)

// iFrame builds an I frame of 104's own sizes.
func iFrame(ns, nr uint16, asdu ...byte) []byte {
	b := []byte{start, byte(4 + len(asdu)), byte(ns << 1), byte(ns >> 7), byte(nr << 1), byte(nr >> 7)}
	return append(b, asdu...)
}

// float builds a spontaneous M_ME_NC_1 of station 1.
func float(ns uint16, ioa byte, v float32) []byte {
	a := []byte{13, 1, 3, 0, 1, 0, ioa, 0, 0, 0, 0, 0, 0, 0}
	binary.LittleEndian.PutUint32(a[9:], math.Float32bits(v))
	return iFrame(ns, 0, a...)
}

func sFrame(nr uint16) []byte { return []byte{start, 4, 1, 0, byte(nr << 1), byte(nr >> 7)} }

func uFrame(k uKind) []byte { return []byte{start, 4, 3 | 4<<k, 0, 0, 0} }

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// said feeds b to dec in segments that end at the cuts and returns each message's text and the octets skipped.
func said(dec protocols.Decoder, dir protocols.Dir, b []byte, cuts ...int) (texts []string, skipped int) {
	var m protocols.Message
	var held []byte
	from := 0
	for _, to := range append(cuts, len(b)) {
		held = append(held, b[from:to]...)
		for more := true; more; {
			skip, n := dec.Split(dir, held, to == len(b))
			skipped += skip
			frame := held[skip : skip+n]
			if more = n > 0; more && dec.Decode(protocols.Frame{Dir: dir, At: at, Bytes: frame}, &m) {
				texts = append(texts, string(m.AppendText(nil)))
			}
			held = held[skip+n:]
		}
		from = to
	}
	return texts, skipped
}

func TestSplitFindsTheChain(t *testing.T) {
	// A frame whose float holds a whole U frame, cut in its middle: what stands behind a hole.
	trap := float(7, 9, math.Float32frombits(0x00070468))
	for _, tc := range []struct {
		name    string
		stream  []byte
		frames  int
		skipped int
	}{
		{"from the start", join(uFrame(startAct), float(0, 1, 1), sFrame(3)), 3, 0},
		{"one evident I frame", float(0, 1, 1), 1, 0},
		{"one private I frame that ends where all ends", iFrame(0, 0, 200, 1, 3, 0, 1, 0, 1, 2), 1, 0},
		{"private I frames", join(iFrame(0, 0, 200, 1, 3, 0, 1, 0, 1, 2), iFrame(1, 0, 201, 1, 3, 0, 1, 0, 1, 2)), 2, 0},
		{"half a frame in front", join(float(0, 1, 1)[9:], float(1, 2, 2), float(2, 3, 3)), 2, 11},
		{"half a frame in front and one behind it", join(float(0, 1, 1)[9:], float(1, 2, 2)), 1, 11},
		{"a start octet inside what was cut", join(trap[12:], float(8, 1, 1), float(9, 1, 1)), 2, len(trap) - 12},
		{"a U frame by chance, then none", join([]byte{1, 2}, uFrame(testAct), []byte{1, 2, 3, 4, 5, 6, 7, 8}), 0, 16},
		{"text", []byte("GET / HTTP/1.1\r\nHost: hhhh\r\n\r\n"), 0, 30},
		{"garbage inside", join(float(0, 1, 1), []byte("abcde"), float(1, 1, 1), float(2, 1, 1)), 3, 5},
		{"start octets inside", join(float(0, 1, 1), []byte("hhhhh"), float(1, 1, 1), float(2, 1, 1)), 3, 5},
		{"a length of 3", join(float(0, 1, 1), []byte{start, 3, 1, 0, 0}, float(1, 1, 1), sFrame(0)), 3, 5},
		{"an illegal control field in a chain", join(float(0, 1, 1), []byte{start, 4, 0x0f, 0, 0, 0}, sFrame(0)), 3, 0},
		{"an illegal control field and no chain", join(float(0, 1, 1), []byte{start, 4, 0x0f, 0, 0, 0}, []byte("xxxxxxxx")), 1, 14},
		{"an end inside a frame", join(float(0, 1, 1), float(1, 1, 1)[:15]), 2, 0},
		{"an end inside a header", join(float(0, 1, 1), float(1, 1, 1)[:5]), 1, 5},
	} {
		all, skipped := said(fresh(), 0, tc.stream)
		if len(all) != tc.frames || skipped != tc.skipped {
			t.Errorf("%s: %d frames, %d skipped; want %d, %d\n%q", tc.name, len(all), skipped, tc.frames, tc.skipped, all)
		}
		for cut := range tc.stream {
			cutTexts, cutSkipped := said(fresh(), 0, tc.stream, cut)
			if len(cutTexts) != len(all) || cutSkipped != skipped {
				t.Errorf("%s cut at %d: %d frames, %d skipped; want %d, %d", tc.name, cut, len(cutTexts), cutSkipped, len(all), skipped)
			}
		}
	}
}

// After a loss anywhere, only frames that lost octets, and at most one more, are missing.
func TestLossCostsAtMostOneMore(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 104))
	lost, more := 0, 0
	for range 20000 {
		var stream []byte
		var ends []int
		for ns := range uint16(12) {
			v := math.Float32frombits(rng.Uint32())
			if rng.IntN(3) == 0 {
				v = math.Float32frombits(0x68 | 0x0468<<8<<(rng.IntN(2)*8))
			}
			stream = append(stream, float(ns, byte(rng.IntN(250)+1), v)...)
			if rng.IntN(4) == 0 {
				ends = append(ends, len(stream))
				stream = append(stream, sFrame(ns)...)
			}
			ends = append(ends, len(stream))
		}
		from := rng.IntN(len(stream) - 1)
		to := from + 1 + rng.IntN(min(60, len(stream)-from-1)+1)
		to = min(to, len(stream))
		whole := 0
		begin := 0
		for _, end := range ends {
			if end <= from || begin >= to {
				whole++
			}
			begin = end
		}
		dec := fresh()
		before, _ := said(dec, 0, stream[:from])
		dec.Lost(0)
		after, _ := said(dec, 0, stream[to:])
		got := len(before) + len(after)
		lost++
		if got < whole-1 {
			t.Fatalf("hole %d..%d: %d messages of %d whole\n% x\n% x\n%q", from, to, got, whole, stream[:from], stream[to:], after)
		}
		if got < whole {
			more++
		}
	}
	if more*100 > lost {
		t.Errorf("%d of %d holes cost one message more; want under 1 in 100", more, lost)
	}
}

func TestProbe(t *testing.T) {
	for _, tc := range []struct {
		name string
		b    []byte
		last bool
		want protocols.Guess
	}{
		{"nothing yet", nil, false, protocols.Maybe},
		{"a start octet", []byte{start}, false, protocols.Maybe},
		{"STARTDT act alone, more may come", uFrame(startAct), false, protocols.Maybe},
		{"STARTDT act and the end", uFrame(startAct), true, protocols.Yes},
		{"STARTDT act and a command", join(uFrame(startAct), float(0, 1, 1)), false, protocols.Yes},
		{"two S frames", join(sFrame(1), sFrame(2)), false, protocols.Maybe},
		{"three S frames", join(sFrame(1), sFrame(2), sFrame(3)), false, protocols.Yes},
		{"two floats", join(float(0, 1, 1), float(1, 2, 1)), false, protocols.Yes},
		{"one float, more may come", float(0, 1, 1), false, protocols.Maybe},
		{"half a float and the end", float(0, 1, 1)[:12], true, protocols.No},
		{"text", []byte("hello, world"), false, protocols.No},
		{"a chain that breaks", join(sFrame(1), []byte("world")), false, protocols.No},
		{"101 on a socket", []byte{0x68, 0x09, 0x09, 0x68, 0x73, 0x01, 0x64, 0x01, 0x06, 0x01, 0x00, 0x00, 0x14, 0xf4, 0x16}, true, protocols.No},
	} {
		if got := Probe(tc.b, tc.last); got != tc.want {
			t.Errorf("%s: %d, want %d", tc.name, got, tc.want)
		}
	}
}

// No payload of the captures of other protocols passes the probe, alone or as the first of its stream.
func TestProbeNegatives(t *testing.T) {
	dir := filepath.Join(need.Corpus(t), "captures")
	packets, files := 0, 0
	for _, glob := range []string{"cisagov__icsnpp-*/*/*/*.pcap", "cisagov__icsnpp-*/*/*.pcap", "cisagov__icsnpp-*/*.pcap", "antoine-lemay__*/*/*.pcap",
		"antoine-lemay__*/*.pcap", "qut-infosec__*/*/*.pcap", "qut-infosec__*/*.pcap", "derived/transport/[dm]*.pcap", "csu-wingmate__*/*.pcap", "csu-wingmate__*/*/*.pcap"} {
		names, err := filepath.Glob(filepath.Join(dir, glob))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			f, err := os.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			r, err := pcapgo.NewReader(f)
			if err != nil {
				f.Close()
				continue // pcapng: other files of the same origin are enough here
			}
			files++
			for {
				data, _, err := r.ReadPacketData()
				if err != nil {
					break
				}
				app := gopacket.NewPacket(data, r.LinkType(), gopacket.DecodeOptions{NoCopy: true}).TransportLayer()
				if app == nil {
					continue
				}
				if tcp, ok := app.(*layers.TCP); ok && (tcp.SrcPort == 2404 || tcp.DstPort == 2404) || len(app.LayerPayload()) == 0 {
					continue
				}
				packets++
				if Probe(app.LayerPayload(), true) == protocols.Yes {
					t.Errorf("%s: % x", name, app.LayerPayload())
				}
			}
			f.Close()
		}
	}
	if packets == 0 {
		t.Fatal("no payload was probed")
	}
	t.Logf("%d payloads of %d captures", packets, files)
}

// Defect 13: no reassembly, roles and learning by flow, private types never looked at, the common address read after
// the offset had moved. Here an APDU over three segments, a second socket from an attacker, a type of 200, and CA.
func TestPeerDefect13(t *testing.T) {
	command := iFrame(0, 0, 45, 1, 6, 3, 0x34, 0x12, 1, 0, 0, 1)
	for _, dec := range []protocols.Decoder{fresh(), fresh()} { // each socket by itself
		texts, skipped := said(dec, 0, join(uFrame(startAct), command, iFrame(1, 0, 200, 1, 3, 0, 0x34, 0x12, 9, 9)), 7, 11)
		if len(texts) != 3 || skipped != 0 {
			t.Fatalf("%d messages, %d skipped: %q", len(texts), skipped, texts)
		}
		for i, want := range []string{"STARTDT act", "> master 3 station 4660 C_SC_NA_1 (45) op=operate", "station 4660 private (200)"} {
			if !bytes.Contains([]byte(texts[i]), []byte(want)) {
				t.Errorf("message %d: %q does not hold %q", i, texts[i], want)
			}
		}
	}
}

// Defect 15: resynchronisation on any 0x68, sizes fixed at 2/2/3, types 104, 106, 126 and 127 left raw.
func TestPeerDefect15(t *testing.T) {
	tail := join([]byte{0x68, 0x42, 0}, float(5, 1, 58), float(6, 1, 58)) // the end of a float of 58.0 and its quality
	texts, skipped := said(fresh(), 1, tail)
	if len(texts) != 2 || skipped != 3 {
		t.Errorf("0x68 in a float: %d messages, %d skipped: %q", len(texts), skipped, texts)
	}
	small := join(iFrame(0, 0, 1, 1, 3, 5, 10, 0, 1), iFrame(1, 0, 30, 1, 3, 5, 11, 0, 1, 0, 0, 0, 14, 13, 7, 26), iFrame(2, 0, 100, 1, 7, 5, 0, 0, 20))
	texts, _ = said(fresh(), 1, small)
	if len(texts) != 3 {
		t.Fatalf("1/1/2: %q", texts)
	}
	for i, want := range []string{`"addr":10,"n":1,"value":1`, `"addr":11,"n":1,"value":1`, `"qualifier":20,"sizes":"1/1/2"`} {
		if !bytes.Contains([]byte(texts[i]), []byte(want)) || bytes.Contains([]byte(texts[i]), []byte("FAULT")) || !bytes.Contains([]byte(texts[i]), []byte("station 5")) {
			t.Errorf("1/1/2 message %d: %q does not hold %q", i, texts[i], want)
		}
	}
	for _, id := range []uint8{104, 106, 126, 127} {
		if r := rowOf[id]; r == nil || r.size == 0 {
			t.Errorf("type %d has no shape", id)
		}
	}
}
