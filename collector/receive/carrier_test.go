package receive

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/rules/batch/fec"
)

// TestUDP holds that shards with losses, repeats and noise among them give every envelope once.
func TestUDP(t *testing.T) {
	g := newRig(t)
	udp, at := listening(UDP)
	g.bring(func() {
		conn, err := net.Dial("udp", at().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		for range 5 {
			raw := g.seal(batch.Routine, 40, nil)
			for range 2 {
				datagrams, err := fec.Split(raw, 0.25)
				if err != nil {
					t.Fatal(err)
				}
				i := 0
				for d := range datagrams {
					if i++; i%7 != 0 { // each seventh is lost
						conn.Write(d)
					}
				}
			}
			conn.Write([]byte("noise"))
			g.arrive(g.next[batch.Routine] / 40)
		}
	}, udp)
	if high, gaps := g.stored(batch.Routine); high != 200 || len(gaps) > 0 {
		t.Errorf("stored up to %d with gaps %v, want 200 and none", high, gaps)
	}
	if g.r.Damaged.Load() == 0 || g.r.Envelopes.Load() != 5 {
		t.Errorf("%d datagrams damaged, %d envelopes; want some, and 5", g.r.Damaged.Load(), g.r.Envelopes.Load())
	}
}

// TestTCP holds that envelopes come off a stream, that a broken stream does no harm to the next, and that the receiver
// writes nothing.
func TestTCP(t *testing.T) {
	g := newRig(t)
	tcp, at := listening(TCP)
	g.bring(func() {
		address := at().String()
		for i := range 3 {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			for range 4 {
				conn.Write(g.seal(batch.Urgent, 2, nil))
			}
			g.arrive(uint64(4 * (i + 1)))
			conn.Write(g.seal(batch.Evidence, 1, nil)[:40]) // cut short
			conn.(*net.TCPConn).CloseWrite()
			if n, err := conn.Read(make([]byte, 1)); n > 0 {
				t.Errorf("the receiver wrote (%v)", err)
			}
			conn.Close()
		}
	}, tcp)
	if high, gaps := g.stored(batch.Urgent); high != 24 || len(gaps) > 0 {
		t.Errorf("stored up to %d with gaps %v, want 24 and none", high, gaps)
	}
}

// TestFiles holds that files are taken once they have their name, removed when committed, and put aside when refused.
func TestFiles(t *testing.T) {
	g, dir := newRig(t), t.TempDir()
	write := func(name string, text []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	first, second, third := g.seal(batch.Urgent, 2, nil), g.seal(batch.Urgent, 2, nil), g.seal(batch.Urgent, 2, nil)
	write("b.batch", third)
	write("a.batch", append(slices.Clone(first), second...))
	write("half.batch", first[:100])
	write(".new-1.batch", first)
	write("readme.txt", []byte("hello"))
	g.bring(func() { g.arrive(4) }, Files(dir))
	var names []string
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if want := []string{".new-1.batch", "half.batch.refused", "readme.txt"}; !slices.Equal(names, want) {
		t.Errorf("the folder holds %q, want %q", names, want)
	}
	if high, gaps := g.stored(batch.Urgent); high != 6 || len(gaps) > 0 {
		t.Errorf("stored up to %d with gaps %v, want 6 and none", high, gaps)
	}
}
