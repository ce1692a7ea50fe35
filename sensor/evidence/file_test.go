package evidence

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/batch/headers"
	"github.com/roje-ot/roje/sensor/capture"
	"github.com/roje-ot/roje/testdata/need"
)

// shipped returns the frames of a capture in testdata.
func shipped(t testing.TB, name string) []capture.Packet {
	t.Helper()
	f, err := capture.Open(filepath.Join(need.Root(t), "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []capture.Packet
	for {
		var p capture.Packet
		if err := f.Next(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		p.Data = bytes.Clone(p.Data)
		all = append(all, p)
	}
}

// desk writes the evidence of one alert, raised in the middle of a capture, and returns its path.
func desk(t testing.TB, packets []capture.Packet, pick func(*capture.Packet) bool) string {
	t.Helper()
	dir := t.TempDir()
	key, err := LoadKey(filepath.Join(dir, KeyFile), true)
	if err != nil {
		t.Fatal(err)
	}
	var path string
	d, err := NewDesk(Options{Dir: dir, Key: key, Ring: Config{Bytes: 1 << 20, Hot: 1 << 20}, Ready: func(a *rules.Alert) { path = filepath.Join(dir, a.Evidence.File) }})
	if err != nil {
		t.Fatal(err)
	}
	raised := false
	for i := range packets {
		d.Packet(&packets[i])
		if !raised && pick(&packets[i]) {
			raised = true
			d.Alert(&rules.Alert{ID: "0123456789abcdef", Rule: "test", Title: "10.10.1.66 did it"})
		}
	}
	if err := d.Flush(); err != nil {
		t.Fatal(err)
	}
	if path == "" {
		t.Fatal("no evidence was written")
	}
	return path
}

func anyPacket(*capture.Packet) bool { return true }

// TestFlippedBit holds that a file with any one bit changed, or cut, is not taken.
func TestFlippedBit(t *testing.T) {
	path := desk(t, shipped(t, "act-arp-mitm.pcap"), func(p *capture.Packet) bool { return headers.Parse(uint16(p.Link), p.Data).Kind == headers.ARP })
	seal, err := Verify(path)
	if err != nil {
		t.Fatal(err)
	}
	key, err := LoadKey(filepath.Join(filepath.Dir(path), KeyFile), false)
	if err != nil {
		t.Fatal(err)
	}
	if !seal.Key.Equal(key.Public()) {
		t.Error("signed by another key")
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	try := func(name string, at int, b []byte) {
		if _, err := check(b); !errors.Is(err, ErrFalse) {
			t.Errorf("%s at %d: %v", name, at, err)
		}
	}
	for i := range file {
		b := bytes.Clone(file)
		b[i] ^= 1 << (i % 8)
		try("a flipped bit", i, b)
	}
	for _, n := range []int{0, 1, 11, 100, len(file) / 2, len(file) - 1} {
		try("a cut", n, file[:n])
	}
	try("an addition", len(file), append(bytes.Clone(file), 0, 0, 0, 0))
}

// TestTshark holds that Wireshark's tools read the files without complaint, with the decoded comments.
func TestTshark(t *testing.T) {
	tshark := need.Tool(t, "tshark", "tshark")
	for _, name := range []string{"act-iec104-industroyer2.pcap", "act-dnp3-operate-unselected.pcap", "act-modbus-write-all.pcap", "act-arp-mitm.pcap"} {
		path := desk(t, shipped(t, name), anyPacket)
		redacted := path + ".shared.pcapng"
		key, err := LoadKey(filepath.Join(filepath.Dir(path), KeyFile), false)
		if err != nil {
			t.Fatal(err)
		}
		if err := Redact(path, redacted, key); err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{path, redacted} {
			var said bytes.Buffer
			cmd := exec.Command(tshark, "-r", file, "-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE", "-T", "fields", "-e", "frame.number", "-e", "ip.checksum.status", "-e", "tcp.checksum.status", "-e", "frame.comment")
			cmd.Stderr = &said
			out, err := cmd.Output()
			if err != nil || strings.Contains(said.String(), "file appears") {
				t.Errorf("%s: %v, %s", file, err, said.String())
			}
			for line := range strings.Lines(string(out)) {
				if f := strings.Split(line, "\t"); len(f) < 3 || f[1] == "0" || f[2] == "0" {
					t.Errorf("%s: a checksum is wrong: %q", file, line)
				}
			}
			if name != "act-arp-mitm.pcap" && !strings.Contains(string(out), ", station ") {
				t.Errorf("%s: no comment says what the frames do", file)
			}
			if strings.Count(string(out), "\n") < 2 {
				t.Errorf("%s: %q", file, out)
			}
		}
	}
}

// TestRedact holds that of no address of the original one byte sequence is left, in no header, payload or comment.
func TestRedact(t *testing.T) {
	for _, name := range []string{"act-arp-mitm.pcap", "act-dnp3-file-transfer.pcap", "act-iec104-toggle.pcap", "act-port-sweep.pcap"} {
		packets := shipped(t, name)
		arp := func(p *capture.Packet) bool { return headers.Parse(uint16(p.Link), p.Data).Kind == headers.ARP }
		pick := anyPacket
		if name == "act-arp-mitm.pcap" {
			pick = arp
		}
		path := desk(t, packets, pick)
		out := path + ".shared"
		_, key, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := Redact(path, out, key); err != nil {
			t.Fatal(err)
		}
		if _, err := Verify(out); err != nil {
			t.Error(err)
		}
		shared, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		frames, err := load(path)
		if err != nil {
			t.Fatal(err)
		}
		again, err := load(out)
		if err != nil || len(again) != len(frames) {
			t.Fatalf("%s: %d frames of %d, %v", name, len(again), len(frames), err)
		}
		gone := 0
		for _, f := range frames {
			l := headers.Parse(f.Link, f.Data)
			src, dst := l.Ends(f.Data)
			for _, a := range [][]byte{src, dst, f.Data[0:6], f.Data[6:12]} {
				if headers.Personal(a) {
					gone++
					if bytes.Contains(shared, a) {
						t.Fatalf("%s: address % x is still there", name, a)
					}
				}
			}
		}
		if gone == 0 || bytes.Contains(shared, []byte("10.10.1.")) {
			t.Errorf("%s: %d addresses looked for, or one stands there as text", name, gone)
		}
	}
}

// TestMask holds that a user name and a password that went by are in no file, and that the frames are still DNP3.
func TestMask(t *testing.T) {
	packets := shipped(t, "dnp3/files.pcap")
	var frames []Frame
	for i := range packets {
		p := &packets[i]
		frames = append(frames, Frame{At: p.At, Link: uint16(p.Link), Orig: p.OrigLen, Data: p.Data})
	}
	r := read(frames, nil)
	if len(r.hide) == 0 {
		t.Fatal("the capture has no credentials")
	}
	var secrets [][]byte // what stands behind the header of the object
	for _, s := range r.hide {
		f := frames[s.frame]
		l := headers.Parse(f.Link, f.Data)
		body := f.Data[l.Payload:l.End]
		secrets = append(secrets, bytes.Clone(body[len(body)-8:len(body)-2]))
	}
	path := desk(t, packets, anyPacket)
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range secrets {
		if bytes.Contains(file, s) {
			t.Errorf("%q is in the file", s)
		}
	}
	if n := bytes.Count(file, []byte("user name or password masked")); n < len(r.hide) {
		t.Errorf("%d frames are said to be masked, want %d", n, len(r.hide))
	}
	out, err := exec.Command(need.Tool(t, "tshark", "tshark"), "-r", path, "-Y", "dnp3.hdr.CRC.incorrect || dnp3.data_chunk.CRC.incorrect", "-T", "fields", "-e", "frame.number").Output()
	if err != nil || len(bytes.TrimSpace(out)) > 0 {
		t.Errorf("checks of the masked frames are wrong: %s %v", out, err)
	}
}
