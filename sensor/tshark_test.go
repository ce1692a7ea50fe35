package sensor

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// helpers are fields that are compared with nothing, but say which values of others belong together.
var helpers = []string{"dnp3.tr.fin", "dnp3.al.obj", "dnp3.al.index", "dnp3.al.timestamp", "modbus.func_code"}

func fieldsOf(columns []column) (names []string) {
	for _, c := range columns {
		names = append(names, c.field)
	}
	return names
}

// askTshark runs tshark once over a capture, for the columns' fields in every packet of our protocols.
func askTshark(tshark, path string) (perFrame, error) {
	args := []string{"-n", "-r", path, "-Y", "modbus || mbtcp || mbudp || dnp3 || iec60870_104", "-T", "fields", "-E", "separator=/t", "-E", "occurrence=a", "-E", "aggregator=|", "-e", "frame.number"}
	index := map[string]int{}
	for _, f := range append(fieldsOf(columns), helpers...) {
		if _, twice := index[f]; !twice {
			index[f] = len(index) + 1 // behind the packet's number
			args = append(args, "-e", f)
		}
	}
	cmd := exec.Command(tshark, args...)
	cmd.Env = append(os.Environ(), "TZ=UTC", "LC_ALL=C")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, err
	}
	frames := perFrame{}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		cells := strings.Split(lines.Text(), "\t")
		frame, err := strconv.ParseUint(cells[0], 10, 64)
		if err != nil || len(cells) != len(index)+1 {
			return nil, fmt.Errorf("tshark printed %q", lines.Text())
		}
		get := func(field string) []string {
			if cell := cells[index[field]]; cell != "" {
				return strings.Split(cell, "|")
			}
			return nil
		}
		row := make([][]string, len(columns))
		for i := range columns {
			c := &columns[i]
			if row[i] = get(c.field); c.theirs == nil {
				continue
			}
			list, ok := c.theirs(get)
			if row[i] = list; !ok {
				row[i] = unknown
			}
		}
		frames[frame] = row
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	// tshark fails on a capture that is cut short, after it has printed what it could read.
	_ = cmd.Wait()
	return frames, nil
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
	at, err := time.Parse(tsharkTime, theirs)
	return err == nil && at.Format(timeForm) == ours
}

// tsharkTime is how tshark prints an absolute time.
const tsharkTime = "Jan _2, 2006 15:04:05.000000000 MST"

const timeForm = "2006-01-02T15:04:05.000"
