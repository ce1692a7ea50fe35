package verify

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"

	"github.com/roje-ot/roje/sensor/capture"
	"github.com/roje-ot/roje/sensor/capture/filter"
	"github.com/roje-ot/roje/sensor/capture/ring"
	"github.com/roje-ot/roje/sensor/passive"
)

// sealedHere says that this process is the sealed one.
var sealedHere bool

// Attempt is the sealed process: it opens the port as the sensor does, gives up its rights, and then tries each way of
// sending whose name comes on in, and says on out what it was told. It reads its ring all the while.
func Attempt(port string, in io.Reader, out io.Writer) error {
	iface, err := net.InterfaceByName(port)
	if err != nil {
		return err
	}
	f, err := filter.Load(filter.Config{TCP: []uint16{502}, UDP: []uint16{502}})
	if err != nil {
		return err
	}
	defer f.Close()
	r, err := ring.Open(ring.Config{Interface: port, Filter: f, Blocks: 8, BlockSize: 1 << 16})
	if err != nil {
		return err
	}
	if err := passive.Seal(); err != nil {
		return err
	}
	sealedHere = true
	ended, stopped := make(chan struct{}), make(chan error, 1)
	go func() { stopped <- drain(r, ended) }()
	fmt.Fprintln(out, "ready")
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if err := Send(lines.Text(), iface); err != nil {
			fmt.Fprintln(out, err)
		} else {
			fmt.Fprintln(out)
		}
	}
	close(ended)
	return errors.Join(lines.Err(), <-stopped, r.Close())
}

func drain(r *ring.Ring, ended chan struct{}) error {
	var p capture.Packet
	for {
		select {
		case <-ended:
			return nil
		default:
		}
		if err := r.Next(&p); err != nil && !errors.Is(err, capture.ErrIdle) {
			return err
		}
	}
}

// A child is the sealed process as its parent sees it.
type child struct {
	cmd  *exec.Cmd
	to   io.WriteCloser
	from *bufio.Scanner
}

// startAttempt starts the sealed process in the calling thread's namespace.
func startAttempt(ctx context.Context, command []string, port string) (*child, error) {
	if len(command) == 0 {
		return nil, errors.New("no command for the sealed process")
	}
	cmd := exec.CommandContext(ctx, command[0], append(slices.Clone(command[1:]), port)...)
	cmd.Stderr = os.Stderr
	to, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	from, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &child{cmd, to, bufio.NewScanner(from)}
	if !c.from.Scan() || c.from.Text() != "ready" {
		return nil, errors.Join(fmt.Errorf("the sealed process did not get ready: %q", c.from.Text()), c.close())
	}
	return c, nil
}

// try has the process try one way, and returns what it was told.
func (c *child) try(s *sender) error {
	if _, err := fmt.Fprintln(c.to, s.name); err != nil {
		return err
	}
	if !c.from.Scan() {
		return errors.New("the sealed process has ended")
	}
	if text := c.from.Text(); text != "" {
		return errors.New(text)
	}
	return nil
}

func (c *child) close() error {
	c.to.Close()
	return c.cmd.Wait()
}
