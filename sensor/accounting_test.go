package sensor

import (
	"path/filepath"
	"testing"

	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/sensor/flow"

	"github.com/roje-ot/roje/testdata/need"
)

// accountant checks that every byte of every connection was decoded or skipped, and sums them up.
type accountant struct {
	flow.Ignore
	t           *testing.T
	name        string
	sum         flow.Counters
	connections int
}

func (a *accountant) Closed(c *flow.Conn, _ flow.Reason) {
	n := &c.Count
	if n.Seen != n.Decoded+n.Skipped {
		a.t.Errorf("%s: %v of %v: %d bytes seen, %d decoded and %d skipped", a.name, c.Name(), c.Ends, n.Seen, n.Decoded, n.Skipped)
	}
	a.connections++
	a.sum.Seen += n.Seen
	a.sum.Decoded += n.Decoded
	a.sum.Skipped += n.Skipped
	a.sum.Packets += n.Packets
	a.sum.Messages += n.Messages
}

// TestEveryByte holds seen = decoded + skipped for every connection and for the whole of every capture of the corpus, and
// the totals of --coverage against the sums of the connections: per capture, per protocol, and every packet in exactly
// one bucket.
func TestEveryByte(t *testing.T) {
	need.Long(t)
	dir, files := readTruth(t)
	var seen, decoded, skipped uint64
	connections := 0
	for _, f := range files {
		a := &accountant{t: t, name: f.Path}
		table := flow.New(flow.Config{Protocols: catalog.All}, a)
		if err := readCapture(t.Context(), filepath.Join(dir, f.Path), table); err != nil {
			t.Logf("%s: %v", f.Path, err)
		}
		account := table.Coverage()
		total := account.Total
		if total.Seen != total.Decoded+total.Skipped {
			t.Errorf("%s: %d bytes seen, %d decoded and %d skipped", f.Path, total.Seen, total.Decoded, total.Skipped)
		}
		if total.Seen != a.sum.Seen || total.Decoded != a.sum.Decoded || total.Skipped != a.sum.Skipped || total.Messages != a.sum.Messages {
			t.Errorf("%s: the totals are %+v, the connections sum up to %+v", f.Path, total, a.sum)
		}
		var byProtocol flow.Counters
		for _, n := range account.Protocols {
			byProtocol.Seen += n.Seen
			byProtocol.Decoded += n.Decoded
			byProtocol.Skipped += n.Skipped
		}
		if byProtocol.Seen != total.Seen || byProtocol.Decoded != total.Decoded || byProtocol.Skipped != total.Skipped {
			t.Errorf("%s: the totals are %+v, the protocols sum up to %+v", f.Path, total, byProtocol)
		}
		var packets uint64
		for _, n := range account.Buckets {
			packets += n
		}
		if packets != account.Packets {
			t.Errorf("%s: %d packets, and %d in buckets", f.Path, account.Packets, packets)
		}
		seen, decoded, skipped = seen+total.Seen, decoded+total.Decoded, skipped+total.Skipped
		connections += a.connections
	}
	t.Logf("%d captures, %d connections: %d bytes seen = %d decoded + %d skipped", len(files), connections, seen, decoded, skipped)
}
