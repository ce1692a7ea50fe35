package cmd

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// A site is a sensor and a collector in processes of their own, with a wire between them that can be cut.
type site struct {
	t         *testing.T
	dir       string
	wire      *wire
	collector *process
	sensor    *process
	sensorID  string
	nextAlert int
	onDisk    map[int]bool // alerts that the sensor said are on disk
	repeats   int          // envelopes that were delivered again
}

func newSite(t *testing.T) *site {
	s := &site{t: t, dir: t.TempDir(), onDisk: map[int]bool{}}
	s.wire = newWire(t)
	return s
}

// A process is this test's own binary in another role.
type process struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.WriteCloser
	out *lines
}

func (s *site) start(role string, args ...string) *process {
	s.t.Helper()
	p := &process{t: s.t, cmd: exec.Command(os.Args[0], args...)}
	p.cmd.Env = append(os.Environ(), roleVariable+"="+role, "ROJE_TEST_DIR="+filepath.Join(s.dir, role))
	p.cmd.Stderr = os.Stderr
	in, err := p.cmd.StdinPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	p.in, p.out = in, readLines(out)
	s.t.Cleanup(p.kill)
	return p
}

// kill ends the process with SIGKILL and waits for its end.
func (p *process) kill() {
	if p.cmd.ProcessState == nil {
		p.cmd.Process.Kill()
		p.cmd.Wait()
	}
}

func (p *process) expect(prefix string) string {
	p.t.Helper()
	line, err := p.out.until(prefix)
	if err != nil {
		p.t.Fatal(err)
	}
	return line
}

// startCollector starts the collector; the wire leads to wherever it listens now.
func (s *site) startCollector() {
	s.t.Helper()
	s.collector = s.start("collector")
	s.wire.lead(strings.TrimPrefix(s.collector.expect("listening "), "listening "))
}

// enrol has the sensor join, by a token that the collector makes.
func (s *site) enrol() {
	s.t.Helper()
	fmt.Fprintln(s.collector.in, "token", s.wire.address())
	token := strings.TrimPrefix(s.collector.expect("token "), "token ")
	p := s.start("enrol", token)
	s.sensorID = strings.TrimPrefix(p.expect("enrolled "), "enrolled ")
	if err := p.cmd.Wait(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) startSensor() {
	s.t.Helper()
	s.sensor = s.start("sensor")
	s.sensor.out.each = s.heard
	s.sensor.expect("ready")
}

// repeatRequests sends the collector the next requests of the sensor again, as bytes, from what the sensor has kept.
func (s *site) repeatRequests() {
	s.t.Helper()
	fmt.Fprintln(s.sensor.in, "repeat")
	var n int
	if _, err := fmt.Sscanf(s.sensor.expect("repeated "), "repeated %d", &n); err != nil {
		s.t.Fatal(err)
	}
	s.repeats += n
}

// A wire carries TCP connections to wherever the collector listens.
type wire struct {
	t      *testing.T
	listen net.Listener
	wg     sync.WaitGroup

	mu    sync.Mutex
	to    string
	off   bool
	conns map[net.Conn]struct{}
	ended int // connections that were cut
}

func newWire(t *testing.T) *wire {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{t: t, listen: l, conns: map[net.Conn]struct{}{}}
	w.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			w.wg.Go(func() { w.carry(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		w.cut()
		w.wg.Wait()
	})
	return w
}

func (w *wire) address() string { return w.listen.Addr().String() }

func (w *wire) lead(to string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.to = to
}

// carry joins a connection to the collector, until either side or the wire ends it.
func (w *wire) carry(c net.Conn) {
	defer c.Close()
	w.mu.Lock()
	to, off := w.to, w.off
	w.mu.Unlock()
	if off {
		return
	}
	d, err := net.DialTimeout("tcp", to, 5*time.Second)
	if err != nil {
		return
	}
	defer d.Close()
	w.mu.Lock()
	w.conns[c], w.conns[d] = struct{}{}, struct{}{}
	w.mu.Unlock()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{c, d}, {d, c}} {
		both.Go(func() {
			io.Copy(way[0], way[1])
			c.Close()
			d.Close()
		})
	}
	both.Wait()
	w.mu.Lock()
	delete(w.conns, c)
	delete(w.conns, d)
	w.mu.Unlock()
}

// cut ends all connections, wherever they are in their bytes.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.conns {
		c.Close()
	}
	w.ended += len(w.conns) / 2
}

func (w *wire) cuts() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ended
}

// down takes the wire away or brings it back.
func (w *wire) down(off bool) {
	w.mu.Lock()
	w.off = off
	w.mu.Unlock()
	if off {
		w.cut()
	}
}
