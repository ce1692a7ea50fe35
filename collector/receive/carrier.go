package receive

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/rules/batch/fec"
)

// A Carrier brings envelopes until its context ends.
type Carrier func(ctx context.Context, r *Receiver) error

// Run takes what the carriers bring until ctx ends or a carrier fails. What was brought by then is committed.
func (r *Receiver) Run(ctx context.Context, carriers ...Carrier) error {
	carrying, stop := context.WithCancel(ctx)
	defer stop()
	var bringing, others sync.WaitGroup
	errs := make([]error, len(carriers))
	for i, bring := range carriers {
		bringing.Go(func() {
			if err := bring(carrying, r); err != nil && carrying.Err() == nil {
				errs[i] = err
				stop()
			}
		})
	}
	finishing, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	context.AfterFunc(carrying, func() { time.AfterFunc(lastWait, giveUp) })
	others.Go(func() { r.intake(finishing) })
	others.Go(func() { r.look(carrying) })
	bringing.Wait()
	stop()
	close(r.jobs)
	others.Wait()
	return errors.Join(errs...)
}

// lastWait is how long a store that takes nothing holds up the end.
const lastWait = 10 * time.Second

// rcvbuf is what the socket should hold: a second and more of a fast link, while the store commits.
const rcvbuf = 8 << 20

// UDP listens for datagrams of package fec on an address. bound, if not nil, is told the address that was bound.
func UDP(address string, bound func(net.Addr)) Carrier {
	return func(ctx context.Context, r *Receiver) error {
		pc, err := (&net.ListenConfig{}).ListenPacket(ctx, "udp", address)
		if err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		conn := pc.(*net.UDPConn)
		defer context.AfterFunc(ctx, func() { conn.Close() })()
		defer conn.Close()
		if err := conn.SetReadBuffer(rcvbuf); err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		if bound != nil {
			bound(conn.LocalAddr())
		}
		a, b := fec.NewAssembler(0), make([]byte, fec.MaxDatagram+1)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(b)
			if err != nil {
				return fmt.Errorf("receive: %w", err)
			}
			raw, err := a.Add(b[:n])
			r.Abandoned.Store(a.Abandoned)
			if err != nil {
				r.Damaged.Add(1)
				continue
			}
			r.Datagrams.Add(1)
			if raw != nil {
				if err := r.hand(ctx, job{raw: raw, from: "udp " + from.String()}); err != nil {
					return err
				}
			}
		}
	}
}

// mostStreams is how many TCP connections are read at a time: a diode's proxy makes one.
const mostStreams = 16

// TCP listens for streams of envelopes on an address. It never writes.
func TCP(address string, bound func(net.Addr)) Carrier {
	return func(ctx context.Context, r *Receiver) error {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		if err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		var streams sync.WaitGroup
		defer streams.Wait()
		defer context.AfterFunc(ctx, func() { l.Close() })()
		defer l.Close()
		if bound != nil {
			bound(l.Addr())
		}
		room := make(chan struct{}, mostStreams)
		for {
			conn, err := l.Accept()
			if err != nil {
				return fmt.Errorf("receive: %w", err)
			}
			select {
			case room <- struct{}{}:
				streams.Go(func() { r.stream(ctx, conn); <-room })
			default:
				conn.Close()
			}
		}
	}
}

// stream reads one connection to its end.
func (r *Receiver) stream(ctx context.Context, conn net.Conn) {
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	defer conn.Close()
	from := "tcp " + conn.RemoteAddr().String()
	r.Log.Info("a stream begins", "from", from)
	in := bufio.NewReaderSize(conn, 64<<10)
	for {
		raw, err := batch.Read(in)
		if err == nil {
			err = r.hand(ctx, job{raw: raw, from: from})
		}
		if err != nil {
			if ctx.Err() == nil && !errors.Is(err, io.EOF) {
				r.Log.Warn("a stream broke", "from", from, "err", err)
			}
			return
		}
	}
}

// scanEvery is how often a folder is looked into.
const scanEvery = time.Second

// suffix is how the files are called that Files takes; those that it refuses get the second one beside it.
const (
	suffix  = ".batch"
	refused = ".refused"
)

// Files takes the files *.batch of a folder, each one envelope or several, and removes each once it is committed. One
// that is refused gets the ending .refused. Where the folder cannot be written, files stay and are taken once.
func Files(dir string) Carrier {
	return func(ctx context.Context, r *Receiver) error {
		if _, err := os.ReadDir(dir); err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		taken := map[string]time.Time{} // files that could not be removed, with their times
		tick := time.NewTicker(scanEvery)
		defer tick.Stop()
		for {
			if err := r.scan(ctx, dir, taken); err != nil && ctx.Err() == nil {
				r.Log.Error("folder is not read", "folder", dir, "err", err)
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

// scan takes what is in the folder, the oldest first.
func (r *Receiver) scan(ctx context.Context, dir string, taken map[string]time.Time) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	type file struct {
		name string
		at   time.Time
	}
	var files []file
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || !strings.HasSuffix(e.Name(), suffix) || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if was, ok := taken[e.Name()]; !ok || !was.Equal(info.ModTime()) {
			files = append(files, file{e.Name(), info.ModTime()})
		}
	}
	slices.SortStableFunc(files, func(a, b file) int { return a.at.Compare(b.at) })
	for _, f := range files {
		path := filepath.Join(dir, f.name)
		err := r.file(ctx, path)
		switch {
		case err == nil:
			err = os.Remove(path)
		case errors.Is(err, errRefused):
			err = os.Rename(path, path+refused)
		default:
			return err
		}
		if err != nil {
			r.Log.Warn("a file that was taken stays", "file", path, "err", err)
			taken[f.name] = f.at
		}
	}
	return nil
}

// mostFile is how much of a file is read.
const mostFile = int64(4 * batch.MaxEnvelope)

// file takes one file: nil says that everything in it is committed.
func (r *Receiver) file(ctx context.Context, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, mostFile))
	if err != nil {
		return err
	}
	in := bytes.NewReader(text)
	for in.Len() > 0 {
		raw, err := batch.Read(in)
		j := job{raw: raw, from: "file " + filepath.Base(path), answer: make(chan error, 1)}
		if err != nil {
			err = fmt.Errorf("%w: %w", errRefused, err)
			r.done(job{from: j.from}, err)
			return err
		}
		if err := r.hand(ctx, j); err != nil {
			return err
		}
		if err := <-j.answer; err != nil {
			return err
		}
	}
	return nil
}
