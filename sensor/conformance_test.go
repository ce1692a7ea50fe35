package sensor

import (
	"fmt"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/sensor/flow"
	"github.com/roje-ot/roje/testdata/need"
)

// A column is one of tshark's fields and how the same values are read from our messages. Both sides are lists per
// packet, in order: a packet may complete several messages, and a message may hold several points.
type column struct {
	field string                         // tshark's name
	proto string                         // the messages that it is compared with
	ours  reading                        // appends m's values
	same  func(theirs, ours string) bool // nil compares numbers as numbers and words as words
	// tshark's values in a packet, or false if it cannot be said which of them they are; nil takes the field's own.
	theirs func(get func(field string) []string) ([]string, bool)
}

type (
	reading func(dst []string, m *protocols.Message) []string   // appends what a message says
	which   func(m *protocols.Message) bool                     // some messages
	some    func(m *protocols.Message, p *protocols.Point) bool // some points
)

// columns are all compared fields, protocol by protocol.
var columns = slices.Concat(modbusColumns, dnp3Columns, iec104Columns)

// A difference is one packet in which a column's values are not the same on both sides.
type difference struct {
	column       int
	frame        uint64
	values       int // that differ
	theirs, ours []string
}

func (d *difference) String() string {
	return fmt.Sprintf("frame %d %s: tshark %s, ours %s", d.frame, columns[d.column].field, brief(d.theirs), brief(d.ours))
}

func brief(list []string) string {
	s := strings.Join(list, "|")
	if len(s) > 120 {
		s = s[:120] + "..."
	}
	return "[" + s + "]"
}

// comparison is what was found in one capture.
type comparison struct {
	name   string // for people, and for the list of exceptions
	path   string
	values []int // compared, by column
	diffs  []difference
	err    error
}

// TestConformance compares every field of every message with tshark, packet by packet, over the captures of the corpus
// with clean TCP (where it is not, tshark's passes disagree with one another; TestTruth holds the counts there) and over
// those of roje-lab. Differences that are known, and why ours is right, stand in testdata/conformance_exceptions.txt.
func TestConformance(t *testing.T) {
	need.Long(t)
	tshark := need.Tool(t, "tshark", "tshark")
	captures := compareAll(t, tshark, conformanceCaptures(t))
	excused := reviewed(t, "testdata/conformance_exceptions.txt", 4)
	needed := map[string]int{}
	values, wrong := make([]int, len(columns)), make([]int, len(columns))
	for i := range captures {
		c := &captures[i]
		if c.err != nil {
			t.Errorf("%s: %v", c.name, c.err)
		}
		first, frames := map[int]*difference{}, map[int][]string{}
		for column, n := range c.values {
			values[column] += n
		}
		for i := range c.diffs {
			d := &c.diffs[i]
			if line := excuseFrame(excused, c.name, columns[d.column].field, d.frame); line != "" {
				needed[line] += d.values
				continue
			}
			wrong[d.column] += d.values
			if first[d.column] == nil {
				first[d.column] = d
			}
			frames[d.column] = append(frames[d.column], strconv.FormatUint(d.frame, 10))
		}
		for column, d := range first {
			t.Errorf("%s %v (in frames %s)", c.name, d, strings.Join(frames[column], ","))
		}
	}
	for line := range excused {
		if needed[line] == 0 {
			t.Errorf("the exception %q is no longer needed", line)
		}
	}
	total, differ, known := 0, 0, 0
	for i, n := range values {
		t.Logf("%-50s %9d values, %d differ", columns[i].field, n, wrong[i])
		if n == 0 {
			t.Errorf("%s was never compared: no capture has it", columns[i].field)
		}
		total += n
		differ += wrong[i]
	}
	for _, n := range needed {
		known += n
	}
	t.Logf("%d captures, %d fields, %d values compared: %d differ, and %d more that %d reviewed lines explain", len(captures), len(columns), total, differ, known, len(excused))
}

// onPurpose are captures of roje-lab in which frames are wrong on purpose, or where tshark does not look: what they hold
// is tested where the faults are.
var onPurpose = regexp.MustCompile(`malformed|illegal|wrong-port|demo`)

// conformanceCaptures lists what TestConformance compares.
func conformanceCaptures(t *testing.T) []comparison {
	dir, corpus := readTruth(t)
	var out []comparison
	for _, f := range corpus {
		if f.ours() && f.clean() {
			out = append(out, comparison{name: f.Path, path: filepath.Join(dir, f.Path)})
		}
	}
	for _, path := range labCaptures(t) {
		if name := labName(t, path); !onPurpose.MatchString(name) {
			out = append(out, comparison{name: name, path: path})
		}
	}
	return out
}

// compareAll compares as many captures at a time as there are processors.
func compareAll(t *testing.T, tshark string, captures []comparison) []comparison {
	var wait sync.WaitGroup
	next := make(chan *comparison)
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for c := range next {
				c.compare(t, tshark)
			}
		})
	}
	for i := range captures {
		next <- &captures[i]
	}
	close(next)
	wait.Wait()
	return captures
}

// perFrame is the values of each column in each packet.
type perFrame map[uint64][][]string

// unknown stands for tshark's values where they cannot be compared.
var unknown = []string{"?"}

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

// compare reads one capture both ways and fills in c.
func (c *comparison) compare(t *testing.T, tshark string) {
	ours := recorder{frames: perFrame{}}
	table := flow.New(flow.Config{Protocols: catalog.All}, ours)
	// A capture that is cut short is read up to the cut by both.
	if err := readCapture(t.Context(), c.path, table); err != nil {
		t.Logf("%s: %v", c.name, err)
	}
	theirs, err := askTshark(tshark, c.path)
	c.err = err
	c.values = make([]int, len(columns))
	frames := map[uint64]bool{}
	for frame := range theirs {
		frames[frame] = true
	}
	for frame := range ours.frames {
		frames[frame] = true
	}
	empty := make([][]string, len(columns))
	for frame := range frames {
		a, b := theirs[frame], ours.frames[frame]
		if a == nil {
			a = empty
		}
		if b == nil {
			b = empty
		}
		for i := range columns {
			if len(a[i]) == 1 && &a[i][0] == &unknown[0] {
				continue
			}
			c.values[i] += max(len(a[i]), len(b[i]))
			if n := unlike(&columns[i], a[i], b[i]); n > 0 {
				c.diffs = append(c.diffs, difference{column: i, frame: frame, values: n, theirs: a[i], ours: b[i]})
			}
		}
	}
	slices.SortFunc(c.diffs, func(a, b difference) int { return int(a.frame) - int(b.frame) })
}

// unlike counts the values that differ.
func unlike(c *column, theirs, ours []string) int {
	same := c.same
	if same == nil {
		same = sameValue
	}
	n := 0
	for i := range max(len(theirs), len(ours)) {
		if i >= len(theirs) || i >= len(ours) || !same(theirs[i], ours[i]) {
			n++
		}
	}
	return n
}
