package sensor

import (
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// reviewed reads a list of known differences: so many parts separated by tabs, the first of which is the path of a
// capture (with * and a closing **), the last the reason. Its keys are the lines.
func reviewed(t *testing.T, list string, parts int) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(list)
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
			t.Fatalf("%s:%d: want %d parts separated by tabs, the last of them the reason in words", list, i+1, parts)
		}
		out[line] = cells
	}
	return out
}

// excuse returns the line of the list that covers a capture.
func excuse(list map[string][]string, capture string) string {
	for line, cells := range list {
		if covers(cells[0], capture) {
			return line
		}
	}
	return ""
}

// excuseFrame returns the line that covers a field in one packet. Its second part is the field (with * or a closing **),
// its third the packets: numbers joined by commas, or *.
func excuseFrame(list map[string][]string, capture, field string, frame uint64) string {
	number := strconv.FormatUint(frame, 10)
	for line, cells := range list {
		if covers(cells[0], capture) && covers(cells[1], field) && (cells[2] == "*" || slices.Contains(strings.Split(cells[2], ","), number)) {
			return line
		}
	}
	return ""
}

// covers matches with * for one part of a path and ** for all that follows.
func covers(pattern, name string) bool {
	if open, all := strings.CutSuffix(pattern, "**"); all {
		return strings.HasPrefix(name, open)
	}
	match, _ := path.Match(pattern, name)
	return match
}
