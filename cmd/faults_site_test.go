package cmd

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roje-ot/roje/cmd/chaos/rig"
)

// A site is a sensor and a collector in processes of their own, with a wire between them that can be cut.
type site struct {
	t         *testing.T
	dir       string
	wire      *rig.Wire
	leads     atomic.Value // string: where the collector listens now
	collector *rig.Process
	sensor    *rig.Process
	sensorID  string
	nextAlert int
	onDisk    map[int]bool // alerts that the sensor said are on disk
	repeats   int          // envelopes that were delivered again
}

func newSite(t *testing.T) *site {
	s := &site{t: t, dir: t.TempDir(), onDisk: map[int]bool{}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.wire = rig.NewWire(t, l, func() (net.Conn, error) { return net.DialTimeout("tcp", s.leads.Load().(string), 5*time.Second) })
	return s
}

// start starts this test's own binary in another role.
func (s *site) start(role string, args ...string) *rig.Process {
	s.t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), roleVariable+"="+role, "ROJE_TEST_DIR="+filepath.Join(s.dir, role))
	cmd.Stderr = os.Stderr
	return rig.Start(s.t, cmd)
}

// startCollector starts the collector; the wire leads to wherever it listens now.
func (s *site) startCollector() {
	s.t.Helper()
	s.collector = s.start("collector")
	s.leads.Store(strings.TrimPrefix(s.collector.Expect("listening "), "listening "))
}

// enrol has the sensor join, by a token that the collector makes.
func (s *site) enrol() {
	s.t.Helper()
	fmt.Fprintln(s.collector.In, "token", s.wire.Address())
	token := strings.TrimPrefix(s.collector.Expect("token "), "token ")
	p := s.start("enrol", token)
	s.sensorID = strings.TrimPrefix(p.Expect("enrolled "), "enrolled ")
	if err := p.Wait(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) startSensor() {
	s.t.Helper()
	s.sensor = s.start("sensor")
	s.sensor.Out.Each = s.heard
	s.sensor.Expect("ready")
}

// repeatRequests sends the collector the next requests of the sensor again, as bytes, from what the sensor has kept.
func (s *site) repeatRequests() {
	s.t.Helper()
	fmt.Fprintln(s.sensor.In, "repeat")
	var n int
	if _, err := fmt.Sscanf(s.sensor.Expect("repeated "), "repeated %d", &n); err != nil {
		s.t.Fatal(err)
	}
	s.repeats += n
}
