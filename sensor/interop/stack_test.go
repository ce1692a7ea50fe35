package interop

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A record is what one end of a stack says of one message or one value in it. Its "set" says which report it is of; the
// other members are compared with ours, all of them.
type record map[string]any

// line is the record without its set, in one order: equal records have equal lines.
func (r record) line() string {
	rest := record{}
	for k, v := range r {
		if k != "set" {
			rest[k] = v
		}
	}
	b, err := json.Marshal(rest)
	if err != nil {
		panic(err) // made of JSON
	}
	return string(b)
}

// values counts what there is to compare in v.
func values(v any) int {
	switch v := v.(type) {
	case record:
		return values(map[string]any(v)) - values(v["set"])
	case map[string]any:
		n := 0
		for _, e := range v {
			n += values(e)
		}
		return n
	case []any:
		n := 0
		for _, e := range v {
			n += values(e)
		}
		return n
	case nil:
		return 0
	}
	return 1
}

// views say, by set, what a stack should report of each message of ours in turn.
type views map[string]func(*said) []record

// A stack is a real implementation of a protocol, and how its reports are read.
type stack struct {
	name  string
	port  uint16   // registered port of its protocol
	argv  []string // runs both ends; the server's port and the port that the client calls are appended
	ours  func() views
	least int // values that must have been compared; fewer means that the stack fell silent
}

// run runs both ends of s against each other, and compares what they say with what we decoded.
func (s *stack) run(t *testing.T) {
	t.Helper()
	port := freePort(t)
	r := newRelay(t, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.argv[0], append(slices.Clone(s.argv[1:]), strconv.Itoa(port), strconv.Itoa(r.port()))...)
	cmd.Env = append(os.Environ(), "TZ=UTC") // what a stack shows as local time
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	r.close()
	if keep := os.Getenv("ROJE_INTEROP_KEEP"); keep != "" { // a folder, to look at what a stack reports
		if err := os.WriteFile(keep+"/"+s.name+".jsonl", out, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err != nil {
		t.Fatalf("%s: %v\n%s\n%s", s.name, err, &stderr, tail(out))
	}
	s.compareAll(t, r, read(t, out))
}

// compareAll compares what a stack says with what we decode of the relayed bytes, however they are put into packets.
func (s *stack) compareAll(t *testing.T, r *relay, theirs []record) {
	t.Helper()
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) { s.compare(t, theirs, r.play(t, w, s.port)) })
	}
}

func tail(b []byte) []byte { return b[max(0, len(b)-2000):] }

// freePort is a port of loopback that nothing listened on just now. It is below those that the kernel gives to whoever
// calls out meanwhile.
func freePort(t *testing.T) int {
	t.Helper()
	for range 100 {
		port := 12000 + rand.IntN(20000)
		if l, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no port of loopback is free")
	return 0
}

// read takes the JSON lines out of a script's output; what else a stack prints is left out.
func read(t *testing.T, out []byte) []record {
	t.Helper()
	var list []record
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if !bytes.HasPrefix(lines.Bytes(), []byte(`{"`)) {
			continue
		}
		var r record
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatalf("%v in %s", err, lines.Bytes())
		}
		list = append(list, r)
	}
	return list
}

// compare holds every record of every set against ours, as bags: how often each was said.
func (s *stack) compare(t *testing.T, theirs []record, messages []said) {
	known, views := differences(t, s.name), s.ours()
	bags := map[string]map[string]int{} // by set and line: times they said it, less the times we did
	count, sets := 0, map[string]int{}
	add := func(r record, set string, n int) {
		if bags[set] == nil {
			bags[set] = map[string]int{}
		}
		bags[set][r.line()] += n
	}
	for _, r := range theirs {
		set, _ := r["set"].(string)
		if views[set] == nil {
			t.Fatalf("the script reports a set %q that nothing is compared with", set)
		}
		add(r, set, 1)
		count += values(r)
		sets[set]++
	}
	for set, ours := range views {
		for i := range messages {
			for _, r := range ours(&messages[i]) {
				add(normal(t, r), set, -1)
			}
		}
		if sets[set] == 0 {
			t.Errorf("%s: no record of set %q", s.name, set)
		}
	}
	wrong := 0
	for set, bag := range bags {
		for line, n := range bag {
			side := "theirs"
			if n < 0 {
				side = "ours"
			}
			if n == 0 || known.excuse(set, side, line) {
				continue
			}
			if wrong++; wrong <= 40 {
				t.Errorf("%s %s: %d more in %s: %s", s.name, set, max(n, -n), side, line)
			}
		}
	}
	if wrong > 0 {
		t.Errorf("%s: %d records differ", s.name, wrong)
	}
	for _, d := range known {
		if !d.used {
			t.Errorf("differences.txt: nothing was excused by %s", d.line)
		}
	}
	if count < s.least {
		t.Errorf("%s: %d values compared, want at least %d", s.name, count, s.least)
	}
	t.Logf("%s: %d messages; %d values in %d records of %v agree or are explained", s.name, len(messages), count, len(theirs), sets)
}

// normal gives r the types that JSON has.
func normal(t *testing.T, r record) record {
	t.Helper()
	var out record
	if err := json.Unmarshal([]byte(r.line()), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// A difference is a line of testdata/differences.txt: records that only one side has, and why.
type difference struct {
	set, side string
	pattern   *regexp.Regexp
	line      string
	used      bool // or need not be
}

type differenceList []*difference

func (l differenceList) excuse(set, side, line string) bool {
	for _, d := range l {
		if d.set == set && d.side == side && d.pattern.MatchString(line) {
			d.used = true
			return true
		}
	}
	return false
}

// differences reads those of one stack: its name, set, "theirs" or "ours" (with a ? if it does not happen in each run), a
// regular expression, the reason; by tabs.
func differences(t *testing.T, name string) differenceList {
	t.Helper()
	text, err := os.ReadFile("testdata/differences.txt")
	if err != nil {
		t.Fatal(err)
	}
	var list differenceList
	for n, line := range strings.Split(string(text), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		cells := strings.Split(line, "\t")
		if len(cells) != 5 || len(cells[4]) < 10 {
			t.Fatalf("differences.txt:%d: want stack, set, side, pattern and reason, separated by tabs", n+1)
		}
		pattern, err := regexp.Compile(cells[3])
		if err != nil {
			t.Fatal(fmt.Errorf("differences.txt:%d: %w", n+1, err))
		}
		if ok, err := path.Match(cells[0], name); err != nil {
			t.Fatal(err)
		} else if ok {
			side, rare := strings.CutSuffix(cells[2], "?")
			list = append(list, &difference{set: cells[1], side: side, pattern: pattern, line: line, used: rare})
		}
	}
	return list
}
