package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/sensor/capture"
	"github.com/roje-ot/roje/sensor/evidence"
	"github.com/roje-ot/roje/testdata/need"
)

// TestEvidenceToCollector runs a sensor and a collector as processes: an alert is delivered, its evidence is asked for,
// the line is cut in the middle of it and the sensor killed, and what comes after that completes it: the collector gives
// out the sensor's own file, which Wireshark's tools read, and refuses it to who may not have it.
func TestEvidenceToCollector(t *testing.T) {
	need.Long(t)
	capinfos := need.Tool(t, "capinfos", "apt-get install wireshark-common")
	s := newPair(t)
	token := strings.Fields(s.do(s.collector, "token", "--data", s.at("data")))
	line := newCutter(t, s.Ingest)
	s.do(s.program, "enrol", "--token", token[0], "--collector", line.Addr().String(), "--dir", s.at("enrolment"), "--name", "site")

	act := filepath.Join(need.Root(t), "testdata", "act-iec104-industroyer2.pcap")
	fat(t, act, s.at("fat.pcap"))
	config := func(capture string) {
		s.write("sensor.yaml", "state: %s\nenrolment: %s\nevidence: %s\nreplay: {files: [%s]}\n", s.at("state"), s.at("enrolment"), s.at("evidence"), capture)
	}
	config(s.at("fat.pcap"))
	s.do(s.program, "run", "--config", s.at("sensor.yaml"))
	var a store.Alert
	var file []byte
	alerts, _, err := s.db.ListAlerts(t.Context(), s.scope, store.Filter{}, "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range alerts {
		if one.Evidence == nil {
			continue
		}
		if text, err := os.ReadFile(s.at("evidence/" + one.Evidence.File)); err != nil {
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
		e, err := s.db.GetEvidence(t.Context(), s.scope, a.ID)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	if err := s.db.AskEvidence(t.Context(), s.scope, a.ID, "ana", time.Now()); err != nil {
		t.Fatal(err)
	}

	config(filepath.Join(need.Root(t), "testdata", "act-port-sweep.pcap")) // something else to see
	line.allow(before)
	second := s.launch("second.log", s.program, "run", "--config", s.at("sensor.yaml"))
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
	s.launch("third.log", s.program, "run", "--config", s.at("sensor.yaml"))
	s.await("the rest of it", func() bool { return state().State == store.EvidenceWhole })
	if e := state(); e.SHA256 != a.Evidence.SHA256 || e.Have != e.Size {
		t.Errorf("%+v, the alert names %s", e, a.Evidence.SHA256)
	}
	t.Logf("%d bytes of %d were there at the cut", half.Have, half.Size)

	for user, want := range map[string]int{"ana": 200, "cert": 403, "nobody": 401} {
		status, got := s.ask(user, "/api/v1/alerts/"+a.ID+"/evidence.pcapng")
		if status != want {
			t.Errorf("%s: %d", user, status)
		}
		if want != http.StatusOK {
			continue
		}
		if sum := sha256.Sum256(got); hex.EncodeToString(sum[:]) != a.Evidence.SHA256 || !bytes.Equal(got, file) {
			t.Errorf("%d bytes of sha256 %x, want the sensor's %d of %s", len(got), sum, len(file), a.Evidence.SHA256)
		}
		s.write("got.pcapng", "%s", got)
	}
	if _, err := evidence.Verify(s.at("got.pcapng")); err != nil {
		t.Error(err)
	}
	if said := s.do(capinfos, "-T", "-m", "-c", "-t", s.at("got.pcapng")); !strings.Contains(said, "pcapng") {
		t.Errorf("capinfos: %s", said)
	} else {
		t.Logf("capinfos: %s", strings.TrimSpace(said))
	}
	acts, err := s.db.Acts(t.Context(), s.scope, a.ID, 9)
	if err != nil || len(acts) != 2 || acts[1].Detail != "asked for" || !strings.HasPrefix(acts[0].Detail, "came") {
		t.Errorf("acts %+v, %v", acts, err)
	}
	statements(t, s)
	overDiode(t, s, act)
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
