package flow

import (
	"bytes"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"github.com/roje-ot/roje/sensor/capture"
	"github.com/roje-ot/roje/testdata/need"
)

// TestLayersAgainstGopacket reads every packet of the corpus with google/gopacket too, and compares what the two find of
// TCP and UDP: ports, sequence numbers, flags, payload.
func TestLayersAgainstGopacket(t *testing.T) {
	root := filepath.Join(need.Corpus(t), "captures")
	agreed, differ := 0, map[string]int{}
	var examples []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, ".md") {
			return err
		}
		file, err := capture.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		table := New(Config{}, Ignore{})
		var p capture.Packet
		for file.Next(&p) == nil {
			ours := table.describe(&p)
			theirs := gopacketDescribe(&p)
			if theirs == "unsupported" {
				differ["link layer unknown to it: "+strconv.Itoa(int(p.Link))]++
				continue
			}
			if ours == theirs {
				agreed++
				continue
			}
			why := fmt.Sprintf("link %d, ours %.4s, theirs %.4s", p.Link, ours, theirs)
			differ[why]++
			if differ[why] < 4 {
				examples = append(examples, fmt.Sprintf("%s frame %d:\n ours   %.150s\n theirs %.150s", filepath.Base(path), p.Frame, ours, theirs))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if agreed == 0 {
		t.Error("no packet was compared")
	}
	t.Logf("%d packets agree; %v", agreed, differ)
	for _, e := range examples {
		t.Error(e)
	}
}

// describe says what the layers of p carry.
func (t *Table) describe(p *capture.Packet) string {
	v := &t.view
	*v = view{}
	v.info = PacketInfo{At: p.At, Len: len(p.Data), Wire: p.OrigLen}
	if t.link(v, p.Link, p.Data) != carry || v.reassembly {
		return "none"
	}
	if v.proto == protoTCP {
		return fmt.Sprintf("tcp %d %d %d %d %06b %x", v.sport, v.dport, v.info.Seq, v.info.Ack, v.info.Flags, v.payload)
	}
	return fmt.Sprintf("udp %d %d %x", v.sport, v.dport, v.payload)
}

func gopacketDescribe(p *capture.Packet) (what string) {
	first := gopacket.Decoder(layers.LinkType(p.Link))
	switch p.Link {
	case capture.RawIP, capture.IPv4, capture.IPv6:
		first = layers.LayerTypeIPv4
		if len(p.Data) > 0 && p.Data[0]>>4 == 6 {
			first = layers.LayerTypeIPv6
		}
	case capture.NFLOG, capture.SLL2, capture.CHDLC:
		return "unsupported"
	}
	packet := gopacket.NewPacket(p.Data, first, gopacket.DecodeOptions{NoCopy: true})
	what = "none"
	for _, layer := range packet.Layers() {
		switch l := layer.(type) {
		case *layers.TCP:
			var flags TCPFlags
			for i, set := range [...]bool{l.FIN, l.SYN, l.RST, l.PSH, l.ACK, l.URG} {
				if set {
					flags |= 1 << i
				}
			}
			what = fmt.Sprintf("tcp %d %d %d %d %06b %x", l.SrcPort, l.DstPort, l.Seq, l.Ack, flags, bytes.Clone(l.Payload))
		case *layers.UDP:
			what = fmt.Sprintf("udp %d %d %x", l.SrcPort, l.DstPort, l.Payload)
		}
	}
	return what
}
