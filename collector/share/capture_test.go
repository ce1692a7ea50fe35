package share

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/roje-ot/roje/rules/batch/headers"
	"github.com/roje-ot/roje/rules/batch/proof"
)

var captureMask = &Mask{key: []byte("a key of the test")}

var (
	macs = [][]byte{{0, 0x1b, 0x1b, 1, 2, 3}, {0, 0x80, 0x0f, 9, 9, 9}}
	a4   = [][]byte{{10, 20, 0, 66}, {10, 20, 0, 7}}
)

// a pcapng file of a link type with frames, as sensors write it: with comments, and a signature that is none.
func pcapng(link uint16, frames ...[]byte) []byte {
	section := append(binary.LittleEndian.AppendUint32(nil, 0x1a2b3c4d), 1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255)
	file := proof.Block(nil, proof.SectionBlock, append(proof.Option(section, proof.Comment, []byte("Breaker Q0 at 10.20.0.7")), 0, 0, 0, 0))
	about := proof.Option(binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, uint32(link)), 0x40000), proof.Resolution, []byte{9})
	file = proof.Block(file, proof.InterfaceBlock, append(about, 0, 0, 0, 0))
	for _, f := range frames {
		body := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(make([]byte, 12), uint32(len(f))), uint32(len(f)))
		body = proof.Option(proof.Pad(append(body, f...)), proof.Comment, []byte("breaker Q0"))
		file = proof.Block(file, proof.PacketBlock, append(body, 0, 0, 0, 0))
	}
	return proof.Block(file, 4, append(proof.Option(make([]byte, 4), proof.Comment, []byte("roje-evidence-1 key")), 0, 0, 0, 0))
}

// packet is an Ethernet frame with an IPv4 packet.
func packet(proto byte, body ...byte) []byte {
	f := slices.Concat(macs[1], macs[0], []byte{8, 0, 0x45, 0, 0, byte(20 + len(body)), 0, 0, 0, 0, 64, proto, 0, 0}, a4[0], a4[1], body)
	headers.Repair(headers.Ethernet, f)
	return f
}

func udp(text string) []byte {
	return append([]byte{0x4e, 0x20, 0x4e, 0x20, 0, byte(8 + len(text)), 0, 1}, text...)
}

// TestCapture holds that of what tells where something is nothing is left, that the rest is, and that the pseudonyms are those
// of the recipient's alerts.
func TestCapture(t *testing.T) {
	arp := slices.Concat(bytes.Repeat([]byte{0xff}, 6), macs[0], []byte{8, 6, 0, 1, 8, 0, 6, 4, 0, 1}, macs[0], a4[0], make([]byte, 6), a4[1])
	lldp := slices.Concat([]byte{1, 0x80, 0xc2, 0, 0, 0xe}, macs[0], []byte{0x88, 0xcc}, []byte("Substation North 10.20.0.7"))
	file := pcapng(headers.Ethernet, packet(headers.UDP, udp("value 10.20.0.66 ok")...), packet(headers.UDP, udp(string(a4[1])+" says")...), arp, lldp, packet(47, append([]byte{0, 0, 8, 0}, a4[0]...)...))
	kept := bytes.Clone(file)
	out, err := captureMask.Capture(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(file, kept) {
		t.Error("the file itself was changed")
	}
	for _, gone := range append(slices.Concat(macs, a4), []byte("10.20.0"), []byte("Q0"), []byte("North"), []byte("roje-evidence")) {
		if bytes.Contains(out, gone) {
			t.Errorf("% x (%q) is still there", gone, gone)
		}
	}
	var c capture
	for rest := out; len(rest) > 0; {
		size := binary.LittleEndian.Uint32(rest[4:])
		if err := c.block(binary.LittleEndian.Uint32(rest), rest[8:size-4]); err != nil {
			t.Fatal(err)
		}
		rest = rest[size:]
	}
	if len(c.frames) != 5 {
		t.Fatalf("%d frames, want 5", len(c.frames))
	}
	for i, says := range []string{"value xxxxxxxxxx ok", " says"} {
		link, b := c.frame(i)
		l := headers.Parse(link, b)
		src, _ := l.Ends(b)
		ip, _ := netip.AddrFromSlice(src)
		if want := captureMask.Text("10.20.0.66"); ip.String() != want || !strings.HasSuffix(string(b[l.Payload:]), says) {
			t.Errorf("frame %d is from %v and says %q, want from %s and %q", i, ip, b[l.Payload:], want, says)
		}
		again := bytes.Clone(b)
		if headers.Repair(link, again); !bytes.Equal(again, b) {
			t.Errorf("frame %d has wrong checksums", i)
		}
	}
	again, err := captureMask.Capture(file)
	if err != nil || !bytes.Equal(again, out) {
		t.Errorf("another time another file: %v", err)
	}
	for name, bad := range map[string][]byte{
		"cut": file[:len(file)-6], "a link type that nobody knows": pcapng(113, packet(17)), "a block of nothing": append(bytes.Clone(file), make([]byte, 12)...),
		"a frame of no interface": proof.Block(nil, proof.PacketBlock, make([]byte, 20)),
	} {
		if _, err := captureMask.Capture(bad); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// FuzzCapture holds that no bytes make it fail otherwise than by an error, and that no address of a header stays.
func FuzzCapture(f *testing.F) {
	f.Add(pcapng(headers.Ethernet, packet(headers.UDP, udp("x")...), packet(headers.TCP, make([]byte, 20)...)))
	f.Add(pcapng(headers.Raw, packet(headers.UDP, udp("x")...)[14:]))
	f.Fuzz(func(t *testing.T, file []byte) {
		out, err := captureMask.Capture(file)
		if err != nil {
			return
		}
		var c capture
		for rest := file; len(rest) > 0; {
			size := binary.LittleEndian.Uint32(rest[4:])
			if err := c.block(binary.LittleEndian.Uint32(rest), rest[8:size-4]); err != nil {
				t.Fatal(err)
			}
			rest = rest[size:]
		}
		for i := range c.frames {
			link, b := c.frame(i)
			l := headers.Parse(link, b)
			src, dst := l.Ends(b)
			for _, a := range [][]byte{src, dst} {
				if at := c.frames[i]; headers.Personal(a) && bytes.Contains(out[at.from:at.to], a) {
					t.Fatalf("frame %d has % x", i, a)
				}
			}
		}
	})
}
