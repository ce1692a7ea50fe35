package sensor

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/sensor/flow"
	"github.com/roje-ot/roje/testdata/need"
)

var update = flag.Bool("update", false, "rewrite testdata/golden")

// goldenCaptures lists the captures of a protocol in testdata, of which each must have at least one.
func goldenCaptures(t *testing.T, p *protocols.Protocol) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(need.Root(t), "testdata", p.Name, "*.pcap"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no golden capture of %s: add testdata/%s/*.pcap (%v)", p.Title, p.Name, err)
	}
	return paths
}

// scribe writes a line for each message and a line for each of its points.
type scribe struct {
	flow.Ignore
	out bytes.Buffer
}

func (s *scribe) Message(_ *flow.Conn, m *protocols.Message, p *flow.PacketInfo) {
	fmt.Fprintf(&s.out, "%d %s\n", p.Frame, m.AppendText(nil))
}

func (s *scribe) Unframed(_ *flow.Conn, _ protocols.Dir, n int, first []byte, p *flow.PacketInfo) {
	fmt.Fprintf(&s.out, "%d %d bytes of no frame: %x\n", p.Frame, n, first)
}

// TestGolden holds what is said of the golden captures of every protocol in the catalog against testdata/golden, which
// people read: packet, sender, message, its fields and its points. Run with -update after a change that is meant.
func TestGolden(t *testing.T) {
	for _, p := range catalog.All {
		for _, path := range goldenCaptures(t, p) {
			s := &scribe{}
			table := flow.New(flow.Config{Protocols: catalog.All}, s)
			if err := readCapture(t.Context(), path, table); err != nil {
				t.Errorf("%s: %v", path, err)
			}
			golden := filepath.Join("testdata", "golden", p.Name, filepath.Base(path)+".txt")
			if *update {
				if err := os.MkdirAll(filepath.Dir(golden), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(golden, s.out.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Errorf("%v: run go test ./sensor -run TestGolden -update, and read what it writes", err)
				continue
			}
			wants, gots := bytes.Split(want, []byte("\n")), bytes.Split(s.out.Bytes(), []byte("\n"))
			for i := range max(len(wants), len(gots)) {
				if i >= len(wants) || i >= len(gots) || !bytes.Equal(wants[i], gots[i]) {
					t.Errorf("%s:%d\nwant %s\ngot  %s", golden, i+1, line(wants, i), line(gots, i))
					break
				}
			}
		}
	}
}

func line(lines [][]byte, i int) []byte {
	if i < len(lines) {
		return lines[i]
	}
	return []byte("(nothing)")
}

// warmLaps is how often a capture is played before buffers, which grow to bounds, have grown: those that serve the
// comparison of repetitions hold 4 KiB of each direction.
const warmLaps = 300

// TestNoAllocation: on warm connections no packet of any golden capture costs an allocation, from the frame to the decoded
// message. The capture is played over and over on the same connections; after some laps one is measured.
func TestNoAllocation(t *testing.T) {
	for _, p := range catalog.All {
		for _, path := range goldenCaptures(t, p) {
			load := readLoad(t, path, path)
			counts := &counter{}
			table := flow.New(flow.Config{Protocols: catalog.All}, counting{counts})
			first := loop(load.packets, warmLaps)
			for i := range first {
				table.Packet(&first[i])
			}
			// The last two laps are played by AllocsPerRun, which measures the second of them.
			rest := loop(load.packets, warmLaps+2)[len(first):]
			lap, before := 0, counts.messages
			allocs := testing.AllocsPerRun(1, func() {
				for i := range rest[:len(rest)/2] {
					table.Packet(&rest[lap*len(rest)/2+i])
				}
				lap++
			})
			if allocs != 0 {
				t.Errorf("%s: %v allocations in %d packets", path, allocs, len(rest)/2)
			}
			if counts.messages == before {
				t.Errorf("%s: no message in %d packets", path, len(rest))
			}
		}
	}
}

// counting counts messages without remembering their kinds.
type counting struct{ *counter }

// Message implements flow.Handler.
func (c counting) Message(*flow.Conn, *protocols.Message, *flow.PacketInfo) { c.messages++ }
