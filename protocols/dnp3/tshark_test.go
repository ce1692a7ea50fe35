package dnp3

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/testdata/need"
)

// writeCapture writes the frames of vectors as UDP datagrams, one pair of ports per vector.
func writeCapture(t *testing.T, path string, vs []*vector) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	w := pcapgo.NewWriter(file)
	if err := w.WriteFileHeader(65535, layers.LinkTypeIPv4); err != nil {
		t.Fatal(err)
	}
	for i, v := range vs {
		for j, f := range v.frames {
			ip := &layers.IPv4{Version: 4, IHL: 5, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: []byte{10, 0, 0, 1}, DstIP: []byte{10, 0, 0, 2}}
			udp := &layers.UDP{SrcPort: layers.UDPPort(30000 + i), DstPort: 20000}
			if f.dir == 0 {
				ip.SrcIP, ip.DstIP = ip.DstIP, ip.SrcIP
				udp.SrcPort, udp.DstPort = udp.DstPort, udp.SrcPort
			}
			if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
				t.Fatal(err)
			}
			buf := gopacket.NewSerializeBuffer()
			opts := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
			if err := gopacket.SerializeLayers(buf, opts, ip, udp, gopacket.Payload(f.b)); err != nil {
				t.Fatal(err)
			}
			info := gopacket.CaptureInfo{Timestamp: time.Unix(int64(i), int64(j)), CaptureLength: len(buf.Bytes()), Length: len(buf.Bytes())}
			if err := w.WritePacket(info, buf.Bytes()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// tsharkUnread are the objects that tshark 4.0 does not know, or reads otherwise than the standard says; a frame with
// one of them is compared only in its function.
var tsharkUnread = map[uint16]bool{
	12<<8 | 2: true, 12<<8 | 3: true, // tshark reads them as one control relay output block each
	200<<8 | 1: true, 1<<8 | 7: true,
	81<<8 | 1: true, 101<<8 | 1: true, 101<<8 | 3: true, 102<<8 | 1: true, 121<<8 | 1: true, 122<<8 | 2: true,
	31<<8 | 3: true, 31<<8 | 5: true, 33<<8 | 5: true, 43<<8 | 1: true, 43<<8 | 4: true, 43<<8 | 7: true,
	70<<8 | 2: true, 70<<8 | 7: true, 70<<8 | 8: true, 90<<8 | 1: true, 52<<8 | 1: true, 50<<8 | 4: true, 51<<8 | 2: true,
	4<<8 | 3: true, 60<<8 | 5: true,
}

// tsharkStops are the vectors whose objects tshark 4.0 does not read to the end, and why.
var tsharkStops = map[string]string{
	"delete, information, abort":  "no objects of ABORT_FILE",
	"device attributes":           "loses its place at an attribute that holds a time",
	"data sets are framed":        "ends at a data set",
	"reads by range and by index": "reads one index where a READ lists several",
	"freezes":                     "no objects of FREEZE_AT_TIME",
}

// TestVectorsAgreeWithTshark compares functions and object headers of the vectors, frame by frame. Where a message has
// a fault, tshark may end elsewhere: its objects are not compared.
func TestVectorsAgreeWithTshark(t *testing.T) {
	tshark := need.Tool(t, "tshark", "tshark")
	compared := 0
	for _, path := range vectorFiles(t) {
		_, vs := vectors(t, path)
		capture := filepath.Join(t.TempDir(), "vectors.pcap")
		writeCapture(t, capture, vs)
		out, err := exec.Command(tshark, "-n", "-r", capture, "-T", "fields", "-E", "separator=/t", "-E", "occurrence=a", "-E", "aggregator=,",
			"-e", "dnp3.al.func", "-e", "dnp3.al.obj", "-e", "dnp3.hdr.CRC.incorrect", "-e", "dnp3.data_chunk.CRC.incorrect", "-e", "_ws.malformed").Output()
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(bytes.NewReader(out))
		for _, v := range vs {
			d := newDecoder(protocols.Hint{})
			var m protocols.Message
			for i, f := range v.frames {
				if !lines.Scan() {
					t.Fatalf("%s: tshark has no frame %d of %s", path, i, v.title)
				}
				col := strings.Split(lines.Text(), "\t")
				ok := d.Decode(protocols.Frame{Dir: f.dir, Bytes: f.b}, &m)
				if !ok || filepath.Base(path) == "fault.txt" && m.Faults != 0 {
					continue
				}
				fn, objs, objects := "", []string{}, m.HasCode && m.Code != 22 && tsharkStops[v.title] == "" // nor those of ASSIGN_CLASS
				if m.HasCode {
					fn = fmt.Sprint(m.Code)
				}
				for _, h := range detail(&m).objects {
					code := h.typeCode()
					objects = objects && !tsharkUnread[code] && h.group != 120
					if h.group >= 110 && h.group <= 111 {
						code &= 0xff00
					}
					objs = append(objs, fmt.Sprintf("0x%04x", code))
				}
				if col[0] != fn || col[2] != "" || col[3] != "" {
					t.Errorf("%s: %s: frame %d: function %q, tshark says %q", path, v.title, i, fn, lines.Text())
				}
				if objects {
					compared++
					if got := strings.Join(objs, ","); got != col[1] || col[4] != "" {
						t.Errorf("%s: %s: frame %d: objects %q, tshark says %q", path, v.title, i, got, lines.Text())
					}
				}
			}
		}
	}
	t.Logf("%d frames compared with their objects", compared)
}
