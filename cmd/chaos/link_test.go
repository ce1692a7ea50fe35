package chaos

import (
	"fmt"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"
	"github.com/vishvananda/netlink"

	"github.com/roje-ot/roje/cmd/chaos/rig"
)

// A wan is the link between a sensor's namespace and the hub where the collectors are.
type wan struct {
	hub      *rig.Namespace
	name     string // of the hub's end
	lossy    bool
	slow     bool
	down     bool
	sensorIP string
	hubIP    string
}

const (
	lossPercent = 5
	slowBits    = 64_000 // per second
)

// newWAN joins a sensor's namespace to the hub, by a link that may lose frames and may be slow, both ways.
func newWAN(t *testing.T, hub, site *rig.Namespace, n int, lossy, slow bool) *wan {
	w := &wan{hub: hub, name: fmt.Sprintf("site%d", n), lossy: lossy, slow: slow, hubIP: fmt.Sprintf("10.88.%d.1", n), sensorIP: fmt.Sprintf("10.88.%d.2", n)}
	rig.Join(site, "wan", hub, w.name)
	for _, end := range []struct {
		ns         *rig.Namespace
		name, addr string
	}{{site, "wan", w.sensorIP}, {hub, w.name, w.hubIP}} {
		end.ns.Do(func() error {
			link, err := rig.Up(end.name, end.addr+"/24")
			if err == nil && lossy {
				err = lose(t, link)
			}
			if err == nil && slow {
				err = slowDown(link)
			}
			return err
		})
	}
	return w
}

// lose has an interface drop a share of the frames that come to it.
func lose(t *testing.T, on netlink.Link) error {
	if err := rlimit.RemoveMemlock(); err != nil {
		return err
	}
	const ok, drop = 0, 2 // TC_ACT_OK, TC_ACT_SHOT
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "lose", Type: ebpf.SchedCLS, License: "GPL",
		Instructions: asm.Instructions{
			asm.FnGetPrandomU32.Call(),
			asm.Mod.Imm32(asm.R0, 100),
			asm.JLT.Imm32(asm.R0, lossPercent, "drop"),
			asm.Mov.Imm(asm.R0, ok),
			asm.Return(),
			asm.Mov.Imm(asm.R0, drop).WithSymbol("drop"),
			asm.Return(),
		},
	})
	if err != nil {
		return fmt.Errorf("load the program that loses frames: %w", err)
	}
	defer prog.Close()
	l, err := link.AttachTCX(link.TCXOptions{Interface: on.Attrs().Index, Program: prog, Attach: ebpf.AttachTCXIngress})
	if err != nil {
		return fmt.Errorf("attach it: %w", err)
	}
	t.Cleanup(func() { l.Close() })
	return nil
}

// slowDown limits what an interface sends.
func slowDown(on netlink.Link) error {
	const burst = 4 << 10
	err := netlink.QdiscAdd(&netlink.Tbf{
		QdiscAttrs: netlink.QdiscAttrs{LinkIndex: on.Attrs().Index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT},
		Rate:       slowBits / 8, Limit: 64 << 10, Buffer: netlink.Xmittime(slowBits/8, burst),
	})
	if err != nil {
		return fmt.Errorf("limit the rate: %w", err)
	}
	return nil
}

// cut takes the link away or brings it back.
func (w *wan) cut(down bool) {
	w.down = down
	w.hub.Do(func() error {
		link, err := netlink.LinkByName(w.name)
		if err != nil {
			return err
		}
		if down {
			return netlink.LinkSetDown(link)
		}
		return netlink.LinkSetUp(link)
	})
}

// pair makes two interfaces of the calling thread's namespace of which one receives what the other sends.
func pair(a, b string) error {
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: a, MTU: 9000}, PeerName: b, PeerMTU: 9000}); err != nil {
		return err
	}
	for _, name := range []string{a, b} {
		link, err := netlink.LinkByName(name)
		if err == nil {
			err = netlink.LinkSetUp(link)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
