package demo

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A process is one that the demo started. What it writes to its standard error is kept for the case that it fails.
type process struct {
	name  string
	cmd   *exec.Cmd
	lines chan string // of its standard output
	last  tail
	ended chan struct{}
	err   error // once ended is closed
}

// start starts a program that runs on.
func (s *site) start(ctx context.Context, name string, args ...string) (*process, error) {
	p := &process{name: name, cmd: exec.Command(s.program(name), args...), lines: make(chan string, 64), ended: make(chan struct{})}
	p.cmd.Stderr = &p.last
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true} // Ctrl-C is for the demo to pass on
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	s.running = append(s.running, p)
	go p.follow(out)
	return p, ctx.Err()
}

func (p *process) follow(out io.Reader) {
	scan := bufio.NewScanner(out)
	for scan.Scan() {
		select {
		case p.lines <- scan.Text():
		default: // nobody reads on
		}
	}
	close(p.lines)
	p.err = p.cmd.Wait()
	close(p.ended)
}

// say returns the lines of standard output up to the first that starts with word.
func (p *process) say(ctx context.Context, word string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var lines []string
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				<-p.ended
				return lines, p.failure()
			}
			lines = append(lines, line)
			if strings.HasPrefix(line, word) {
				return lines, nil
			}
		case <-ctx.Done():
			return lines, fmt.Errorf("%s did not print %q: %w", p.name, word, ctx.Err())
		}
	}
}

// wait returns when the process has ended, or ctx does.
func (p *process) wait(ctx context.Context) error {
	select {
	case <-p.ended:
		if p.err != nil {
			return p.failure()
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *process) failure() error {
	return fmt.Errorf("%s: %v\n%s", p.name, p.err, p.last.text())
}

// stop asks the process to end, and ends it where it does not listen.
func (p *process) stop() error {
	select {
	case <-p.ended:
		return nil
	default:
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	select {
	case <-p.ended:
		return nil
	case <-time.After(patience):
		_ = p.cmd.Process.Kill()
		<-p.ended
		return fmt.Errorf("%s did not end within %v of being asked to", p.name, patience)
	}
}

// run runs a program to its end and returns its standard output.
func (s *site) run(ctx context.Context, stdin, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, s.program(name), args...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, diag bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &diag
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", name, args[0], err, diag.String())
	}
	return out.String(), nil
}

// logged returns when word has been written to standard error.
func (p *process) logged(ctx context.Context, word string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		grown := p.last.wait()
		if strings.Contains(p.last.text(), word) {
			return nil
		}
		select {
		case <-grown:
		case <-p.ended:
			return p.failure()
		case <-ctx.Done():
			return fmt.Errorf("%s did not log %q: %w\n%s", p.name, word, ctx.Err(), p.last.text())
		}
	}
}

// tail keeps the last bytes written to it.
type tail struct {
	mu    sync.Mutex
	b     []byte
	grown chan struct{} // closed at the next write
}

// Write implements io.Writer.
func (t *tail) Write(b []byte) (int, error) {
	const most = 4096
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, b...)
	if len(t.b) > most {
		t.b = t.b[len(t.b)-most:]
	}
	if t.grown != nil {
		close(t.grown)
		t.grown = nil
	}
	return len(b), nil
}

// wait returns a channel that is closed at the next write.
func (t *tail) wait() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.grown == nil {
		t.grown = make(chan struct{})
	}
	return t.grown
}

func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.b))
}
