package oneway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/rules/batch/fec"
)

// A carrier takes envelopes to the far side, as far as this side can know. One goroutine uses it.
type carrier interface {
	// send returns when the whole envelope has left, or an error; then it is sent again.
	send(ctx context.Context, e *batch.Envelope) error
	close() error
	// repeats says whether what was sent may be lost without a word, so that it should be sent again.
	repeats() bool
}

func (c Config) carrier() (carrier, error) {
	switch {
	case c.UDP != "":
		return &udp{address: c.UDP, parity: c.Parity, pace: pace{bits: c.RateKbit * 1000}}, nil
	case c.TCP != "":
		return &tcp{address: c.TCP, pace: pace{bits: c.RateKbit * 1000}}, nil
	}
	if err := os.MkdirAll(c.Files, 0o750); err != nil {
		return nil, err
	}
	return files{c.Files}, nil
}

// A pace holds what is sent to a rate. After a pause it allows no burst but for what 5 ms would have been.
type pace struct {
	bits float64 // per second
	due  time.Time
}

const slack = 5 * time.Millisecond

// wait returns when n more bytes may be sent.
func (p *pace) wait(ctx context.Context, n int) error {
	now := time.Now()
	if now.Sub(p.due) > slack {
		p.due = now.Add(-slack)
	}
	if early := p.due.Sub(now); early > 0 {
		t := time.NewTimer(early)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	p.due = p.due.Add(time.Duration(float64(n) * 8 / p.bits * float64(time.Second)))
	return nil
}

// udp sends datagrams. The socket is never read from.
type udp struct {
	address string
	parity  float64
	pace    pace
	conn    net.Conn
}

// underUDP is what IPv4 and UDP add to a datagram.
const underUDP = 28

func (u *udp) send(ctx context.Context, e *batch.Envelope) error {
	if u.conn == nil {
		conn, err := (&net.Dialer{}).DialContext(ctx, "udp", u.address)
		if err != nil {
			return err
		}
		u.conn = conn
	}
	datagrams, err := fec.Split(e.Bytes, u.parity)
	if err != nil {
		return err
	}
	for d := range datagrams {
		if err := u.pace.wait(ctx, len(d)+underUDP); err != nil {
			return err
		}
		if _, err := u.conn.Write(d); err != nil {
			return errors.Join(err, u.close()) // a new socket finds a new route, or a new address
		}
	}
	return nil
}

func (u *udp) repeats() bool { return true }

func (u *udp) close() error {
	if u.conn == nil {
		return nil
	}
	err := u.conn.Close()
	u.conn = nil
	return err
}

// tcp writes envelopes one after another and never reads. An envelope has left when the other end's kernel has
// acknowledged it: a broken connection is seen, what was behind it is not.
type tcp struct {
	address string
	pace    pace
	conn    *net.TCPConn
}

const (
	piece     = 4 << 10          // bytes that are written between two looks at the pace
	tcpStalls = 90 * time.Second // without an acknowledgement: the connection is given up
)

func (t *tcp) send(ctx context.Context, e *batch.Envelope) error {
	err := t.try(ctx, e)
	if err != nil {
		err = errors.Join(err, t.close())
	}
	return err
}

func (t *tcp) try(ctx context.Context, e *batch.Envelope) error {
	if t.conn == nil {
		conn, err := (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext(ctx, "tcp", t.address)
		if err != nil {
			return err
		}
		t.conn = conn.(*net.TCPConn)
	}
	for rest := e.Bytes; len(rest) > 0; {
		n := min(piece, len(rest))
		if err := t.pace.wait(ctx, n); err != nil {
			return err
		}
		if err := t.conn.SetWriteDeadline(time.Now().Add(tcpStalls)); err != nil {
			return err
		}
		if _, err := t.conn.Write(rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return t.settled(ctx)
}

// settled waits until the kernel holds nothing that was not acknowledged.
func (t *tcp) settled(ctx context.Context) error {
	raw, err := t.conn.SyscallConn()
	if err != nil {
		return err
	}
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for end := time.Now().Add(tcpStalls); time.Now().Before(end); {
		var waiting, broken int
		var failed error
		err := raw.Control(func(fd uintptr) {
			var e error
			waiting, failed = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
			broken, e = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
			failed = errors.Join(failed, e)
		})
		switch {
		case err != nil || failed != nil:
			return errors.Join(err, failed)
		case broken != 0:
			return unix.Errno(broken)
		case waiting == 0:
			return nil
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return fmt.Errorf("%s acknowledges nothing", t.address)
}

func (t *tcp) repeats() bool { return false }

func (t *tcp) close() error {
	if t.conn == nil {
		return nil
	}
	err := t.conn.Close()
	t.conn = nil
	return err
}

// files drops envelopes into a folder.
type files struct{ dir string }

func (f files) send(_ context.Context, e *batch.Envelope) error {
	return writeFile(f.dir, dropName(e), e.Bytes)
}

func (f files) repeats() bool { return false }

func (f files) close() error { return nil }
