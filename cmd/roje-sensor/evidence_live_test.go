package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
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
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/account"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/sqlite"
	"github.com/roje-ot/roje/sensor/capture"
	"github.com/roje-ot/roje/sensor/evidence"
	"github.com/roje-ot/roje/testdata/need"
)

// A cutter forwards connections, and cuts them once so many bytes have gone towards the collector.
type cutter struct {
	net.Listener
	mu    sync.Mutex
	left  int // bytes until the cut; negative for none
	cut   chan struct{}
	conns []net.Conn
}

func newCutter(t *testing.T, to string) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{Listener: l, left: -1, cut: make(chan struct{})}
	t.Cleanup(func() { l.Close(); c.closeAll() })
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				near.Close()
				continue
			}
			c.mu.Lock()
			c.conns = append(c.conns, near, far)
			c.mu.Unlock()
			go func() { io.Copy(near, far); near.Close() }()
			go func() { io.Copy(far, io.TeeReader(near, c)); far.Close() }()
		}
	}()
	return c
}

// Write counts what goes towards the collector.
func (c *cutter) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left < 0 {
		return len(b), nil
	}
	if c.left -= len(b); c.left > 0 {
		return len(b), nil
	}
	c.left = 0
	select {
	case <-c.cut:
	default:
		close(c.cut)
	}
	return 0, errors.New("cut")
}

func (c *cutter) closeAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		conn.Close()
	}
	c.conns = nil
}

func (c *cutter) allow(bytes int) {
	c.mu.Lock()
	c.left = bytes
	c.mu.Unlock()
}

// fat writes a capture of the frames of another, each followed by a frame of noise between its two hosts.
func fat(t *testing.T, from, to string) {
	t.Helper()
	f, err := capture.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	le := binary.LittleEndian
	out := []byte{0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0}
	write := func(at int64, b []byte) {
		out = le.AppendUint32(le.AppendUint32(out, uint32(at/1e9)), uint32(at%1e9/1e3))
		out = append(le.AppendUint32(le.AppendUint32(out, uint32(len(b))), uint32(len(b))), b...)
	}
	noise := rand.New(rand.NewPCG(1, 2))
	var p capture.Packet
	for {
		if err := f.Next(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		write(p.At, p.Data)
		if len(p.Data) < 34 || p.Data[12] != 8 || p.Data[13] != 0 {
			continue
		}
		b := append(bytes.Clone(p.Data[:14]), 0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0)
		b = append(b, p.Data[26:34]...)
		b = append(b, 0x9c, 0x40, 0x9c, 0x41, 0, 0, 0, 0)
		for range 1200 / 4 {
			b = le.AppendUint32(b, noise.Uint32())
		}
		binary.BigEndian.PutUint16(b[16:], uint16(len(b)-14))
		binary.BigEndian.PutUint16(b[38:], uint16(len(b)-34))
		write(p.At+1000, b)
	}
	if err := os.WriteFile(to, out, 0o644); err != nil {
		t.Fatal(err)
	}
}

// asked is the body of an answer, which must be 200.
func asked(t *testing.T, user, password, address string) []byte {
	t.Helper()
	ask, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	ask.SetBasicAuth(user, password)
	resp, err := http.DefaultClient.Do(ask)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", address, resp.Status, err)
	}
	return body
}

// TestEvidenceToCollector runs a sensor and a collector as processes: an alert is delivered, its evidence is asked for,
// the line is cut in the middle of it and the sensor killed, and what comes after that completes it: the collector gives
// out the sensor's own file, which Wireshark's tools read, and refuses it to who may not have it.
func TestEvidenceToCollector(t *testing.T) {
	need.Long(t)
	capinfos := need.Tool(t, "capinfos", "apt-get install wireshark-common")
	program, err := built()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	collector := at("roje-collector")
	if out, err := exec.Command("go", "build", "-o", collector, "../roje-collector").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	write := func(name, format string, args ...any) {
		if err := os.WriteFile(at(name), fmt.Appendf(nil, format, args...), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	do := func(name string, args ...string) string {
		t.Helper()
		out, err := exec.Command(name, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("%s %v: %v\n%s", filepath.Base(name), args, err, out)
		}
		return string(out)
	}
	launch := func(log, name string, args ...string) *exec.Cmd {
		t.Helper()
		f, err := os.Create(at(log))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		cmd := exec.Command(name, args...)
		cmd.Stdout, cmd.Stderr = f, f
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			cmd.Process.Kill()
			cmd.Wait()
			if t.Failed() {
				said, _ := os.ReadFile(at(log))
				t.Logf("%s: %s", log, said)
			}
		})
		return cmd
	}
	await := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: does not come about", what)
			}
		}
	}

	write("collector.yaml", "data: %s\nconsole: {address: 127.0.0.1:0}\ningest: {address: 127.0.0.1:0}\n", at("data"))
	launch("collector.log", collector, "serve", "--config", at("collector.yaml"))
	var served struct {
		Operator, Console, Ingest string
	}
	await("the collector's addresses", func() bool {
		text, err := os.ReadFile(at("data/serving.json"))
		return err == nil && json.Unmarshal(text, &served) == nil && served.Ingest != ""
	})
	db, err := sqlite.Open(at("data"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	scope, err := store.For(served.Operator)
	if err != nil {
		t.Fatal(err)
	}
	const password = "a long password"
	for name, role := range map[string]store.Role{"ana": store.Viewer, "cert": store.CERT} {
		if err := db.PutUser(t.Context(), scope, store.User{Name: name, Role: role, Hash: account.Hash(password)}, "test", time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	token := strings.Fields(do(collector, "token", "--data", at("data")))
	line := newCutter(t, served.Ingest)
	do(program, "enrol", "--token", token[0], "--collector", line.Addr().String(), "--dir", at("enrolment"), "--name", "site")

	act := filepath.Join(need.Root(t), "testdata", "act-iec104-industroyer2.pcap")
	fat(t, act, at("fat.pcap"))
	config := func(capture string) {
		write("sensor.yaml", "state: %s\nenrolment: %s\nevidence: %s\nreplay: {files: [%s]}\n", at("state"), at("enrolment"), at("evidence"), capture)
	}
	config(at("fat.pcap"))
	do(program, "run", "--config", at("sensor.yaml"))
	var a store.Alert
	var file []byte
	alerts, _, err := db.ListAlerts(t.Context(), scope, store.Filter{}, "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range alerts {
		if one.Evidence == nil {
			continue
		}
		if text, err := os.ReadFile(at("evidence/" + one.Evidence.File)); err != nil {
			t.Fatal(err)
		} else if len(text) > len(file) {
			a, file = one, text
		}
	}
	const before = 100 << 10
	if len(file) < 2*before {
		t.Fatalf("the largest evidence has %d bytes; %d alerts", len(file), len(alerts))
	}
	state := func() store.EvidenceFile {
		e, err := db.GetEvidence(t.Context(), scope, a.ID)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	if err := db.AskEvidence(t.Context(), scope, a.ID, "ana", time.Now()); err != nil {
		t.Fatal(err)
	}

	config(filepath.Join(need.Root(t), "testdata", "act-port-sweep.pcap")) // something else to see
	line.allow(before)
	second := launch("second.log", program, "run", "--config", at("sensor.yaml"))
	select {
	case <-line.cut:
	case <-time.After(2 * time.Minute):
		t.Fatal("the line is not cut")
	}
	line.closeAll()
	if err := second.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	second.Wait()
	half := state()
	if half.State != store.EvidenceComing || half.Have <= 0 || half.Have >= half.Size || half.Size != int64(len(file)) {
		t.Fatalf("at the cut: %+v", half)
	}
	line.allow(-1)
	launch("third.log", program, "run", "--config", at("sensor.yaml"))
	await("the rest of it", func() bool { return state().State == store.EvidenceWhole })
	if e := state(); e.SHA256 != a.Evidence.SHA256 || e.Have != e.Size {
		t.Errorf("%+v, the alert names %s", e, a.Evidence.SHA256)
	}
	t.Logf("%d bytes of %d were there at the cut", half.Have, half.Size)

	for user, want := range map[string]int{"ana": 200, "cert": 403, "nobody": 401} {
		ask, err := http.NewRequest(http.MethodGet, "http://"+served.Console+"/api/v1/alerts/"+a.ID+"/evidence.pcapng", nil)
		if err != nil {
			t.Fatal(err)
		}
		ask.SetBasicAuth(user, password)
		resp, err := http.DefaultClient.Do(ask)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != want {
			t.Errorf("%s: %s, %v", user, resp.Status, err)
		}
		if want != http.StatusOK {
			continue
		}
		if sum := sha256.Sum256(got); hex.EncodeToString(sum[:]) != a.Evidence.SHA256 || !bytes.Equal(got, file) {
			t.Errorf("%d bytes of sha256 %x, want the sensor's %d of %s", len(got), sum, len(file), a.Evidence.SHA256)
		}
		write("got.pcapng", "%s", got)
	}
	if _, err := evidence.Verify(at("got.pcapng")); err != nil {
		t.Error(err)
	}
	if said := do(capinfos, "-T", "-m", "-c", "-t", at("got.pcapng")); !strings.Contains(said, "pcapng") {
		t.Errorf("capinfos: %s", said)
	} else {
		t.Logf("capinfos: %s", strings.TrimSpace(said))
	}
	acts, err := db.Acts(t.Context(), scope, a.ID, 9)
	if err != nil || len(acts) != 2 || acts[1].Detail != "asked for" || !strings.HasPrefix(acts[0].Detail, "came") {
		t.Errorf("acts %+v, %v", acts, err)
	}

	// The day's statement is checked without a network, and is at the collector too.
	days, err := filepath.Glob(at("state/coverage/*.json"))
	if err != nil || len(days) == 0 {
		t.Fatalf("no statement: %v", err)
	}
	for _, day := range days {
		if said := do(program, "coverage", "verify", day); !strings.Contains(said, "is as it was signed") || !strings.Contains(said, "bytes seen = ") {
			t.Error(said)
		}
		text, err := os.ReadFile(day)
		if err != nil {
			t.Fatal(err)
		}
		write("false.json", "%s", bytes.Replace(text, []byte(`"form":1`), []byte(`"form": 1,"note":1`), 1))
		if out, err := exec.Command(program, "coverage", "verify", at("false.json")).CombinedOutput(); err == nil || !strings.Contains(string(out), "not as it was signed") {
			t.Errorf("a changed statement: %s, %v", out, err)
		}
	}
	var list struct {
		Statements []struct {
			ID    string
			Valid bool
		}
	}
	if err := json.Unmarshal(asked(t, "ana", password, "http://"+served.Console+"/api/v1/coverage"), &list); err != nil || len(list.Statements) == 0 || !list.Statements[0].Valid {
		t.Errorf("statements at the collector: %+v, %v", list, err)
	} else {
		write("got.json", "%s", asked(t, "ana", password, "http://"+served.Console+"/api/v1/coverage/"+list.Statements[0].ID))
		do(program, "coverage", "verify", at("got.json"))
	}

	// Over a link with no way back nobody can ask: it is sent if the configuration says so, behind all else.
	do(program, "enrol", "--token", strings.Fields(do(collector, "token", "--data", at("data")))[0], "--dir", at("enrolment2"), "--name", "diode")
	if err := os.Mkdir(at("carried"), 0o700); err != nil {
		t.Fatal(err)
	}
	write("sensor.yaml", "state: %s\nenrolment: %s\nevidence: %s\nreplay: {files: [%s]}\noneway: {files: %s}\nevidence_to_collector: {send: all}\n",
		at("state2"), at("enrolment2"), at("evidence2"), act, at("carried"))
	do(program, "run", "--config", at("sensor.yaml"))
	launch("receive.log", collector, "receive", "--data", at("data"), "--files", at("carried"))
	sent, err := filepath.Glob(at("evidence2/*.pcapng"))
	if err != nil || len(sent) == 0 {
		t.Fatalf("no evidence: %v", err)
	}
	for _, path := range sent {
		id := strings.TrimSuffix(filepath.Base(path), ".pcapng")
		last := ""
		t.Cleanup(func() {
			if t.Failed() {
				t.Log(last)
			}
		})
		await("evidence over a link with no way back", func() bool {
			e, err := db.GetEvidence(t.Context(), scope, id)
			waiting, _ := filepath.Glob(at("carried/*"))
			last = fmt.Sprintf("evidence %+v, %v; not taken yet: %v", e, err, waiting)
			return err == nil && e.State == store.EvidenceWhole && e.Who == ""
		})
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := db.ReadEvidence(t.Context(), scope, id); err != nil || !bytes.Equal(got, text) {
			t.Errorf("%s: %d bytes, want %d: %v", id, len(got), len(text), err)
		}
	}
}
