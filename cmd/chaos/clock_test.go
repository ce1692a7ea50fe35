package chaos

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roje-ot/roje/testdata/need"
)

// A clock is how a process's wall clock is wrong: at first, and after it has jumped.
type clock struct{ first, then, jump time.Duration }

// environment tells a program that was built with wrongClock of it.
func (c clock) environment() string {
	return fmt.Sprintf("%s=%d %d %d", clockVariable, int64(c.first/time.Second), int64(c.then/time.Second), int64(c.jump))
}

const clockVariable = "ROJE_CHAOS_CLOCK"

// shift is added to the Go library's package time.
const shift = `
var chaosFirst, chaosThen, chaosJump = chaosRead()

// chaosRead reads three numbers: seconds before the jump, seconds after it, nanoseconds of the process at which it is.
func chaosRead() (first, then, jump int64) {
	text, _ := syscall.Getenv("` + clockVariable + `")
	into := []*int64{&first, &then, &jump}
	sign := int64(1)
	for _, c := range []byte(text) {
		switch {
		case c == ' ':
			*into[0] *= sign
			into, sign = into[1:], 1
		case c == '-':
			sign = -1
		default:
			*into[0] = *into[0]*10 + int64(c-'0')
		}
	}
	*into[0] *= sign
	return first, then, jump
}

func chaosShift(mono int64) int64 {
	if mono-startNano < chaosJump {
		return chaosFirst
	}
	return chaosThen
}
`

// wrongClock writes what has "go build -overlay" make a program whose time.Now is as clockVariable says.
func wrongClock(t *testing.T, dir string) (overlay string) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(strings.TrimSpace(string(root)), "src", "time", "time.go")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const call = "sec, nsec, mono := runtimeNow()\n"
	before, now, found := strings.Cut(string(text), "\nfunc Now() Time {\n")
	if !found || !strings.HasPrefix(strings.TrimLeft(now, "\t"), call) || strings.Count(before, "\t_ \"unsafe\"") != 1 {
		t.Fatalf("%s is not as this test knows it: write wrongClock anew", path)
	}
	before = strings.Replace(before, "\t_ \"unsafe\"", "\t\"syscall\"\n\t_ \"unsafe\"", 1)
	now = strings.Replace(now, call, call+"\tsec += chaosShift(mono)\n", 1)
	changed := filepath.Join(dir, "time.go")
	listing, err := json.Marshal(map[string]map[string]string{"Replace": {path: changed}})
	if err != nil {
		t.Fatal(err)
	}
	overlay = filepath.Join(dir, "overlay.json")
	for name, text := range map[string]string{changed: before + "\nfunc Now() Time {\n" + now + shift, overlay: string(listing)} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return overlay
}

// programs are the real ones, and a sensor whose clock can be wrong.
type programs struct{ sensor, wrongSensor, collector string }

func build(t *testing.T) programs {
	dir := t.TempDir()
	p := programs{filepath.Join(dir, "roje-sensor"), filepath.Join(dir, "wrong"), filepath.Join(dir, "roje-collector")}
	for _, b := range [][]string{{"-o", dir + "/", "./cmd/roje-sensor", "./cmd/roje-collector"}, {"-overlay", wrongClock(t, dir), "-o", p.wrongSensor, "./cmd/roje-sensor"}} {
		cmd := exec.Command("go", append([]string{"build"}, b...)...)
		cmd.Dir, cmd.Env = need.Root(t), append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go build %v: %v\n%s", b, err, out)
		}
	}
	return p
}
