package sensor

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/sensor/flow"
	"github.com/roje-ot/roje/testdata/need"
)

// codeCounts is how many messages there are per protocol, and within it per code.
type codeCounts map[string]map[int]int

// truthFile is what tshark counted in one capture, in up to three passes.
type truthFile struct {
	Path string
	pass
	OutOfOrder *pass `json:"ooo"`
	NoSequence *pass `json:"noseq"`
	TCP        struct {
		Retransmission int `json:"retransmission"`
		OutOfOrder     int `json:"out_of_order"`
		LostSegment    int `json:"lost_segment"`
	} `json:"tcp"`
}

type pass struct {
	Modbus *struct {
		Func map[int]int `json:"func_codes"`
	} `json:"modbus"`
	DNP3 *struct {
		Func map[int]int `json:"al_func"`
	} `json:"dnp3"`
	IEC104 *struct {
		Types map[int]int `json:"type_ids"`
	} `json:"iec104"`
}

func (p *pass) counts() codeCounts {
	out := codeCounts{}
	if p.Modbus != nil {
		out["modbus"] = p.Modbus.Func
	}
	if p.DNP3 != nil {
		out["dnp3"] = p.DNP3.Func
	}
	if p.IEC104 != nil {
		out["iec104"] = p.IEC104.Types
	}
	return out
}

// passes are the counts of all passes that were made.
func (f *truthFile) passes() []codeCounts {
	all := []codeCounts{f.counts()}
	for _, p := range []*pass{f.OutOfOrder, f.NoSequence} {
		if p != nil {
			all = append(all, p.counts())
		}
	}
	return all
}

func (f *truthFile) clean() bool {
	return f.TCP.Retransmission+f.TCP.OutOfOrder+f.TCP.LostSegment == 0
}

// counter counts messages per code.
type counter struct {
	flow.Ignore
	counts codeCounts
}

func (c *counter) Message(_ *flow.Conn, m *protocols.Message, _ *flow.PacketInfo) {
	if !m.HasCode {
		return
	}
	codes := c.counts[m.Proto.Name]
	if codes == nil {
		codes = map[int]int{}
		c.counts[m.Proto.Name] = codes
	}
	codes[int(m.Code)]++
}

// TestTruth holds the number of messages per code in every capture of the corpus against what tshark counted: between
// the least and the greatest of its passes. What is known to differ, and why ours is right, stands in
// testdata/truth_exceptions.txt.
func TestTruth(t *testing.T) {
	dir := need.Corpus(t)
	text, err := os.ReadFile(filepath.Join(dir, "truth.json"))
	if err != nil {
		t.Fatal(err)
	}
	var truth struct{ Files []truthFile }
	if err := json.Unmarshal(text, &truth); err != nil {
		t.Fatal(err)
	}
	excused := exceptions(t)
	var files, wrong, clean, cleanWrong, messages int
	for _, f := range truth.Files {
		got := &counter{counts: codeCounts{}}
		table := flow.New(flow.Config{Protocols: catalog.All}, got)
		if err := readCapture(t.Context(), filepath.Join(dir, "captures", f.Path), table); err != nil && !strings.Contains(err.Error(), "damage") {
			t.Logf("%s: %v", f.Path, err)
		}
		diffs := compare(f.passes(), got.counts)
		files++
		for _, codes := range got.counts {
			for _, n := range codes {
				messages += n
			}
		}
		if f.clean() {
			clean++
		}
		why, known := excused[f.Path]
		delete(excused, f.Path)
		switch {
		case len(diffs) == 0 && known:
			t.Errorf("%s agrees now: drop it from the exceptions", f.Path)
		case len(diffs) == 0:
		case known:
			wrong++
			t.Logf("excused %s: %s (%s)", f.Path, strings.Join(diffs, "; "), why)
		default:
			wrong++
			if f.clean() {
				cleanWrong++
			}
			t.Errorf("%s: %s", f.Path, strings.Join(diffs, "; "))
		}
	}
	for path := range excused {
		t.Errorf("the exceptions name %s, which the corpus does not hold", path)
	}
	t.Logf("%d captures, %d messages; outside the truth: %d (%.1f %%); of %d captures with clean TCP: %d", files, messages, wrong,
		100*float64(wrong)/float64(files), clean, cleanWrong)
	if 100*wrong > 2*files {
		t.Errorf("%d of %d captures differ from the truth, more than 2 %%", wrong, files)
	}
}

// compare names each code whose count does not lie between the least and the greatest of the passes.
func compare(passes []codeCounts, got codeCounts) []string {
	var diffs []string
	for _, proto := range []string{"modbus", "dnp3", "iec104"} {
		codes := map[int]bool{}
		for c := range got[proto] {
			codes[c] = true
		}
		for _, p := range passes {
			for c := range p[proto] {
				codes[c] = true
			}
		}
		for _, code := range slices.Sorted(maps.Keys(codes)) {
			least, greatest := passes[0][proto][code], passes[0][proto][code]
			for _, p := range passes[1:] {
				least, greatest = min(least, p[proto][code]), max(greatest, p[proto][code])
			}
			if n := got[proto][code]; n < least || n > greatest {
				diffs = append(diffs, fmt.Sprintf("%s %d: %d, truth %d..%d", proto, code, n, least, greatest))
			}
		}
	}
	return diffs
}

// exceptions reads the reviewed list: a path, a tab, the reason.
func exceptions(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("testdata/truth_exceptions.txt")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for i, line := range strings.Split(string(text), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		path, why, ok := strings.Cut(line, "\t")
		if !ok || len(why) < 20 {
			t.Fatal("truth_exceptions.txt:" + strconv.Itoa(i+1) + ": want a path, a tab, and the reason in words")
		}
		out[path] = why
	}
	return out
}
