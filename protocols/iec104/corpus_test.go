package iec104

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/testdata/need"
)

// A stream puts the segments of one direction in order: the least that these tests need of the sensor's flow.
type stream struct {
	known bool
	next  uint32
	wait  map[uint32]segmentData
	buf   []byte
}

type segmentData struct {
	b  []byte
	at int64
}

// A conn is one TCP connection of a capture under this package's decoder.
type conn struct {
	dec     protocols.Decoder
	streams [2]stream
	see     func(m *protocols.Message)
	msg     protocols.Message
	skipped int
}

func (c *conn) segment(dir protocols.Dir, seq uint32, data []byte, at int64) {
	s := &c.streams[dir]
	if !s.known {
		s.known, s.next, s.wait = true, seq, map[uint32]segmentData{}
	}
	if d := int32(s.next - seq); d > 0 {
		if int(d) >= len(data) {
			return
		}
		data, seq = data[d:], s.next
	}
	if len(s.wait[seq].b) < len(data) {
		s.wait[seq] = segmentData{append([]byte(nil), data...), at}
	}
	if len(s.wait) > 8 {
		c.lose(dir, at)
	}
	c.deliver(dir)
}

// deliver hands on what is in order.
func (c *conn) deliver(dir protocols.Dir) {
	s := &c.streams[dir]
	for {
		data, ok := s.wait[s.next]
		if !ok {
			return
		}
		delete(s.wait, s.next)
		s.buf = append(s.buf, data.b...)
		s.next += uint32(len(data.b))
		c.feed(dir, data.at, false)
		for seq, data := range s.wait {
			if d := int32(s.next - seq); d > 0 {
				delete(s.wait, seq)
				if int(d) < len(data.b) {
					s.wait[s.next] = segmentData{data.b[d:], data.at}
				}
			}
		}
	}
}

// lose gives up the octets before the nearest segment that waits.
func (c *conn) lose(dir protocols.Dir, at int64) {
	s := &c.streams[dir]
	c.feed(dir, at, true)
	c.dec.Lost(dir)
	nearest := int32(1 << 30)
	for seq := range s.wait {
		nearest = min(nearest, int32(seq-s.next))
	}
	s.next += uint32(nearest)
}

func (c *conn) feed(dir protocols.Dir, at int64, last bool) {
	s := &c.streams[dir]
	rest := c.drain(dir, s.buf, at, last)
	s.buf = append(s.buf[:0], rest...)
}

func (c *conn) drain(dir protocols.Dir, b []byte, at int64, last bool) []byte {
	for {
		skip, n := c.dec.Split(dir, b, last)
		c.skipped += skip
		b = b[skip:]
		if n == 0 {
			return b
		}
		if c.dec.Decode(protocols.Frame{Dir: dir, At: at, Bytes: b[:n]}, &c.msg) {
			c.see(&c.msg)
		}
		b = b[n:]
	}
}

// replay feeds the port 2404 connections of a capture to fresh decoders.
func replay(t testing.TB, path string, see func(m *protocols.Message, at int64)) (skipped int) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var src interface {
		gopacket.PacketDataSource
		LinkType() layers.LinkType
	}
	var magic [4]byte
	if _, err := f.ReadAt(magic[:], 0); err != nil {
		t.Fatal(path, err)
	}
	if magic == [4]byte{0x0a, 0x0d, 0x0d, 0x0a} {
		src, err = pcapgo.NewNgReader(f, pcapgo.DefaultNgReaderOptions)
	} else {
		src, err = pcapgo.NewReader(f)
	}
	if err != nil {
		t.Fatal(err)
	}
	conns := map[string]*conn{}
	var order []*conn
	at := int64(0)
	for {
		data, ci, err := src.ReadPacketData()
		if err != nil {
			if err != io.EOF && err != io.ErrUnexpectedEOF {
				t.Fatal(path, err)
			}
			break
		}
		at = ci.Timestamp.UnixNano()
		p := gopacket.NewPacket(data, src.LinkType(), gopacket.DecodeOptions{NoCopy: true})
		tcp, ok := p.Layer(layers.LayerTypeTCP).(*layers.TCP)
		if !ok || tcp.SrcPort != 2404 && tcp.DstPort != 2404 {
			continue
		}
		payload, src, dst := tcp.Payload, "", ""
		if ip, ok := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4); ok {
			src, dst = ip.SrcIP.String(), ip.DstIP.String()
			payload = payload[:min(len(payload), int(ip.Length)-int(ip.IHL)*4-int(tcp.DataOffset)*4)]
		} else if ip, ok := p.Layer(layers.LayerTypeIPv6).(*layers.IPv6); ok {
			src, dst = ip.SrcIP.String(), ip.DstIP.String()
		}
		dir, key := protocols.Dir(0), fmt.Sprint(src, tcp.SrcPort, dst)
		if tcp.SrcPort == 2404 {
			dir, key = 1, fmt.Sprint(dst, tcp.DstPort, src)
		}
		c := conns[key]
		if c == nil || tcp.SYN && !tcp.ACK {
			c = &conn{dec: New(protocols.Hint{Server: 1, Known: true})}
			c.see = func(m *protocols.Message) { see(m, at) }
			conns[key] = c
			order = append(order, c)
		}
		if len(payload) > 0 {
			c.segment(dir, tcp.Seq, payload, at)
			if ci.CaptureLength < ci.Length {
				c.feed(dir, at, true)
				c.dec.Lost(dir)
				c.streams[dir].known = false
			}
		}
	}
	for _, c := range order {
		for dir := range protocols.Dir(2) {
			for len(c.streams[dir].wait) > 0 {
				c.lose(dir, at)
				c.deliver(dir)
			}
			c.feed(dir, at, true)
		}
		skipped += c.skipped
	}
	return skipped
}

// counted is what truth.json says of one capture's 104 traffic, in one pass of tshark.
type counted struct {
	PDUs  int            `json:"pdus"`
	I     int            `json:"i"`
	S     int            `json:"s"`
	U     int            `json:"u"`
	Types map[string]int `json:"type_ids"`
	Cause map[string]int `json:"type_cause"`
}

// captures reads truth.json: every capture with 104, with the counts of each pass of tshark.
func captures(t *testing.T) (dir string, passes map[string][]*counted) {
	t.Helper()
	dir = need.Corpus(t)
	raw, err := os.ReadFile(filepath.Join(dir, "truth.json"))
	if err != nil {
		t.Fatal(err)
	}
	type pass struct {
		IEC *counted `json:"iec104"`
	}
	var all struct {
		Files []struct {
			Path      string `json:"path"`
			Fragments int    `json:"ip_fragments"`
			pass
			OOO   pass `json:"ooo"`
			NoSeq pass `json:"noseq"`
		} `json:"files"`
	}
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	passes = map[string][]*counted{}
	for _, file := range all.Files {
		if file.IEC == nil || file.Fragments > 0 {
			continue // fragments are the sensor's to put together
		}
		for _, p := range []*counted{file.IEC, file.OOO.IEC, file.NoSeq.IEC} {
			if p == nil {
				continue
			}
			p.Types["i"], p.Types["s"], p.Types["u"] = p.I, p.S, p.U
			passes[file.Path] = append(passes[file.Path], p)
		}
	}
	if len(passes) == 0 {
		t.Fatal("no capture with 104 in truth.json")
	}
	return dir, passes
}

// For every type id and format, the number of messages lies between the least and the greatest count of tshark's
// passes.
func TestCorpusCounts(t *testing.T) {
	dir, passes := captures(t)
	messages, skipped := 0, 0
	for path, passes := range passes {
		got := map[string]int{}
		faults := map[string]int{}
		n := replay(t, filepath.Join(dir, "captures", path), func(m *protocols.Message, _ int64) {
			messages++
			switch {
			case m.HasCode:
				got[fmt.Sprint(m.Code)]++
				got["i"]++
			case m.Name == "S", m.Name == "I":
				got[strings.ToLower(m.Name)]++
			default:
				got["u"]++
			}
			if m.Faults != 0 {
				faults[fmt.Sprintf("%s cause %d: %s", m.Name, m.Detail.(*detail).cause, m.Faults)]++
			}
		})
		skipped += n
		keys := map[string]bool{}
		for k := range got {
			keys[k] = true
		}
		for _, p := range passes {
			for k := range p.Types {
				keys[k] = true
			}
		}
		for k := range keys {
			least, most := 1<<30, 0
			for _, p := range passes {
				least, most = min(least, p.Types[k]), max(most, p.Types[k])
			}
			if got[k] < least || got[k] > most {
				t.Errorf("%s: %d of %s, want %d to %d", path, got[k], k, least, most)
			}
		}
		if len(faults) > 0 || n > 0 {
			t.Logf("%s: %d octets skipped, faults %v", path, n, faults)
		}
	}
	t.Logf("%d captures, %d messages, %d octets skipped", len(passes), messages, skipped)
}

// Normal traffic raises no fault, save what its stations really do wrong.
func TestNormalTrafficIsQuiet(t *testing.T) {
	dir := filepath.Join(need.Corpus(t), "captures")
	for path, want := range map[string]string{
		"fkie-cad__ipal_datasets/EnergyDataset/raw/orig.pcap": "",
		"derived/brno_iec104/normal-14-12.pcap":               "F_FR_NA_1 bad_address; F_SC_NA_1 bad_address", // once: the broadcast address is the station's own
		"derived/brno_iec104/normal-17-12.pcap":               "M_DP_TB_1 bad_address",
		"derived/transport/iec104_types.coalesce.pcap":        "S window_exceeded", // more than k of them in one segment
		"derived/transport/iec104_types.loss.pcap":            "",
		"derived/transport/iec104_types.swap.pcap":            "",
		"derived/transport/iec104_types.midstream.pcap":       "",
		"derived/transport/iec104_types.oneway.pcap":          "",
	} {
		var got []string
		replay(t, filepath.Join(dir, path), func(m *protocols.Message, _ int64) {
			if m.Faults != 0 {
				got = append(got, m.Name+" "+m.Faults.String())
			}
		})
		sort.Strings(got)
		if s := strings.Join(got, "; "); s != want {
			t.Errorf("%s: %q, want %q", path, s, want)
		}
	}
}
