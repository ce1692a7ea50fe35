package chaos

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/roje-ot/roje/cmd/chaos/rig"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/sensor/capture"
	"github.com/roje-ot/roje/sensor/spool"
	"github.com/roje-ot/roje/testdata/need"
)

// A site is a sensor in a network namespace of its own.
type site struct {
	t     *testing.T
	name  string
	ns    *rig.Namespace
	wan   *wan
	dir   string // on a disk with room
	state string // may be on a small disk
	disk  string // that disk, "" where there is none
	files programs

	budget int64 // of the spool
	live   bool  // watches an interface; others read a capture file
	mirror func(frame []byte)
	clock  *clock // nil is right
	fickle bool   // its clock jumps
	proc   *rig.Process
	stderr *os.File
	filled bool // its disk is
	full   bool // its disk is, or was in this life
	id     string

	fed    map[string]batch.Lane // alerts that the spool said are on disk
	raised map[string]bool       // alerts of the sensor's own, from all its lives
	last   []string              // of them, those of the last life that ended in order
	next   int
}

const spoolLeast = 1 << 20 // what a configuration may ask for at least

// newSite makes a sensor's place; n decides what is special about it.
func newSite(t *testing.T, hub *rig.Namespace, n int, files programs) *site {
	s := &site{t: t, name: fmt.Sprintf("site%02d", n), ns: rig.NewNamespace(t), dir: t.TempDir(), files: files, budget: 64 << 20, fed: map[string]batch.Lane{}, raised: map[string]bool{}}
	s.wan = newWAN(t, hub, s.ns, n, n%4 == 0, n%5 == 0) // 0 is both
	s.state = filepath.Join(s.dir, "state")
	s.live, s.fickle = n < 5, n%5 == 2
	switch n % 3 {
	case 1:
		s.budget = spoolLeast
	case 2:
		s.disk = filepath.Join(s.dir, "disk")
		mount(t, s.disk, "24m")
		s.state = filepath.Join(s.disk, "state")
	}
	source := fmt.Sprintf("replay: {files: [%s], pace: 1}", filepath.Join(need.Root(t), "testdata", replays[n%len(replays)]))
	if s.live {
		source = "interfaces: [span]"
		s.ns.Do(func() error { return span(t, s) })
	}
	err := os.WriteFile(s.config(), fmt.Appendf(nil, "name: %s\nstate: %s\n%s\nenrolment: %s\nalerts: %s\nspool_bytes: %d\nledger_bytes: 1048576\nadmin: 127.0.0.1:9100\n",
		s.name, s.state, source, s.enrolment(), s.lines(), s.budget), 0o600)
	if err == nil {
		s.stderr, err = os.Create(filepath.Join(s.dir, "stderr"))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.stderr.Close() })
	return s
}

func (s *site) config() string    { return filepath.Join(s.dir, "sensor.yaml") }
func (s *site) lines() string     { return filepath.Join(s.dir, "alerts.jsonl") }
func (s *site) enrolment() string { return filepath.Join(s.dir, "enrolment") }

// replays are what sensors without an interface see; acts what is played to those with one.
var (
	replays = []string{"act-iec104-industroyer2.pcap", "act-modbus-frostygoop.pcap", "act-dnp3-cold-restart.pcap", "act-modbus-write-all.pcap", "act-iec104-on-off.pcap"}
	acts    = []string{"act-dnp3-rogue-master.pcap", "act-iec104-industroyer2.pcap", "act-modbus-write-all.pcap"}
)

// mount makes a small disk.
func mount(t *testing.T, dir, size string) {
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		err = syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size+",mode=0755")
	}
	if err != nil {
		t.Fatalf("mount a tmpfs: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
}

// fill leaves no room on a disk; the error is nil only if there is none.
func fill(disk string) error {
	f, err := os.Create(filepath.Join(disk, "others"))
	if err != nil {
		return err
	}
	defer f.Close()
	block := make([]byte, 64<<10)
	for err == nil {
		_, err = f.Write(block)
	}
	if errors.Is(err, syscall.ENOSPC) {
		return nil
	}
	return err
}

func free(disk string) error {
	err := os.Remove(filepath.Join(disk, "others"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// enrol has the sensor join with a token, by way of the gate's port. Where the machine is too busy for it, it tries anew.
func (s *site) enrol(port string, token func() string) {
	s.t.Helper()
	for try := 1; ; try++ {
		cmd := exec.Command(s.files.sensor, "enrol", "--token", token(), "--collector", net.JoinHostPort(s.wan.hubIP, port), "--dir", s.enrolment(), "--name", s.name)
		cmd.Stderr = s.stderr
		err := s.ns.Start(cmd).Wait()
		if err == nil {
			break
		}
		if try == 5 {
			s.t.Fatalf("%s does not enrol: %v\n%s", s.name, err, s.tail())
		}
	}
	text, err := os.ReadFile(filepath.Join(s.enrolment(), "enrolment.json"))
	var about struct{ Sensor string }
	if err == nil {
		err = json.Unmarshal(text, &about)
	}
	if s.id = about.Sensor; err != nil || s.id == "" {
		s.t.Fatalf("%s: enrolment %s, %v", s.name, text, err)
	}
}

// tail is the end of what the sensor logged.
func (s *site) tail() string {
	text, _ := os.ReadFile(s.stderr.Name())
	return string(text[max(0, len(text)-2000):])
}

// start starts the sensor.
func (s *site) start() {
	s.full = s.filled
	program := s.files.sensor
	if s.clock != nil {
		program = s.files.wrongSensor
	}
	cmd := exec.Command(program, "run", "--config", s.config())
	cmd.Stderr = s.stderr
	if s.clock != nil {
		cmd.Env = append(os.Environ(), s.clock.environment())
	}
	s.proc = s.ns.Start(cmd)
}

// kill kills the sensor and takes down what it said it raised: its next life begins that file anew.
func (s *site) kill() {
	s.proc.Kill()
	s.hear()
}

// look starts the sensor again if it has ended by itself, as its service would: at the end of a recorded capture, and
// while its disk is full.
func (s *site) look() {
	select {
	case <-s.proc.Ended():
	default:
		return
	}
	if err := s.proc.Wait(); err != nil && !s.full {
		s.t.Errorf("%s has ended: %v\n%s", s.name, err, s.tail())
	}
	s.hear()
	s.start()
}

// free makes room on its disk, if that is small.
func (s *site) free() {
	if s.disk == "" {
		return
	}
	if err := free(s.disk); err != nil {
		s.t.Fatal(err)
	}
	s.filled = false
}

// hear takes down what the sensor says it raised in this life, and says how many it is.
func (s *site) hear() int { return len(s.heard()) }

func (s *site) heard() (ids []string) {
	text, err := os.ReadFile(s.lines())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		s.t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		var a struct{ ID string }
		if json.Unmarshal(line, &a) == nil && a.ID != "" {
			s.raised[a.ID] = true
			ids = append(ids, a.ID)
		}
	}
	return ids
}

// feed puts n alerts of the test's own into the spool of a sensor that does not run, in runs of several, and remembers
// those that are on disk. A disk that is full ends it early.
func (s *site) feed(rnd *rand.Rand, n, size int) {
	s.t.Helper()
	sp, err := spool.Open(spool.Config{Dir: s.state, Budget: s.budget})
	if err != nil {
		if !s.full {
			s.t.Fatal(err)
		}
		return
	}
	defer sp.Close()
	for n > 0 {
		var items []spool.Item
		run := map[string]batch.Lane{}
		for range min(n, 1+rnd.IntN(7)) {
			a := s.alert(rnd, size)
			body, err := json.Marshal(a)
			if err != nil {
				s.t.Fatal(err)
			}
			items = append(items, spool.Item{Kind: batch.KindAlert, Lane: batch.LaneOf(a.Severity), At: a.Last, Body: body})
			run[a.ID] = batch.LaneOf(a.Severity)
			n--
		}
		switch err := sp.Append(items...); {
		case err == nil:
			for id, lane := range run {
				s.fed[id] = lane
			}
		case errors.Is(err, syscall.ENOSPC) && s.full:
			return
		default:
			s.t.Fatalf("%s: %v", s.name, err)
		}
	}
}

// alert is the next alert of the test's own: one in ten is urgent.
func (s *site) alert(rnd *rand.Rand, size int) rules.Alert {
	at := time.Date(2026, 11, 1, 0, 0, s.next, 0, time.UTC)
	a := rules.Alert{
		ID: fmt.Sprintf("fed-%s-%06d", s.name, s.next), Rule: "chaos", Title: fmt.Sprintf("Alert %d of %s", s.next, s.name), Severity: rules.Medium,
		First: at, Last: at, Count: 1, Client: "10.0.0.1:40000", Server: "10.0.1.1:502", Proto: "modbus",
	}
	if s.next%10 == 0 {
		a.Severity = rules.High
	}
	words := strings.Fields("write register pump valve breaker open close setpoint north south")
	var text strings.Builder
	for text.Len() < size {
		text.WriteString(words[rnd.IntN(len(words))] + " ")
	}
	a.Observed = text.String()
	s.next++
	return a
}

// span makes the interface that a live sensor watches, in the namespace of the calling thread, and what plays to it.
func span(t *testing.T, s *site) error {
	if err := pair("span", "peer"); err != nil {
		return err
	}
	s.mirror = need.Sender(t, "peer")
	return nil
}

// play has a live sensor see a capture.
func (s *site) play(name string) {
	s.t.Helper()
	f, err := capture.Open(filepath.Join(need.Root(s.t), "testdata", name))
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	for {
		var p capture.Packet
		if err := f.Next(&p); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			s.t.Fatal(err)
		}
		s.mirror(p.Data)
	}
}

// waiting asks the sensor how many bytes of its spool are not delivered; an error where it does not answer.
func (s *site) waiting() (int64, error) {
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DialContext: s.ns.Dial, DisableKeepAlives: true}}
	resp, err := client.Get("http://127.0.0.1:9100/metrics")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	_, rest, found := strings.Cut(string(text), "\nroje_spool_bytes ")
	var bytes float64
	if _, err := fmt.Sscan(rest, &bytes); err != nil || !found {
		return 0, fmt.Errorf("no roje_spool_bytes: %w", err)
	}
	return int64(bytes), nil
}
