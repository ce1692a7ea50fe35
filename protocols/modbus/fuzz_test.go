package modbus

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/roje-ot/roje/protocols"
)

// FuzzDecode holds the decoder to its laws on any bytes: no panic and no byte read past the end (every slice it gets has
// no room behind it), Split makes progress, the same bytes give the same messages in one segment, in few and in single
// bytes, and a second decoder says the same as the first.
func FuzzDecode(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.txt")
	for _, path := range files {
		var client, server []byte
		for _, s := range vectors(f, path) {
			if s.dir == fromClient {
				client = append(client, s.b...)
			} else {
				server = append(server, s.b...)
			}
		}
		f.Add(client, server, uint8(3), uint8(7))
	}
	f.Add(serialRTU(1, 3, 0, 9, 0, 1), serialRTU(1, 3, 2, 0, 9), uint8(0), uint8(2))
	f.Add(serialASCII(1, 3, 0, 9, 0, 1), serialASCII(1, 3, 2, 0, 9), uint8(5), uint8(4))
	for _, b := range foreign {
		f.Add(b, b, uint8(1), uint8(3))
	}
	f.Fuzz(func(t *testing.T, client, server []byte, size, mode uint8) {
		hint := protocols.Hint{Server: fromServer, Known: mode&1 != 0}
		whole := texts(t, hint, ask(client...))
		equal(t, texts(t, hint, inBytes([]segment{ask(client...)})...), whole)
		equal(t, texts(t, hint, inPieces(client, int(size)+1)...), whole)
		if mode&2 != 0 {
			hint.Datagram = true
		}
		both := []segment{ask(client...), tell(server...), {dir: fromServer, lost: mode&4 != 0, b: client}, ask(server...)}
		equal(t, texts(t, hint, both...), texts(t, hint, both...))
		for n := range len(client) {
			if Protocol.Probe(client[:n:n], false) == protocols.Yes && Protocol.Probe(client, false) != protocols.Yes {
				t.Errorf("yes to %d bytes, and not to all %d", n, len(client))
			}
		}
		for _, b := range [][]byte{client, server} {
			anyFrame(t, b)
		}
	})
}

// anyFrame decodes bytes that no Split has seen.
func anyFrame(t *testing.T, b []byte) {
	d := Protocol.New(ports)
	var m protocols.Message
	for _, dir := range []protocols.Dir{fromClient, fromServer} {
		d.Decode(protocols.Frame{Dir: dir, Bytes: slices.Clip(b)}, &m)
		if len(m.AppendText(nil)) == 0 {
			t.Error("a message without a text")
		}
	}
}

// inPieces cuts b into pieces of n bytes.
func inPieces(b []byte, n int) (out []segment) {
	for piece := range slices.Chunk(b, n) {
		out = append(out, ask(piece...))
	}
	return out
}
