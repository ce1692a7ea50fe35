//go:build linux

// Command bench measures what capturing costs, beside gopacket's AF_PACKET reader and tcpdump, in one run in which they
// take turns. Frames arrive at a virtual interface as fast as the kernel can make them; each reader is a process of its
// own, and its time is what the scheduler gave it. It needs root, and sends nothing anywhere.
//
// Frames come in behind the driver ("stack"), or through it ("driver"), where alone a native XDP program can see them and
// each frame costs what the driver costs, too. What is compared came in by one way.
//
//	user    reader's CPU time per frame that it read, nanoseconds
//	kernel  sender's CPU time per frame that arrived, less that without a reader
//	total   both, per frame that arrived
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"text/tabwriter"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/roje-ot/roje/sensor/capture/offload"
)

const span, peer = "span", "peer"

func main() {
	rounds := flag.Int("rounds", 7, "how often each reader has its turn")
	count := flag.Uint64("frames", 1_000_000, "frames per turn")
	reader := flag.String("reader", "", "be one of the readers (the program calls itself so)")
	flag.Parse()
	err := func() error {
		switch *reader {
		case "":
		case numbering:
			return number()
		default:
			return read(*reader)
		}
		return compare(*rounds, *count)
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// A contest is one reader over one mix of frames.
type contest struct {
	name  string
	every int // one frame in so many is of the protocol
	way   way
}

// A way is how frames come in.
type way string

const (
	stack  way = "stack"
	driver way = "driver"
)

// contests are all that take turns in a round. The first is nobody: what the frames cost by themselves.
var contests = []contest{
	{"nobody", 1, stack}, {"own", 1, stack}, {"own, filter", 1, stack}, {"gopacket", 1, stack}, {"gopacket copy", 1, stack}, {"tcpdump", 1, stack},
	{"nobody", 100, stack}, {"own", 100, stack}, {"own, filter", 100, stack}, {"gopacket", 100, stack}, {"tcpdump", 100, stack},
	{"nobody", 1, driver}, {"own", 1, driver}, {"own, filter", 1, driver}, {"own, prefilter", 1, driver},
	{"nobody", 100, driver}, {"own", 100, driver}, {"own, filter", 100, driver}, {"own, prefilter", 100, driver},
}

// A bar is a ratio that must hold.
type bar struct {
	what   string
	of, by contest
	total  bool // of total, instead of user per frame read
	most   float64
}

var bars = []bar{
	{"user per captured frame, own / gopacket zero-copy", contest{"own", 1, stack}, contest{"gopacket", 1, stack}, false, 0.85},
	{"user per captured frame, own / gopacket copying", contest{"own", 1, stack}, contest{"gopacket copy", 1, stack}, false, 0.45},
	{"user per captured frame, own / tcpdump -w /dev/null", contest{"own", 1, stack}, contest{"tcpdump", 1, stack}, false, 0.90},
	{"total at 1 % OT, own with filter / own without", contest{"own, filter", 100, stack}, contest{"own", 100, stack}, true, 0.65},
	{"total at 1 % OT, own with filter / tcpdump", contest{"own, filter", 100, stack}, contest{"tcpdump", 100, stack}, true, 0.60},
	{"total at 1 % OT, own with filter / gopacket zero-copy", contest{"own, filter", 100, stack}, contest{"gopacket", 100, stack}, true, 0.65},
	{"total at 100 % OT, own with filter / own without", contest{"own, filter", 1, stack}, contest{"own", 1, stack}, true, 1.35},
	{"total at 1 % OT, driver, own with prefilter / without any", contest{"own, prefilter", 100, driver}, contest{"own", 100, driver}, true, 0.25},
}

// A result is what one turn gave.
type result struct {
	arrived, read uint64
	user, kernel  float64 // ns: reader's in all, sender's in all
}

func compare(rounds int, count uint64) error {
	runtime.LockOSThread()
	if err := ports(); err != nil {
		return err
	}
	results := make([][]result, len(contests))
	for round := range rounds {
		for i, c := range contests {
			r, err := turn(c, count)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			results[i] = append(results[i], r)
		}
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round+1, rounds)
	}
	return errors.Join(report(results), endure(stack), endure(driver))
}

// ports makes the interfaces, in a namespace that ends with the program.
func ports() error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("make a network namespace (root?): %w", err)
	}
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0); err != nil {
		return err
	}
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: span}, PeerName: peer}); err != nil {
		return err
	}
	for _, name := range []string{span, peer} {
		link, err := netlink.LinkByName(name)
		if err == nil {
			err = netlink.LinkSetUp(link)
		}
		if err != nil {
			return err
		}
	}
	return offload.Switch(span, "rx-gro", true) // or the driver takes no frames from the other end; these it does not merge
}

// figures are the medians of one contest, nanoseconds per frame.
type figures struct {
	user, kernel, total float64
	lost                uint64
}

func report(results [][]result) error {
	all := map[contest]figures{}
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "reader\tway\tof the protocol\tuser ns/read\tkernel ns/arrived\ttotal ns/arrived\tlost\t")
	for i, c := range contests {
		var user, kernel, total []float64
		var f figures
		for round, r := range results[i] {
			base := results[slices.IndexFunc(contests, func(b contest) bool { return b == contest{"nobody", c.every, c.way} })][round]
			extra := r.kernel/float64(r.arrived) - base.kernel/float64(base.arrived)
			kernel = append(kernel, extra)
			total = append(total, extra+r.user/float64(r.arrived))
			user = append(user, r.user/float64(max(r.read, 1)))
			if want := r.arrived; share(c) == 1 && c.name != "nobody" && r.read < want {
				f.lost += want - r.read
			}
		}
		f.user, f.kernel, f.total = median(user), median(kernel), median(total)
		all[c] = f
		if c.name != "nobody" {
			fmt.Fprintf(out, "%s\t%s\t1 in %d\t%.0f\t%+.0f\t%.0f\t%d\t\n", c.name, c.way, c.every, f.user, f.kernel, f.total, f.lost)
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	failed := 0
	fmt.Println()
	for _, b := range bars {
		of, by := all[b.of], all[b.by]
		ratio := of.user / by.user
		if b.total {
			ratio = of.total / by.total
		}
		word := "holds"
		if ratio > b.most {
			word = "FAILS"
			failed++
		}
		fmt.Printf("%-58s %5.2f  at most %.2f  %s\n", b.what, ratio, b.most, word)
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d ratios do not hold", failed, len(bars))
	}
	return nil
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}
