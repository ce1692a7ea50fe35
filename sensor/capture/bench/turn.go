package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gopacket/gopacket/afpacket"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/roje-ot/roje/sensor/capture"
	"github.com/roje-ot/roje/sensor/capture/bench/frames"
	"github.com/roje-ot/roje/sensor/capture/filter"
	"github.com/roje-ot/roje/sensor/capture/ring"
)

const (
	frameSize = 128 // bytes
	ringBytes = 64 << 20
	settle    = 400 * time.Millisecond // for a reader to catch up; it costs nothing but time
)

// turn lets the reader capture count frames.
func turn(c contest, count uint64) (r result, err error) {
	source, err := arriving(c.every, c.way)
	if err != nil {
		return r, err
	}
	defer source.Close()
	var p *racer
	if c.name != "nobody" {
		if p, err = run(c.name); err != nil {
			return r, err
		}
		defer p.cmd.Process.Kill()
	}
	clock := thread
	if c.way == driver { // the kernel's thread of the CPU may take over what the sender began there
		if err := pin(one(first())); err != nil {
			return r, err
		}
		defer pin(allowed())
		clock = func() float64 { return thread() + scheduled(softirqs()) }
	}
	if _, err := source.Send(20_000); err != nil { // caches and pages
		return r, err
	}
	time.Sleep(settle)
	before, mine, there := p.cpu(), clock(), received()
	if r.arrived, err = source.Send(count); err != nil {
		return r, err
	}
	r.kernel = clock() - mine
	time.Sleep(settle)
	if c.way == driver { // which may have lost some
		r.arrived = received() - there
	}
	if p == nil {
		return r, nil
	}
	r.user = p.cpu() - before
	r.read, err = p.stop()
	all, _ := source.Sent()
	if !errors.Is(err, errUncounted) && err != nil {
		return r, err
	}
	if err == nil { // of those before the count began it has lost none: nobody hurried it
		r.read -= min(r.read, uint64(float64(all-r.arrived)*share(c)))
	} else {
		r.read = r.arrived
	}
	return r, nil
}

// arriving makes the source of frames that come in by a way.
func arriving(every int, by way) (*frames.Source, error) {
	source, err := frames.New(span, frameSize, every)
	if err == nil && by == driver {
		if err = source.By(peer); err != nil {
			source.Close()
		}
	}
	return source, err
}

// received is how many frames have come in through the driver.
func received() uint64 {
	link, err := netlink.LinkByName(span)
	if err != nil {
		return 0
	}
	return link.Attrs().Statistics.RxPackets
}

// share is how much of what arrives the reader keeps.
func share(c contest) float64 {
	if c.name == "own, filter" || c.name == "own, prefilter" {
		return 1 / float64(c.every)
	}
	return 1
}

// thread is the CPU time of the calling thread, in nanoseconds: frames are made and offered on it.
func thread() float64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		return 0
	}
	return float64(t.Nano())
}

// softirqs finds the kernel's thread for the packets of the first CPU.
var softirqs = sync.OnceValue(func() string {
	names, _ := filepath.Glob("/proc/[0-9]*/comm")
	for _, name := range names {
		if text, err := os.ReadFile(name); err == nil && string(text) == fmt.Sprintf("ksoftirqd/%d\n", first()) {
			return filepath.Dir(name) + "/schedstat"
		}
	}
	return ""
})

// scheduled is the first figure of a schedstat file: the time that the scheduler has given, in nanoseconds.
func scheduled(path string) (ns float64) {
	if text, err := os.ReadFile(path); err == nil {
		fmt.Sscan(string(text), &ns)
	}
	return ns
}

// allowed are the CPUs that the program was started on.
var allowed = sync.OnceValue(func() (set unix.CPUSet) {
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		set.Set(0)
	}
	return set
})

// first and last are two of them, or the same one where there is no other.
func first() int {
	set, cpu := allowed(), 0
	for !set.IsSet(cpu) {
		cpu++
	}
	return cpu
}

func last() int {
	set, cpu := allowed(), first()
	for left := set.Count() - 1; left > 0; {
		if cpu++; set.IsSet(cpu) {
			left--
		}
	}
	return cpu
}

func one(cpu int) (set unix.CPUSet) {
	set.Set(cpu)
	return set
}

// pin keeps the calling thread, and what it starts from now on, on some CPUs.
func pin(on unix.CPUSet) error { return unix.SchedSetaffinity(0, &on) }

// A racer is a reader's process.
type racer struct {
	cmd *exec.Cmd
	out *bufio.Scanner
}

// run starts a reader and waits until it captures.
func run(name string) (*racer, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd, ready := exec.Command(self, "-reader", name), "ready"
	if name == "tcpdump" {
		cmd, ready = exec.Command("tcpdump", "-i", span, "-w", "/dev/null", "-B", fmt.Sprint(ringBytes>>10), "-n"), "listening"
	}
	err2, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &racer{cmd, bufio.NewScanner(err2)}
	for p.out.Scan() {
		if strings.Contains(p.out.Text(), ready) {
			return p, nil
		}
	}
	return nil, fmt.Errorf("%s did not start: %w", name, cmd.Wait())
}

// cpu is the time that the scheduler has given to all threads of the process, in nanoseconds.
func (p *racer) cpu() (sum float64) {
	if p == nil {
		return 0
	}
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.cmd.Process.Pid))
	for _, path := range tasks {
		sum += scheduled(path)
	}
	return sum
}

// errUncounted says that a reader does not tell how many frames it has read.
var errUncounted = errors.New("the reader does not count")

// stop ends the reader and returns how many frames it has read.
func (p *racer) stop() (read uint64, err error) {
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		return 0, err
	}
	err = errUncounted
	for p.out.Scan() {
		for _, form := range []string{"read %d", "%d packets captured"} {
			var n uint64
			if _, e := fmt.Sscanf(p.out.Text(), form, &n); e == nil {
				read, err = n, nil
			}
		}
	}
	p.cmd.Wait()
	return read, err
}

// read is the child: it captures until it is interrupted, touches the number in each frame, and says how many it read.
func read(name string) error {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt)
	next, closing, err := open(name)
	if err != nil {
		return err
	}
	defer closing()
	fmt.Fprintln(os.Stderr, "ready")
	n, xor := uint64(0), uint64(0)
	for {
		b, err := next()
		if errors.Is(err, capture.ErrIdle) || errors.Is(err, afpacket.ErrTimeout) {
			select {
			case <-stop:
				fmt.Fprintf(os.Stderr, "read %d, %x\n", n, xor)
				return nil
			default:
				continue
			}
		}
		if err != nil {
			return err
		}
		n++
		xor ^= frames.Number(b)
	}
}

// open returns what gives the next frame, lent until the call after.
func open(name string) (next func() ([]byte, error), closing func() error, err error) {
	if strings.HasPrefix(name, "gopacket") {
		h, err := afpacket.NewTPacket(afpacket.OptInterface(span), afpacket.OptTPacketVersion(afpacket.TPacketVersion3), afpacket.OptFrameSize(2048),
			afpacket.OptBlockSize(1<<20), afpacket.OptNumBlocks(ringBytes>>20), afpacket.OptPollTimeout(100*time.Millisecond), afpacket.OptBlockTimeout(64*time.Millisecond))
		if err != nil {
			return nil, nil, err
		}
		one := h.ZeroCopyReadPacketData
		if name == "gopacket copy" {
			one = h.ReadPacketData
		}
		return func() ([]byte, error) { b, _, err := one(); return b, err }, func() error { h.Close(); return nil }, nil
	}
	config := ring.Config{Interface: span}
	closers := []io.Closer{}
	if name != "own" {
		if config.Filter, err = filter.Load(filter.Config{UDP: []uint16{frames.Port}}); err != nil {
			return nil, nil, err
		}
		closers = append(closers, config.Filter)
	}
	if name == "own, prefilter" {
		p, err := config.Filter.Prefilter(span)
		if err != nil {
			return nil, nil, err
		}
		closers = append(closers, p)
	}
	r, err := ring.Open(config)
	if err != nil {
		return nil, nil, err
	}
	closers = append(closers, r)
	var p capture.Packet
	return func() ([]byte, error) { err := r.Next(&p); return p.Data, err }, func() error {
		var err error
		for _, c := range slices.Backward(closers) {
			err = errors.Join(err, c.Close())
		}
		return err
	}, nil
}
