// Command suite runs `go test` with the arguments it is given and says at the end which tests were skipped and why.
// It prints go test's own closing line for each package, and the output of what failed. Its exit code is go test's.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sort"
	"strings"
)

// event is one line of go test -json.
type event struct {
	Action, Package, Test, Output string
}

type run struct {
	output  map[string][]string // by package and test, until it has passed
	skipped map[string][]string // the reason, then the tests
	passed  int
	failed  int
}

func main() {
	cmd := exec.Command("go", append([]string{"test", "-json"}, os.Args[1:]...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "suite:", err)
		os.Exit(2)
	}
	r := run{output: map[string][]string{}, skipped: map[string][]string{}}
	r.read(out)
	err = cmd.Wait()
	r.report()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		os.Exit(exit.ExitCode())
	} else if err != nil {
		fmt.Fprintln(os.Stderr, "suite:", err)
		os.Exit(2)
	}
}

func (r *run) read(out io.Reader) {
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		var e event
		if json.Unmarshal([]byte(line), &e) == nil {
			r.take(e)
		} else if line != "" {
			fmt.Print(line)
		}
		if err != nil {
			return
		}
	}
}

func (r *run) take(e event) {
	key := e.Package + " " + e.Test
	switch {
	case e.Action == "output" && e.Test == "":
		if strings.HasPrefix(e.Output, "ok ") || strings.HasPrefix(e.Output, "FAIL") {
			fmt.Print(e.Output)
		} else {
			r.output[key] = append(r.output[key], e.Output)
		}
	case e.Action == "output" || e.Action == "build-output":
		r.output[key] = append(r.output[key], e.Output)
	case e.Action == "pass":
		r.count(&r.passed, e)
		delete(r.output, key)
	case e.Action == "skip" && e.Test != "":
		why := reason(r.output[key])
		r.skipped[why] = append(r.skipped[why], strings.TrimPrefix(e.Package, "github.com/roje-ot/roje/")+" "+e.Test)
		delete(r.output, key)
	case e.Action == "fail" || e.Action == "build-fail":
		r.count(&r.failed, e)
		fmt.Print(strings.Join(r.output[key], ""))
	}
}

func (r *run) count(n *int, e event) {
	if e.Test != "" && !strings.Contains(e.Test, "/") {
		*n++
	}
}

// reason is the line in which a test said why it skipped.
func reason(output []string) string {
	for _, line := range output {
		if _, why, ok := strings.Cut(line, ".go:"); ok {
			_, why, _ = strings.Cut(why, ": ")
			return strings.TrimSpace(why)
		}
	}
	return "no reason given"
}

func (r *run) report() {
	skips := 0
	var reasons []string
	for why, tests := range r.skipped {
		reasons = append(reasons, why)
		skips += len(tests)
	}
	sort.Strings(reasons)
	if skips > 0 {
		fmt.Println("\nskipped:")
	}
	for _, why := range reasons {
		fmt.Printf("  %s\n", why)
		for _, test := range r.skipped[why] {
			fmt.Printf("    %s\n", test)
		}
	}
	fmt.Printf("\ntests: %d passed, %d failed, %d skipped\n", r.passed, r.failed, skips)
}
