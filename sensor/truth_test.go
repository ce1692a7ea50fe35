package sensor

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/sensor/capture"
	"github.com/roje-ot/roje/sensor/flow"
)

// counter counts messages by kind.
type counter struct {
	flow.Ignore
	kinds    tally
	messages int
}

// codeless gives tshark's numbers to what has no code of an application.
var codeless = map[string]string{
	"ACK": "dnp3 secondary 0", "NACK": "dnp3 secondary 1", "LINK_STATUS": "dnp3 secondary 11", "NOT_FUNCTIONING": "dnp3 secondary 14", "NOT_SUPPORTED": "dnp3 secondary 15",
	"RESET_LINK_STATES": "dnp3 primary 0", "RESET_USER_PROCESS": "dnp3 primary 1", "TEST_LINK_STATES": "dnp3 primary 2", "REQUEST_LINK_STATUS": "dnp3 primary 9",
	"STARTDT act": "iec104 unnumbered 1", "STARTDT con": "iec104 unnumbered 2", "STOPDT act": "iec104 unnumbered 4", "STOPDT con": "iec104 unnumbered 8",
	"TESTFR act": "iec104 unnumbered 16", "TESTFR con": "iec104 unnumbered 32", "S": "iec104 supervisory",
}

func (c *counter) Message(_ *flow.Conn, m *protocols.Message, _ *flow.PacketInfo) {
	c.messages++
	proto := m.Proto.Name
	if !m.HasCode {
		kind, ok := codeless[m.Name]
		if !ok {
			kind = proto + broken
		}
		c.kinds[kind]++
		return
	}
	c.kinds[proto+" "+strconv.Itoa(int(m.Code))]++
	switch proto {
	case "dnp3":
		for _, function := range own("link")(nil, m) {
			if kind, ok := codeless[function]; ok { // with user data where there should be none
				c.kinds[kind]++
			}
		}
	case "modbus":
		c.sub("modbus exception ", own("exception")(nil, m))
		c.sub("modbus encapsulated ", own("mei", fc(43))(nil, m))
		c.sub("modbus diagnostic ", own("sub", fc(8))(nil, m))
	}
}

func (c *counter) sub(prefix string, codes []string) {
	for _, code := range codes {
		c.kinds[prefix+code]++
	}
}

// broken is the kind of messages that are too broken to have a code. Only in captures where tshark sees nothing of their
// protocol does it matter that there is none.
const broken = " broken"

// TestTruth holds the number of messages of each kind in every capture of the corpus against what tshark counted: between
// the least and the greatest of its passes. Captures of other protocols are among them: they must yield nothing of ours.
// What is known to differ, and why ours is right, stands in testdata/truth_exceptions.txt: at most 2 % of the captures,
// where all that was made from one capture counts as that one.
func TestTruth(t *testing.T) {
	dir, files := readTruth(t)
	excused := reviewed(t, "testdata/truth_exceptions.txt", 2)
	needed := map[string]bool{}
	sources, odd := map[string]bool{}, map[string]bool{}
	var outside, clean, cleanOutside, others, messages int
	for _, f := range files {
		got := &counter{kinds: tally{}}
		table := flow.New(flow.Config{Protocols: catalog.All}, got)
		var damage *capture.Damage
		if err := readCapture(t.Context(), filepath.Join(dir, f.Path), table); err != nil && !errors.As(err, &damage) {
			t.Errorf("%s: %v", f.Path, err)
		}
		for proto := range f.protocols() {
			delete(got.kinds, proto+broken)
		}
		diffs := compare(f.passes(), got.kinds)
		sources[f.source()] = true
		messages += got.messages
		if f.clean() {
			clean++
		}
		if !f.ours() {
			others++
		}
		if len(diffs) == 0 {
			continue
		}
		outside++
		odd[f.source()] = true
		if f.clean() {
			cleanOutside++
		}
		if line := excuse(excused, f.Path); line != "" {
			needed[line] = true
			t.Logf("excused %s: %s", f.Path, strings.Join(diffs, "; "))
			continue
		}
		t.Errorf("%s: %s", f.Path, strings.Join(diffs, "; "))
	}
	for line := range excused {
		if !needed[line] {
			t.Errorf("the exception %q is no longer needed", line)
		}
	}
	t.Logf("%d captures, %d messages; outside the truth: %d; of %d captures with clean TCP: %d; %d have no protocol of ours",
		len(files), messages, outside, clean, cleanOutside, others)
	share := 100 * float64(len(odd)) / float64(len(sources))
	t.Logf("%d of %d distinct captures are outside the truth, %.2f %%", len(odd), len(sources), share)
	if share > 2 {
		t.Errorf("%.2f %% of the distinct captures differ from the truth, more than 2 %%", share)
	}
}

// compare names each kind whose number does not lie between the least and the greatest of the passes.
func compare(passes []tally, got tally) []string {
	kinds := maps.Clone(got)
	for _, p := range passes {
		maps.Copy(kinds, p)
	}
	var diffs []string
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		least, greatest := passes[0][kind], passes[0][kind]
		for _, p := range passes[1:] {
			least, greatest = min(least, p[kind]), max(greatest, p[kind])
		}
		if n := got[kind]; n < least || n > greatest {
			diffs = append(diffs, fmt.Sprintf("%s: %d, truth %d..%d", kind, n, least, greatest))
		}
	}
	return diffs
}
