package cmd

import (
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/roje-ot/roje/cmd/chaos/rig"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/sensor/oneway"
	"github.com/roje-ot/roje/testdata/need"
)

// A diode is two network namespaces with a wire between them on which nothing comes back: the far one drops whatever
// it would send, and a share of what comes in.
type diode struct{ near, far *rig.Namespace }

const (
	nearAddr, farAddr = "10.77.0.1", "10.77.0.2"
	farPort           = "9000"
	farMAC            = "02:77:00:00:00:02"
)

func newDiode(t *testing.T, percent int) *diode {
	need.Superuser(t)
	nft := need.Tool(t, "nft", "nftables")
	d := &diode{rig.NewNamespace(t), rig.NewNamespace(t)}
	mac, err := net.ParseMAC(farMAC)
	if err != nil {
		t.Fatal(err)
	}
	rig.Join(d.near, "out", d.far, "in")
	d.near.Do(func() error {
		link, err := rig.Up("out", nearAddr+"/24")
		if err != nil {
			return err
		}
		return netlink.NeighSet(&netlink.Neigh{LinkIndex: link.Attrs().Index, IP: net.ParseIP(farAddr), HardwareAddr: mac, State: netlink.NUD_PERMANENT})
	})
	d.far.Do(func() error {
		link, err := netlink.LinkByName("in")
		if err != nil {
			return err
		}
		if err := netlink.LinkSetHardwareAddr(link, mac); err != nil {
			return err
		}
		if _, err := rig.Up("in", farAddr+"/24"); err != nil {
			return err
		}
		rules := "table netdev diode {\n chain back { type filter hook egress device in priority 0; policy drop; }\n"
		if percent > 0 {
			rules += fmt.Sprintf(" chain loss { type filter hook ingress device in priority 0; policy accept; numgen random mod 100 < %d drop; }\n", percent)
		}
		cmd := exec.Command(nft, "-f", "-")
		cmd.Stdin = strings.NewReader(rules + "}\n")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	return d
}

// cameBack is how many frames the near end has received.
func (d *diode) cameBack() (n uint64) {
	d.near.Do(func() error {
		link, err := netlink.LinkByName("out")
		if err == nil {
			n = link.Attrs().Statistics.RxPackets
		}
		return err
	})
	return n
}

// TestDiode sends over a link with no way back, at several rates of loss, and holds that everything arrives or is named
// as missing, that nothing comes back, and that what is missing arrives once it is carried over by hand.
func TestDiode(t *testing.T) {
	for _, c := range []struct {
		percent int
		lossy   bool // so lossy that something is missing, beyond doubt
	}{{0, false}, {1, false}, {5, false}, {60, true}} {
		t.Run(fmt.Sprintf("%d percent lost", c.percent), func(t *testing.T) {
			d := newDiode(t, c.percent)
			far := newFar(t, d)
			near := newNear(t, d, far.data)
			const urgent, routine = 200, 1500
			near.add(batch.Urgent, urgent)
			near.add(batch.Routine, routine)
			near.drain()
			far.hear(near)

			stored, missing := far.judge(near, map[batch.Lane]uint64{batch.Urgent: urgent, batch.Routine: routine})
			t.Logf("%d records stored, %d named as missing in %d ranges; %d envelopes sent, %d datagrams came", stored, count(missing), len(missing), near.sender.Envelopes.Load(), far.r.Datagrams.Load())
			if c.percent == 0 && len(missing) > 0 || c.lossy && len(missing) == 0 {
				t.Errorf("%d ranges are missing", len(missing))
			}
			if log := far.log.String(); len(missing) > 0 && !strings.Contains(log, "records are missing") {
				t.Errorf("the log names nothing:\n%s", log)
			}
			for _, g := range missing {
				n, unknown, err := oneway.Export(filepath.Join(near.dir, oneway.ArchiveName), oneway.Wish{Lane: g.Lane, From: g.From, To: g.To, Epoch: g.Epoch}, far.dir)
				if err != nil || n == 0 || len(unknown) > 0 {
					t.Fatalf("export of %+v: %d envelopes, without %v, %v", g, n, unknown, err)
				}
			}
			far.await("all that was carried over", func() bool { return len(far.missing(near)) == 0 })
			if n := d.cameBack(); n != 0 {
				t.Errorf("%d frames came back through the diode", n)
			}
		})
	}
}

func count(gaps []store.Gap) (n uint64) {
	for _, g := range gaps {
		n += g.To - g.From + 1
	}
	return n
}
