package flow_test

import (
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/sensor/capture"
	"github.com/roje-ot/roje/sensor/flow"
	"github.com/roje-ot/roje/testdata/need"
)

// captures lists the capture files of the corpus.
func captures(t testing.TB) []string {
	var paths []string
	root := filepath.Join(need.Corpus(t), "captures")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.HasSuffix(path, ".md") {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// auditor checks the law of bytes on every connection.
type auditor struct {
	flow.Ignore
	t        testing.TB
	name     string
	sum      flow.Counters
	messages int
	closed   int
}

func (a *auditor) Message(c *flow.Conn, m *protocols.Message, p *flow.PacketInfo) {
	a.messages++
	if m.Proto != c.Proto || len(m.Raw) == 0 && m.Faults == 0 {
		a.t.Errorf("%s: frame %d: a message of %v on a connection of %v, raw % x", a.name, p.Frame, m.Proto, c.Proto, m.Raw)
	}
	a.placed(p)
}

func (a *auditor) Unframed(_ *flow.Conn, _ protocols.Dir, _ int, _ []byte, p *flow.PacketInfo) {
	a.placed(p)
}

func (a *auditor) Gap(_ *flow.Conn, _ protocols.Dir, _ int, p *flow.PacketInfo) { a.placed(p) }

// placed checks that p is a packet of the capture.
func (a *auditor) placed(p *flow.PacketInfo) {
	if p.Frame == 0 || p.At == 0 || p.Len == 0 {
		a.t.Errorf("%s: told of no packet: %+v", a.name, p)
	}
}

func (a *auditor) Closed(c *flow.Conn, _ flow.Reason) {
	a.closed++
	n := c.Count
	if n.Seen != n.Decoded+n.Skipped {
		a.t.Errorf("%s: %v %v of %s: seen %d bytes, decoded %d + skipped %d", a.name, c.Transport, c.Ends, c.Name(), n.Seen, n.Decoded, n.Skipped)
	}
	a.sum.Seen += n.Seen
	a.sum.Packets += n.Packets
}

// TestCorpusAccounts: every packet of every capture is in one bucket, every byte of every connection is accounted for,
// and nothing panics.
func TestCorpusAccounts(t *testing.T) {
	for _, path := range captures(t) {
		file, err := capture.Open(path)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		a := &auditor{t: t, name: filepath.Base(path)}
		table := flow.New(flow.Config{Protocols: catalog.All}, a)
		var p capture.Packet
		packets := uint64(0)
		for err = file.Next(&p); err == nil; err = file.Next(&p) {
			table.Packet(&p)
			packets++
		}
		var damage *capture.Damage
		if err != io.EOF && !errors.As(err, &damage) {
			t.Errorf("%s: %v", a.name, err)
		}
		file.Close()
		table.Flush()
		v := table.Coverage()
		total := uint64(0)
		for _, n := range v.Buckets {
			total += n
		}
		if v.Packets != packets || total != packets {
			t.Errorf("%s: %d packets read, %d taken, %d in buckets", a.name, packets, v.Packets, total)
		}
		if v.Total.Seen != a.sum.Seen || v.Connections != uint64(a.closed) {
			t.Errorf("%s: totals %d bytes, %d connections; told %d, %d", a.name, v.Total.Seen, v.Connections, a.sum.Seen, a.closed)
		}
		if open, held := table.Conns(); open != 0 || held != 0 {
			t.Errorf("%s: after Flush %d connections and %d bytes are held", a.name, open, held)
		}
	}
}
