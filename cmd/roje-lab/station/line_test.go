package station

import (
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// wall is the clock of a synctest bubble.
type wall struct{}

func (wall) Now() time.Time        { return time.Now() }
func (wall) Sleep(d time.Duration) { time.Sleep(d) }

// lines splits at '\n'.
func lines(b []byte) (int, error) {
	if len(b) > 0 && b[0] == '!' {
		return 0, errors.New("broken")
	}
	return slices.Index(b, '\n') + 1, nil
}

func TestFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		l := &Line{Conn: near, Clock: wall{}}
		go func() {
			for _, part := range []string{"on", "e\ntw", "o\nthree\n", "!"} {
				time.Sleep(time.Second)
				far.Write([]byte(part))
			}
		}()
		for _, want := range []string{"one\n", "two\n", "three\n"} {
			if got, err := l.Frame(lines, By(time.Time{})); err != nil || string(got) != want {
				t.Errorf("got %q, %v; want %q", got, err, want)
			}
		}
		if _, err := l.Frame(lines, By(time.Time{})); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("a broken frame gives %v", err)
		}
	})
}

// TestAgenda holds that jobs run in order of their times, between frames, and that a job's own reading starts no other.
func TestAgenda(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, _ := net.Pipe()
		l := &Line{Conn: near, Clock: wall{}}
		begin := time.Now()
		var did []string
		note := func(what string) Job {
			return func() error { did = append(did, what+"@"+time.Since(begin).String()); return nil }
		}
		l.At(begin.Add(3*time.Second), note("c"))
		l.At(begin.Add(time.Second), func() error {
			_, err := l.Frame(lines, By(time.Now().Add(5*time.Second))) // waits past b
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				return err
			}
			return note("a")()
		})
		l.At(begin.Add(2*time.Second), note("b"))
		l.Every(begin.Add(7*time.Second), 2*time.Second, note("e"))
		go func() {
			time.Sleep(8 * time.Second)
			l.At(time.Now(), note("now"))
		}()
		if err := l.Idle(begin.Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		want := []string{"a@6s", "b@6s", "c@6s", "e@7s", "now@8s", "e@9s"}
		if !slices.Equal(did, want) {
			t.Errorf("did %v\nwant %v", did, want)
		}
	})
}

func TestJobEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, _ := net.Pipe()
		l := &Line{Conn: near, Clock: wall{}}
		enough := errors.New("enough")
		l.At(time.Now().Add(time.Second), func() error { return enough })
		if _, err := l.Frame(lines, By(time.Time{})); !errors.Is(err, enough) {
			t.Errorf("got %v, want the job's error", err)
		}
	})
}

// TestDeadlineMoves holds that a read asks again for its deadline after a job, which may have brought it nearer.
func TestDeadlineMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, _ := net.Pipe()
		l := &Line{Conn: near, Clock: wall{}}
		begin := time.Now()
		until := begin.Add(time.Hour)
		l.At(begin.Add(time.Second), func() error { until = begin.Add(3 * time.Second); return nil })
		_, err := l.Frame(lines, func() time.Time { return until })
		if took := time.Since(begin); !errors.Is(err, os.ErrDeadlineExceeded) || took != 3*time.Second {
			t.Errorf("got %v after %v, want the deadline after 3s", err, took)
		}
	})
}
