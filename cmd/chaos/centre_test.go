package chaos

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/roje-ot/roje/cmd/chaos/rig"
	"github.com/roje-ot/roje/testdata/need"
)

const (
	collectors = 2
	operator   = "north"
)

// A centre is one of the collectors.
type centre struct {
	t       *testing.T
	hub     *rig.Namespace
	n       int
	program string
	url     string // of the database
	disk    string
	data    string
	stderr  *os.File
	proc    *rig.Process
	serves  *atomic.Bool // in this life
	full    bool         // its disk is
	away    bool         // it was killed
}

func newCentre(t *testing.T, hub *rig.Namespace, n int, program, url string) *centre {
	dir := t.TempDir()
	c := &centre{t: t, hub: hub, n: n, program: program, url: url, disk: filepath.Join(dir, "disk")}
	c.data = filepath.Join(c.disk, "data")
	mount(t, c.disk, "32m")
	var err error
	if c.stderr, err = os.Create(filepath.Join(dir, "stderr")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.stderr.Close() })
	return c
}

// start starts the collector and returns a channel that is closed when it serves, or its output ends.
func (c *centre) start() <-chan struct{} {
	cmd := exec.Command(c.program, "serve", "--data", c.data, "--store", c.url, "--operator", operator,
		"--console", fmt.Sprintf("127.0.0.1:%d", 8470+c.n), "--ingest", ingestAt(c.n))
	cmd.Stderr = c.stderr
	c.proc, c.serves = c.hub.Start(cmd), new(atomic.Bool)
	listens := make(chan struct{})
	go func(p *rig.Process, serves *atomic.Bool) {
		said := false
		for p.Out.Scan() {
			if strings.HasPrefix(p.Out.Text(), "ingest ") && !said {
				said = true
				serves.Store(true)
				close(listens)
			}
		}
		if !said {
			close(listens)
		}
	}(c.proc, c.serves)
	return listens
}

// back starts a collector that was killed.
func (c *centre) back() {
	if c.away {
		c.away = false
		c.start()
	}
}

// free makes room on its disk.
func (c *centre) free() {
	if err := free(c.disk); err != nil {
		c.t.Fatal(err)
	}
	c.full = false
}

// look starts the collector again where it has ended by itself, which it may only at its start, while the database or
// the room on its disk is missing.
func (c *centre) look() {
	select {
	case <-c.proc.Ended():
	default:
		return
	}
	if c.away {
		return
	}
	if err := c.proc.Wait(); c.serves.Load() {
		c.t.Errorf("collector %d has ended while it served: %v\n%s", c.n, err, c.tail())
	}
	c.start()
}

func (c *centre) tail() string {
	text, _ := os.ReadFile(c.stderr.Name())
	return string(text[max(0, len(text)-2000):])
}

// run runs a command of the collector's program over its folder.
func (c *centre) run(args ...string) (string, error) {
	cmd := exec.Command(c.program, append(args, "--data", c.data)...)
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// token makes a token for a sensor.
func (c *centre) token() string {
	out, err := c.run("token")
	if err != nil {
		c.t.Fatalf("token: %v\n%s", err, out)
	}
	return out
}

// database makes the cluster on a disk that can be filled.
func database(t *testing.T) (pg *need.Cluster, disk string) {
	disk, err := os.MkdirTemp("", "roje-chaos-") // not t.TempDir: the server's user must reach it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(disk) })
	mount(t, disk, "512m")
	if err := os.Chmod(disk, 0o755); err != nil {
		t.Fatal(err)
	}
	before, had := os.LookupEnv("TMPDIR")
	os.Setenv("TMPDIR", disk) // for the cluster's folder, and nothing else
	defer func() {
		if had {
			os.Setenv("TMPDIR", before)
		} else {
			os.Unsetenv("TMPDIR")
		}
	}()
	return need.Postgres(t, "max_wal_size = '64MB'", "min_wal_size = '32MB'"), disk
}
