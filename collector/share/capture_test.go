package share

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/roje-ot/roje/collector/share/specimen"
	"github.com/roje-ot/roje/rules/batch/headers"
	"github.com/roje-ot/roje/rules/batch/proof"
)

var captureMask = &Mask{key: []byte("a key of the test")}

// pcapng is a file of a sensor, with a signature that is none.
func pcapng(link uint16, frames ...[]byte) []byte {
	return proof.Block(specimen.Capture(link, frames...), 4, append(proof.Option(make([]byte, 4), proof.Comment, []byte("roje-evidence-1 key")), 0, 0, 0, 0))
}

// TestCapture holds that of what tells where something is nothing is left, that the rest is, and that the pseudonyms are those
// of the recipient's alerts.
func TestCapture(t *testing.T) {
	arp := slices.Concat(bytes.Repeat([]byte{0xff}, 6), specimen.MACs[0], []byte{8, 6, 0, 1, 8, 0, 6, 4, 0, 1}, specimen.MACs[0], specimen.IPs[0], make([]byte, 6), specimen.IPs[1])
	lldp := slices.Concat([]byte{1, 0x80, 0xc2, 0, 0, 0xe}, specimen.MACs[0], []byte{0x88, 0xcc}, []byte("Substation North 10.20.0.7"))
	file := pcapng(headers.Ethernet, specimen.Frame(headers.UDP, specimen.Datagram("value 10.20.0.66 ok")...), specimen.Frame(headers.UDP, specimen.Datagram(string(specimen.IPs[1])+" says")...), arp, lldp, specimen.Frame(47, append([]byte{0, 0, 8, 0}, specimen.IPs[0]...)...))
	kept := bytes.Clone(file)
	out, err := captureMask.Capture(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(file, kept) {
		t.Error("the file itself was changed")
	}
	for _, gone := range append(slices.Concat(specimen.MACs, specimen.IPs), []byte("10.20.0"), []byte("Q0"), []byte("North"), []byte("roje-evidence")) {
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
		"cut": file[:len(file)-6], "a link type that nobody knows": pcapng(113, specimen.Frame(17)), "a block of nothing": append(bytes.Clone(file), make([]byte, 12)...),
		"a frame of no interface": proof.Block(nil, proof.PacketBlock, make([]byte, 20)),
	} {
		if _, err := captureMask.Capture(bad); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// FuzzCapture holds that no bytes make it fail otherwise than by an error, and that no address of a header stays.
func FuzzCapture(f *testing.F) {
	f.Add(pcapng(headers.Ethernet, specimen.Frame(headers.UDP, specimen.Datagram("x")...), specimen.Frame(headers.TCP, make([]byte, 20)...)))
	f.Add(pcapng(headers.Raw, specimen.Frame(headers.UDP, specimen.Datagram("x")...)[14:]))
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
