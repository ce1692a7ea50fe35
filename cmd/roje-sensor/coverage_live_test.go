package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/sensor/coverage"
	"github.com/roje-ot/roje/testdata/need"
)

// A mirror sends both sides of a Modbus session to the interface that the sensor watches, and knows what it sent.
type mirror struct {
	send    func([]byte)
	seq     [2]uint32
	n       uint16
	frames  int
	bytes   int // of payload
	last    [2]time.Time
	longest time.Duration // between two frames of one side
}

var payloads = [2][]byte{{0, 0, 0, 0, 0, 6, 1, 3, 0, 0, 0, 2}, {0, 0, 0, 0, 0, 7, 1, 3, 4, 0, 1, 0, 2}}

// poll sends a request and its answer.
func (m *mirror) poll() {
	m.n++
	for side, payload := range payloads {
		b := []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, byte(40 + len(payload)), byte(m.n >> 8), byte(m.n), 0, 0, 64, 6, 0, 0}
		ends, ports := [2]byte{1, 2}, [2]uint16{40000, 502}
		b = append(b, 10, 0, 0, ends[side], 10, 0, 0, ends[1-side])
		b = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, ports[side]), ports[1-side])
		b = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, 1000+m.seq[side]), 1000+m.seq[1-side])
		b = append(b, 0x50, 0x18, 1, 0, 0, 0, 0, 0, byte(m.n>>8), byte(m.n))
		b = append(b, payload[2:]...)
		m.seq[side] += uint32(len(payload))
		now := time.Now()
		if !m.last[side].IsZero() {
			m.longest = max(m.longest, now.Sub(m.last[side]))
		}
		m.send(b)
		m.last[side] = now
		m.frames++
		m.bytes += len(payload)
	}
	time.Sleep(20 * time.Millisecond) // the pace of a master; nothing is decided by it
}

// until polls until something has come about.
func (m *mirror) until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(3 * time.Minute); !ok(); m.poll() {
		if time.Now().After(end) {
			t.Fatalf("%s: does not come about", what)
		}
	}
}

// lose puts a program on what leaves the interface that drops the frames of which the byte at an offset is a value, and
// returns what takes it away.
func lose(t *testing.T, iface string, offset int32, value int32) (stop func()) {
	t.Helper()
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SchedCLS, License: "GPL", Instructions: asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.LoadAbs(offset, asm.Byte),
		asm.JEq.Imm(asm.R0, value, "drop"),
		asm.Mov.Imm(asm.R0, -1), // TCX_NEXT
		asm.Return(),
		asm.Mov.Imm(asm.R0, 2).WithSymbol("drop"), // TCX_DROP
		asm.Return(),
	}})
	if err != nil {
		t.Fatal(err)
	}
	i, err := net.InterfaceByName(iface)
	if err != nil {
		t.Fatal(err)
	}
	l, err := link.AttachTCX(link.TCXOptions{Interface: i.Index, Program: program, Attach: ebpf.AttachTCXEgress})
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		program.Close()
	}
}

// today asks a sensor for the account of its day so far. The calling thread, which is in the namespace, connects.
func today(t *testing.T, admin string) (s coverage.Statement) {
	t.Helper()
	conn, err := net.Dial("tcp", admin)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /coverage HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(&s); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	return s
}

// stated are the days that a sensor has signed.
func stated(t *testing.T, dir string) (days []coverage.Statement) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		day, _, err := coverage.VerifyFile(path)
		if err != nil {
			t.Fatal(err)
		}
		days = append(days, *day)
	}
	return days
}

// TestCoverageLive runs the sensor on a real interface. Frames are lost before they reach it: here and there, and then
// all of one direction. That is said within the promised time after the last frame of the side that is missing, by the
// times in the alert; and every byte is accounted for, those that were lost too.
func TestCoverageLive(t *testing.T) {
	need.Long(t)
	const promise, admin = 8 * time.Second, "127.0.0.1:9274" // in a namespace of the test's own
	span, peer := need.Veth(t)
	program, err := built()
	if err != nil {
		t.Fatal(err)
	}
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	text := fmt.Sprintf("name: live\nstate: %s\ninterfaces: [%s]\nphase: learn\nalerts: %s\nadmin: %s\ncoverage: {one_sided: %v}\n",
		at("state"), span, at("alerts"), admin, promise)
	if err := os.WriteFile(at("sensor.yaml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "run", "--config", at("sensor.yaml"))
	cmd.Env = []string{"PATH=/nowhere"}
	log, err := os.Create(at("log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	defer func() {
		if !ended {
			cmd.Process.Kill()
			cmd.Wait()
		}
		if t.Failed() {
			said, _ := os.ReadFile(at("log"))
			t.Logf("%s", said)
		}
	}()
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if said, _ := os.ReadFile(at("log")); bytes.Contains(said, []byte("watching")) {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the sensor does not start")
		}
	}

	m := &mirror{send: need.Sender(t, peer, unix.ENOBUFS)}
	alert := func(count uint64) (found *rules.Alert) {
		text, err := os.ReadFile(at("alerts"))
		if err != nil {
			return nil
		}
		for line := range bytes.Lines(text) {
			var a rules.Alert
			if json.Unmarshal(line, &a) == nil && a.Rule == "sensor-link-one-sided" && a.Count >= count {
				found = &a
			}
		}
		return found
	}
	lost, lostBytes := 0, 0
	for range 10 {
		m.poll()
	}
	const tidAt, srcAt = 14 + 20 + 20 + 1, 14 + 12 + 3
	for _, tid := range []uint16{17, 18, 19, 23, 31} { // both sides of these
		for m.n != tid-1 {
			m.poll()
		}
		stop := lose(t, peer, tidAt, int32(tid))
		m.poll()
		stop()
		lost, lostBytes = lost+2, lostBytes+len(payloads[0])+len(payloads[1])
	}
	for range 10 {
		m.poll()
	}
	if a := alert(1); a != nil {
		t.Fatalf("said too soon: %+v", a)
	}

	before, kept := m.n, m.last[1]
	m.longest = 0
	stop := lose(t, peer, srcAt, 2)
	m.until(t, "the alert of a side that is missing", func() bool { return alert(1) != nil })
	a := alert(1)
	stop()
	lost, lostBytes = lost+int(m.n-before), lostBytes+int(m.n-before)*len(payloads[1])
	late := a.Last.Sub(a.First)
	t.Logf("said %v after the last frame of the server; promised are %v; the master paused for %v at most", late, promise, m.longest)
	if late > promise+m.longest {
		t.Errorf("said %v after the last frame, promised are %v", late, promise)
	}
	if a.First.Before(kept) {
		t.Errorf("the last frame of the server is said to be of %v; one was sent at %v", a.First, kept)
	}
	if a.Client != "10.0.0.1" || a.Server != "10.0.0.2" || !strings.Contains(a.Title, "what the server sends is missing") || a.Incident == "" {
		t.Errorf("%+v", a)
	}
	m.until(t, "the end of it", func() bool { return alert(2) != nil })
	if over := alert(2); over.ID != a.ID || !over.Last.After(a.Last) {
		t.Errorf("over: %+v", over)
	}

	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) { // until the ring is empty
		days := append(stated(t, at("state/coverage")), today(t, admin)) // of midnight too
		var total coverage.Sums
		for i := range days {
			total.Add(&days[i].Total)
		}
		if total.Packets == int64(m.frames-lost) {
			break
		} else if time.Now().After(end) {
			t.Fatalf("%d of %d frames are accounted for", total.Packets, m.frames-lost)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	err = cmd.Wait()
	ended = true
	if err != nil {
		t.Fatal(err)
	}
	book := coverage.New(coverage.Config{}, nil)
	if err := book.Load(at("state/coverage.json")); err != nil {
		t.Fatal(err)
	}
	days := append(stated(t, at("state/coverage")), *book.Statement("live", "", time.Now()))
	var s, total coverage.Sums
	frames := map[string]int64{}
	for i := range days {
		day := &days[i]
		if err := day.Check(); err != nil {
			t.Error(err)
		}
		if len(day.Links) > 1 || len(day.Sources) != 1 {
			t.Fatalf("%+v", day)
		}
		for j := range day.Links {
			s.Add(&day.Links[j].Sums)
		}
		total.Add(&day.Total)
		for what, n := range day.Sources[0].Frames {
			frames[what] += n
		}
	}
	want := coverage.Sums{Packets: int64(m.frames - lost), Seen: int64(m.bytes - lostBytes), GapBytes: int64(lostBytes)}
	if s.Packets != want.Packets || s.Seen != want.Seen || s.GapBytes != want.GapBytes || s.Decoded != want.Seen || s.Messages != want.Packets || s != total {
		t.Errorf("the account is %+v, want %+v", s, want)
	}
	var all int64
	for what, n := range frames {
		if what != "nic_missed" && what != "nic_dropped" {
			all += n
		}
	}
	if frames["decoded"] != want.Packets || all != want.Packets {
		t.Errorf("frames %v, want %d decoded and no others", frames, want.Packets)
	}
	t.Logf("%d frames sent, %d lost: %d bytes seen + %d in %d gaps = %d sent", m.frames, lost, s.Seen, s.GapBytes, s.Gaps, m.bytes)
}
