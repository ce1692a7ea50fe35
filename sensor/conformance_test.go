package sensor

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/sensor/flow"
	"github.com/roje-ot/roje/testdata/need"
)

// A column is one of tshark's fields and how the same values are read from our messages. Both sides are lists per
// packet, in order: a packet may complete several messages, and a message may hold several points.
type column struct {
	field string                                            // tshark's name
	proto string                                            // the messages that it is compared with
	ours  func(dst []string, m *protocols.Message) []string // appends m's values
	same  func(theirs, ours string) bool                    // nil compares numbers as numbers and words as words
}

// columns are all compared fields, protocol by protocol.
var columns = slices.Concat(modbusColumns, dnp3Columns, iec104Columns)

// difference is what a capture showed for a column.
type difference struct {
	values, wrong int
	example       string
}

// TestConformance compares every field of every message with tshark, packet by packet, over the captures of the corpus
// with clean TCP (where it is not, tshark's passes disagree with one another; TestTruth holds the counts there).
// Differences that are known, and why ours is right, stand in testdata/conformance_exceptions.txt.
func TestConformance(t *testing.T) {
	dir := need.Corpus(t)
	tshark := need.Tool(t, "tshark", "tshark")
	text, err := os.ReadFile(filepath.Join(dir, "truth.json"))
	if err != nil {
		t.Fatal(err)
	}
	var truth struct{ Files []truthFile }
	if err := json.Unmarshal(text, &truth); err != nil {
		t.Fatal(err)
	}
	excused := reviewed(t, "testdata/conformance_exceptions.txt", 3)
	used := map[string]bool{}
	totals := make([]difference, len(columns))
	files := 0
	for _, f := range truth.Files {
		if len(f.counts()) == 0 || !f.clean() {
			continue
		}
		files++
		path := filepath.Join(dir, "captures", f.Path)
		found := compareCapture(t, tshark, path)
		for i, d := range found {
			totals[i].values += d.values
			if d.wrong == 0 {
				continue
			}
			if line := excuse(excused, f.Path, columns[i].field); line != "" {
				used[line] = true
				continue
			}
			totals[i].wrong += d.wrong
			t.Errorf("%s %s: %d of %d values differ, such as %s", f.Path, columns[i].field, d.wrong, d.values, d.example)
		}
	}
	for line := range excused {
		if !used[line] {
			t.Errorf("the exception %q is no longer needed", line)
		}
	}
	values, wrong := 0, 0
	for i, d := range totals {
		t.Logf("%-40s %9d values, %d differ", columns[i].field, d.values, d.wrong)
		if d.values == 0 {
			t.Errorf("%s was never compared: no capture has it", columns[i].field)
		}
		values += d.values
		wrong += d.wrong
	}
	t.Logf("%d captures, %d fields, %d values compared, %d differ", files, len(columns), values, wrong)
}

// excuse returns the line of the reviewed list that covers a field of a capture.
func excuse(excused map[string][]string, path, field string) string {
	for line, parts := range excused {
		inPath, _ := filepath.Match(parts[0], path)
		if parts[1] == field && (inPath || strings.HasPrefix(path, strings.TrimSuffix(parts[0], "**")) && strings.HasSuffix(parts[0], "**")) {
			return line
		}
	}
	return ""
}

// perFrame is the values of each column in each packet.
type perFrame map[uint64][][]string

// recorder collects the values of our messages.
type recorder struct {
	flow.Ignore
	frames perFrame
}

func (r recorder) Message(_ *flow.Conn, m *protocols.Message, p *flow.PacketInfo) {
	row := r.frames[p.Frame]
	if row == nil {
		row = make([][]string, len(columns))
		r.frames[p.Frame] = row
	}
	for i := range columns {
		if columns[i].proto == m.Proto.Name {
			row[i] = columns[i].ours(row[i], m)
		}
	}
}

func compareCapture(t *testing.T, tshark, path string) []difference {
	t.Helper()
	ours := recorder{frames: perFrame{}}
	table := flow.New(flow.Config{Protocols: catalog.All}, ours)
	if err := readCapture(t.Context(), path, table); err != nil {
		t.Logf("%s: %v", path, err)
	}
	theirs := askTshark(t, tshark, path)
	out := make([]difference, len(columns))
	for frame, row := range theirs {
		mine := ours.frames[frame]
		for i := range columns {
			var list []string
			if mine != nil {
				list = mine[i]
			}
			out[i].compare(frame, &columns[i], row[i], list)
		}
	}
	return out
}

func (d *difference) compare(frame uint64, c *column, theirs, ours []string) {
	same := c.same
	if same == nil {
		same = sameValue
	}
	n := max(len(theirs), len(ours))
	d.values += n
	wrong := 0
	for i := range n {
		if i >= len(theirs) || i >= len(ours) || !same(theirs[i], ours[i]) {
			wrong++
		}
	}
	if wrong > 0 && d.example == "" {
		d.example = fmt.Sprintf("frame %d: tshark %s, ours %s", frame, brief(theirs), brief(ours))
	}
	d.wrong += wrong
}

func brief(list []string) string {
	s := strings.Join(list, "|")
	if len(s) > 120 {
		s = s[:120] + "..."
	}
	return "[" + s + "]"
}

// askTshark runs tshark once over a capture, for the columns' fields in every packet of our protocols.
func askTshark(t *testing.T, tshark, path string) perFrame {
	t.Helper()
	args := []string{"-n", "-r", path, "-Y", "modbus || mbtcp || mbudp || dnp3 || iec60870_104", "-T", "fields", "-E", "separator=/t", "-E", "occurrence=a", "-E", "aggregator=|", "-e", "frame.number"}
	for _, c := range columns {
		args = append(args, "-e", c.field)
	}
	cmd := exec.Command(tshark, args...)
	cmd.Env = append(os.Environ(), "TZ=UTC", "LC_ALL=C")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	frames := perFrame{}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		cells := strings.Split(lines.Text(), "\t")
		frame, err := strconv.ParseUint(cells[0], 10, 64)
		if err != nil || len(cells) != len(columns)+1 {
			t.Fatalf("tshark printed %q", lines.Text())
		}
		row := make([][]string, len(columns))
		for i, cell := range cells[1:] {
			if cell != "" {
				row[i] = strings.Split(cell, "|")
			}
		}
		frames[frame] = row
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	// tshark fails on a capture that is cut short, after it has printed what it could read.
	_ = cmd.Wait()
	return frames
}

// sameValue compares numbers as numbers, of whatever base and precision, and everything else as text.
func sameValue(theirs, ours string) bool {
	if theirs == ours {
		return true
	}
	a, okA := numberOf(theirs)
	b, okB := numberOf(ours)
	if !okA || !okB {
		return false
	}
	return a == b || math.Abs(a-b) <= 1e-5*math.Max(math.Abs(a), math.Abs(b)) || math.IsNaN(a) && math.IsNaN(b)
}

func numberOf(s string) (float64, bool) {
	switch s {
	case "True":
		return 1, true
	case "False":
		return 0, true
	}
	if i, err := strconv.ParseInt(s, 0, 64); err == nil {
		return float64(i), true
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil
}

// sameTime compares one of tshark's absolute times with ours, both to the millisecond.
func sameTime(theirs, ours string) bool {
	at, err := time.Parse("Jan _2, 2006 15:04:05.000000000 MST", theirs)
	return err == nil && at.Format(timeForm) == ours
}

const timeForm = "2006-01-02T15:04:05.000"

// reviewed reads a list of known differences: parts separated by tabs, the last of which is the reason.
func reviewed(t *testing.T, path string, parts int) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	for i, line := range strings.Split(string(text), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		cells := strings.Split(line, "\t")
		if len(cells) != parts || len(cells[parts-1]) < 20 {
			t.Fatalf("%s:%d: want %d parts separated by tabs, the last of them the reason in words", path, i+1, parts)
		}
		out[line] = cells
	}
	return out
}
