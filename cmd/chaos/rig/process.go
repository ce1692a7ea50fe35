// Package rig is what tests of several processes stand on: processes that are killed, wires that are cut, and network
// namespaces that they live in. All of it ends with the test.
package rig

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// A Process is one that the test talks to by lines.
type Process struct {
	In  io.Writer
	Out *Lines // stays readable after the end: what the process said before is in it

	t     testing.TB
	cmd   *exec.Cmd
	ended chan struct{}
	err   error
}

// Start starts cmd, with its standard input and output at the test.
func Start(t testing.TB, cmd *exec.Cmd) *Process {
	t.Helper()
	p, err := start(t, cmd)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Start starts cmd in the namespace. It does not outlive the test, even if that is killed.
func (n *Namespace) Start(cmd *exec.Cmd) (p *Process) {
	n.t.Helper()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // at the end of the thread that starts it
	n.Do(func() (err error) {
		p, err = start(n.t, cmd)
		return err
	})
	return p
}

func start(t testing.TB, cmd *exec.Cmd) (*Process, error) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, said, err := os.Pipe() // not StdoutPipe, which Wait closes with lines in it
	if err != nil {
		return nil, err
	}
	cmd.Stdout = said
	err = cmd.Start()
	said.Close()
	if err != nil {
		out.Close()
		return nil, err
	}
	p := &Process{In: in, Out: readLines(out), t: t, cmd: cmd, ended: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.Kill()
		out.Close()
	})
	return p, nil
}

// Kill ends the process with SIGKILL and waits for its end.
func (p *Process) Kill() {
	p.cmd.Process.Kill()
	<-p.ended
}

// Stop asks the process to end, by SIGTERM, and waits until it has.
func (p *Process) Stop() error {
	p.cmd.Process.Signal(syscall.SIGTERM)
	return p.Wait()
}

// Wait waits for the process's own end.
func (p *Process) Wait() error {
	<-p.ended
	return p.err
}

// Ended is closed when the process has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Expect returns the next line that begins with prefix.
func (p *Process) Expect(prefix string) string {
	p.t.Helper()
	line, err := p.Out.until(prefix)
	if err != nil {
		p.t.Fatal(err)
	}
	return line
}

// Lines is a process's standard output, line by line.
type Lines struct {
	*bufio.Scanner
	Each func(line string) // called with each line that Expect reads
	seen []string
}

func readLines(r io.Reader) *Lines {
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, 1<<20)
	return &Lines{Scanner: sc}
}

// until returns the next line that begins with prefix, or an error when the output ends before one.
func (l *Lines) until(prefix string) (string, error) {
	for l.Scan() {
		if l.Each != nil {
			l.Each(l.Text())
		}
		if strings.HasPrefix(l.Text(), prefix) {
			return l.Text(), nil
		}
		if l.Each == nil {
			l.seen = append(l.seen, l.Text())
		}
	}
	return "", fmt.Errorf("the process ended without %q; it said %q, %v", prefix, l.seen, l.Err())
}
