package verify

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/roje-ot/roje/sensor/passive"
)

// A Check is one thing that was looked at on a real port.
type Check struct {
	Name   string
	Holds  bool
	Detail string
}

// An Inspection is what holds of a real port, without a frame having been sent.
type Inspection struct {
	Level  string // claimed, kernel or diode
	Checks []Check
}

// Inspect looks at the port's settings, its egress, its own count of sent frames over the given time, and at the
// descriptors and rights of every running sensor. It sees all of it as root.
func Inspect(ctx context.Context, port string, watch time.Duration) (*Inspection, error) {
	link, err := netlink.LinkByName(port)
	if err != nil {
		return nil, fmt.Errorf("port %s: %w", port, err)
	}
	in := &Inspection{}
	note := func(name string, err error, detail string) bool {
		if err != nil {
			detail = err.Error()
		}
		in.Checks = append(in.Checks, Check{name, err == nil, detail})
		return err == nil
	}
	kernel := note("hygiene", passive.IsClean(port), "no address, no ARP, no multicast, no IPv6, frames as they came")
	how, err := passive.EgressShut(port)
	kernel = note("egress", err, "dropped by "+how) && kernel
	kernel = note("nftables", passive.NFTShut(port), "dropped at the device's egress hook") && kernel
	sensors, err := processes(link.Attrs().Index)
	if err == nil && len(sensors) == 0 {
		err = errors.New("none is running")
	}
	for _, s := range sensors {
		err = errors.Join(err, s.sealed())
	}
	kernel = note("sensor process", err, fmt.Sprintf("%d running, without a right and without a descriptor that could send", len(sensors))) && kernel
	kept, err := passive.Kept(port)
	if err == nil && kept.Open != "" {
		err = errors.New(kept.Open)
	}
	note("watch", err, fmt.Sprintf("%d frames were tried and dropped since it began", kept.Tried)) // no part of the level
	silent := note("sent frames", stillSilent(ctx, port, watch), fmt.Sprintf("%d in all since the port was made, none in %s", link.Attrs().Statistics.TxPackets, watch))
	behind, diode := passive.BehindDiode(port)
	switch {
	case diode && silent:
		in.Level = "diode"
		note("diode", nil, port+" is the sensor's end; "+behind+" is in a namespace of its own")
	case kernel && silent:
		in.Level = "kernel"
	default:
		in.Level = "claimed"
	}
	return in, nil
}

// stillSilent compares the port's count of sent frames at the start and at the end of a while.
func stillSilent(ctx context.Context, port string, watch time.Duration) error {
	w, err := passive.NewWitness(port)
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(watch):
	}
	n, err := w.Sent()
	if err == nil && n > 0 {
		err = fmt.Errorf("%d were sent while this looked", n)
	}
	return err
}

// A process is a running sensor.
type process struct {
	pid    string
	status string
	raw    int // its descriptors that are packet sockets on the port
}

// sealed says what the process could still do.
func (p *process) sealed() error {
	var errs []error
	for _, line := range []string{"CapEff:\t0000000000000000", "CapPrm:\t0000000000000000", "CapInh:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"} {
		if !strings.Contains(p.status, line+"\n") {
			name, _, _ := strings.Cut(line, ":")
			errs = append(errs, fmt.Errorf("process %s: %s is not as it must be", p.pid, name))
		}
	}
	if p.raw > 0 {
		errs = append(errs, fmt.Errorf("process %s holds %d descriptors that could send", p.pid, p.raw))
	}
	return errors.Join(errs...)
}

// processes finds the running sensors, other than this process.
func processes(index int) ([]process, error) {
	all, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		return nil, err
	}
	var found []process
	for _, path := range all {
		dir := filepath.Dir(path)
		pid := filepath.Base(dir)
		comm, err := os.ReadFile(path)
		if err != nil || strings.TrimSpace(string(comm)) != "roje-sensor" || pid == strconv.Itoa(os.Getpid()) {
			continue
		}
		line, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if args := strings.Split(string(line), "\x00"); err != nil || len(args) < 2 || args[1] != "run" {
			continue
		}
		status, err := os.ReadFile(filepath.Join(dir, "status"))
		if err != nil {
			continue
		}
		p := process{pid: pid, status: string(status)}
		if p.raw, err = rawSockets(dir, index); err != nil {
			return nil, err
		}
		found = append(found, p)
	}
	return found, nil
}

// rawSockets counts the process's descriptors that are packet sockets on the interface or on all interfaces.
func rawSockets(dir string, index int) (n int, err error) {
	table, err := os.ReadFile(filepath.Join(dir, "net", "packet"))
	if err != nil {
		return 0, err
	}
	raw := map[string]bool{}
	for line := range strings.Lines(string(table)) {
		// sk RefCnt Type Proto Iface R Rmem User Inode
		if f := strings.Fields(line); len(f) >= 9 && (f[4] == strconv.Itoa(index) || f[4] == "0") {
			raw["socket:["+f[8]+"]"] = true
		}
	}
	fds, err := filepath.Glob(filepath.Join(dir, "fd", "*"))
	if err != nil {
		return 0, err
	}
	for _, fd := range fds {
		target, err := os.Readlink(fd)
		if err == nil && raw[target] {
			n++
		}
		if errors.Is(err, unix.EACCES) {
			return n, err
		}
	}
	return n, nil
}
