package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/roje-ot/roje/testdata/need"
)

// workplace is where the program is built; TestMain removes it.
var workplace string

func TestMain(m *testing.M) {
	code := m.Run()
	if workplace != "" {
		os.RemoveAll(workplace)
	}
	os.Exit(code)
}

// built is the program, built once for all tests of the folder, with one difference from the one that ships: a system call
// that its filter refuses ends it, and says where it was made.
var built = sync.OnceValues(func() (string, error) {
	return build(".", "-ldflags", "-X github.com/roje-ot/roje/sensor/passive.refusing=trap")
})

// build builds a program into the workplace.
func build(pkg string, flags ...string) (string, error) {
	if workplace == "" {
		dir, err := os.MkdirTemp("", "roje-sensor")
		if err != nil {
			return "", err
		}
		workplace = dir
		if err := os.Chmod(dir, 0o755); err != nil {
			return "", err
		}
	}
	abs, err := filepath.Abs(pkg)
	if err != nil {
		return "", err
	}
	path := filepath.Join(workplace, filepath.Base(abs))
	cmd := exec.Command("go", append(append([]string{"build", "-o", path}, flags...), pkg)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, nil
}

// A live is a running sensor in the test's namespace.
type live struct {
	t      *testing.T
	cmd    *exec.Cmd
	lines  chan string // of its log
	seen   []string
	alerts string // the file of them
	ended  bool
}

// start runs the sensor on the interfaces, with attr for rights and user, in a state of its own.
func start(t *testing.T, attr *syscall.SysProcAttr, interfaces ...string) *live {
	t.Helper()
	return startWith(t, attr, folder(t), "phase: learn\n", interfaces...)
}

// folder is one that every user can write to, for as long as the test.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "roje-live")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return dir
}

// startWith is start with a folder for the state, and more lines of the configuration.
func startWith(t *testing.T, attr *syscall.SysProcAttr, dir, lines string, interfaces ...string) *live {
	t.Helper()
	program, err := built()
	if err != nil {
		t.Fatal(err)
	}
	loopback(t)
	config := filepath.Join(dir, "sensor.yaml")
	text := fmt.Sprintf("name: live\nstate: %s/state\ninterfaces: [%s]\nadmin: 127.0.0.1:9273\nalerts: %s/alerts\n%s", dir, strings.Join(interfaces, ", "), dir, lines)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	l := &live{t: t, cmd: exec.Command(program, "run", "--config", config), lines: make(chan string, 1000), alerts: dir + "/alerts"}
	l.cmd.SysProcAttr = attr
	l.cmd.Env = []string{"PATH=/nowhere"}
	out, err := l.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := l.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(l.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			l.lines <- s.Text()
		}
	}()
	t.Cleanup(l.end)
	return l
}

// end ends the sensor in good order.
func (l *live) end() {
	if l.ended {
		return
	}
	l.ended = true
	l.cmd.Process.Signal(syscall.SIGTERM)
	for line := range l.lines {
		l.seen = append(l.seen, line)
	}
	if err := l.cmd.Wait(); err != nil {
		l.t.Errorf("the sensor ended with %v:\n%s", err, strings.Join(l.seen, "\n"))
	}
}

// loopback sets it up, in the namespace of the calling thread.
func loopback(t *testing.T) {
	t.Helper()
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// patience is how long something may take on a machine that is busy. It only tells a test that hangs.
const patience = 2 * time.Minute

// says waits for a line that has all the words, and returns it.
func (l *live) says(words ...string) string {
	l.t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case line, ok := <-l.lines:
			if !ok {
				l.t.Fatalf("the sensor has ended without saying %q:\n%s", words, strings.Join(l.seen, "\n"))
			}
			l.seen = append(l.seen, line)
			found := true
			for _, w := range words {
				found = found && strings.Contains(line, w)
			}
			if found {
				return line
			}
		case <-deadline:
			l.t.Fatalf("the sensor does not say %q:\n%s", words, strings.Join(l.seen, "\n"))
		}
	}
}

// get reads the metrics; a value is found by its name and labels as they stand on the line. The connection is made by
// the calling thread, which is in the namespace.
func get() (map[string]float64, error) {
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
		return dialHere(9273)
	}}}
	answer, err := client.Get("http://127.0.0.1:9273/metrics")
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	all := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		if at := strings.LastIndexByte(line, ' '); at > 0 && line[0] != '#' {
			all[line[:at]], _ = strconv.ParseFloat(strings.TrimSpace(line[at+1:]), 64)
		}
	}
	return all, nil
}

var inHere = make(chan func()) // work for the thread that is in the namespace

// dialHere connects on the thread that serves inHere.
func dialHere(port int) (conn net.Conn, err error) {
	done := make(chan struct{})
	inHere <- func() {
		defer close(done)
		var fd int
		if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return
		}
		if err = unix.Connect(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
			unix.Close(fd)
			return
		}
		file := os.NewFile(uintptr(fd), "metrics")
		conn, err = net.FileConn(file)
		file.Close()
	}
	<-done
	return conn, err
}

// until reads the metrics until ok holds. The calling goroutine is the one whose thread is in the namespace, so that it
// serves the connections meanwhile.
func (l *live) until(what string, ok func(map[string]float64) bool) map[string]float64 {
	l.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		var m map[string]float64
		got := make(chan error)
		go func() {
			var err error
			m, err = get()
			got <- err
		}()
		for asking := true; asking; {
			select {
			case work := <-inHere:
				work()
			case err := <-got:
				asking = false
				if err != nil {
					l.end()
					l.t.Fatalf("%s: the metrics cannot be read: %v\n%s", what, err, strings.Join(l.seen, "\n"))
				}
			}
		}
		if ok(m) {
			return m
		}
		if time.Now().After(deadline) {
			var text strings.Builder
			for k, v := range m {
				if strings.HasPrefix(k, "roje_") && v != 0 {
					fmt.Fprintln(&text, k, v)
				}
			}
			l.t.Fatalf("%s: does not come about:\n%s\n%s", what, text.String(), strings.Join(l.seen, "\n"))
		}
	}
}

// poll makes a Modbus request to read registers, as a frame.
func poll(n uint16) []byte {
	b := []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 52, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2}
	b = binary.BigEndian.AppendUint16(b, 40000)
	b = binary.BigEndian.AppendUint16(b, 502)
	b = binary.BigEndian.AppendUint32(b, 1000+12*uint32(n))
	b = append(b, 0, 0, 0, 1, 0x50, 0x18, 1, 0, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, n)
	return append(b, 0, 0, 0, 6, 1, 3, 0, 0, 0, 2)
}

func sum(m map[string]float64, source string) (total float64) {
	for key, v := range m {
		if strings.HasPrefix(key, "roje_frames_total{") && strings.Contains(key, `source="`+source+`"`) && !strings.Contains(key, `bucket="nic_`) {
			total += v
		}
	}
	return total
}

const decoded = `roje_frames_total{bucket="decoded",source="span"}`

// TestLive starts the sensor and looks at what it is while it runs; then the cable is pulled, the interface renamed,
// taken away and brought back.
func TestLive(t *testing.T) {
	span, peer := need.Veth(t)
	l := start(t, nil, span)
	line := l.says("watching", "source="+span)
	for _, want := range []string{`capture="A: `, "passivity=kernel"} {
		if !strings.Contains(line, want) {
			t.Errorf("the start line lacks %q: %s", want, line)
		}
	}
	sealed(t, l.cmd.Process.Pid)

	number, sent := uint16(0), 0.0
	send := func(n int) {
		t.Helper()
		to := need.Sender(t, peer)
		for range n {
			to(poll(number))
			to(append([]byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5}, make([]byte, 46)...)) // counted, and from the ninth on not kept
			number++
		}
		sent += float64(2 * n)
	}
	send(50)
	m := l.until("50 polls are decoded", func(m map[string]float64) bool { return m[decoded] == 50 && sum(m, span) == sent })
	if filtered := m[`roje_frames_total{bucket="filtered",source="span"}`]; filtered < 30 || m[`roje_stamps_total{by="kernel",source="span"}`] != sent-filtered {
		t.Errorf("filtered %v, stamps %v", filtered, m[`roje_stamps_total{by="kernel",source="span"}`])
	}
	if m["roje_sent_frames_total"] != 0 {
		t.Errorf("the port has sent %v frames", m["roje_sent_frames_total"])
	}

	link, err := netlink.LinkByName(span)
	if err != nil {
		t.Fatal(err)
	}
	far, err := netlink.LinkByName(peer)
	if err != nil {
		t.Fatal(err)
	}
	do := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	do("pull the cable", netlink.LinkSetDown(far))
	l.says("no link", "interface="+span)
	do("plug it in", netlink.LinkSetUp(far))
	l.says("link", "interface="+span, "before=down")
	send(10)
	l.until("polls after the cable was pulled", func(m map[string]float64) bool { return m[decoded] == 60 })

	do("shut the port", netlink.LinkSetDown(link))
	l.says("no link")
	do("rename it", netlink.LinkSetName(link, "other"))
	l.says("renamed", "interface=other")
	do("open it", netlink.LinkSetUp(link))
	l.says("link", "before=down")
	send(10)
	l.until("polls after the interface was renamed", func(m map[string]float64) bool { return m[decoded] == 70 })

	do("take it away", netlink.LinkDel(link))
	l.says("vanished")
	pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: span}, PeerName: peer}
	do("bring it back", netlink.LinkAdd(pair))
	back, err := netlink.LinkByName(peer)
	do("find its peer", err)
	do("set it up", netlink.LinkSetUp(back))
	near, err := netlink.LinkByName(span)
	do("find it", err)
	do("set it up", netlink.LinkSetUp(near))
	l.says("is back")
	send(10)
	m = l.until("polls after the interface came back", func(m map[string]float64) bool { return m[decoded] == 80 && sum(m, span) == sent })
	if _, ok := m[`roje_sensor_info{passivity="claimed",phase="learn",version="unknown"}`]; !ok {
		t.Error("the level is still more than claimed, though nothing is around the new interface")
	}
}
