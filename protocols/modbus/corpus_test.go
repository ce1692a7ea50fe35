package modbus

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/testdata/need"
)

// A truth is what tshark counts in one capture.
type truth struct {
	Path      string
	TCP       map[string]int
	Truncated int `json:"truncated_frames"`
	Modbus    *struct {
		PDUs  int            `json:"pdus"`
		Codes map[string]int `json:"func_codes"`
	}
}

// TestCorpusCounts holds the number of messages per function against tshark's, in captures whose TCP lost
// and swapped nothing. The streams come from tshark too: what the flow layer makes of them is tested with it.
func TestCorpusCounts(t *testing.T) {
	corpus := need.Corpus(t)
	tshark := need.Tool(t, "tshark", "tshark")
	b, err := os.ReadFile(filepath.Join(corpus, "truth.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all struct{ Files []truth }
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	files, messages := 0, 0
	for _, f := range all.Files {
		if f.Modbus == nil || f.TCP["out_of_order"]+f.TCP["lost_segment"]+f.Truncated > 0 {
			continue
		}
		files++
		got := countPDUs(t, tshark, filepath.Join(corpus, "captures", f.Path))
		for _, n := range got {
			messages += n
		}
		if !maps.Equal(got, f.Modbus.Codes) {
			t.Errorf("%s\n got %v\nwant %v", f.Path, got, f.Modbus.Codes)
		}
	}
	t.Logf("%d captures, %d messages", files, messages)
}

// countPDUs decodes what the capture's streams on Modbus's ports carry.
func countPDUs(t *testing.T, tshark, path string) map[string]int {
	t.Helper()
	cmd := exec.Command(tshark, "-n", "-r", path, "-Y", "tcp.port==502 && tcp.len>0 && !tcp.analysis.retransmission || udp.port==502", "-T", "fields",
		"-e", "tcp.stream", "-e", "udp.stream", "-e", "tcp.dstport", "-e", "udp.dstport", "-e", "tcp.payload", "-e", "udp.payload")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	flows := map[string]*line{}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		w := strings.Split(lines.Text(), "\t")
		l := flows[w[0]+"/"+w[1]]
		if l == nil {
			hint := ports
			hint.Datagram = w[1] != ""
			l = newLine(t, hint, func(m *protocols.Message) {
				counts[strconv.Itoa(int(m.Code))]++
			})
			flows[w[0]+"/"+w[1]] = l
		}
		payload, err := hex.DecodeString(strings.ReplaceAll(w[4]+w[5], ":", ""))
		if err != nil {
			t.Fatal(err)
		}
		dir := fromServer
		if w[2]+w[3] == "502" {
			dir = fromClient
		}
		l.feed(segment{dir: dir, b: payload})
	}
	for _, l := range flows {
		l.end()
	}
	if err := cmd.Wait(); err != nil && len(counts) == 0 {
		t.Fatalf("tshark %s: %v", path, err)
	}
	return counts
}
