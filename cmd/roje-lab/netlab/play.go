package netlab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/roje-ot/roje/cmd/roje-lab/script"
)

// Config says what is played. The zero value is normal work at a brisk pace.
type Config struct {
	Pace    time.Duration // the shortest poll period; 0 is 2 s
	Settle  time.Duration // normal work before the first act
	Acts    []string      // played one after the other
	Between time.Duration // pause after each act
	Log     io.Writer     // one line per act; nil is none
}

// Play lets everybody in w work, and plays the acts, until they are over and the context ends. With acts, it returns when
// the last one is over; without, when ctx ends. What was performed is returned in both cases.
func Play(ctx context.Context, w *World, c Config) ([]script.Performed, error) {
	if c.Pace == 0 {
		c.Pace = 2 * time.Second
	}
	if c.Log == nil {
		c.Log = io.Discard
	}
	var acts []script.Act
	for _, name := range c.Acts {
		a, ok := script.Named(name)
		if !ok {
			return nil, fmt.Errorf("no act is called %q; roje-lab acts lists them", name)
		}
		if a.Virtual {
			return nil, fmt.Errorf("act %q needs frames that a socket cannot send; it is in testdata", name)
		}
		acts = append(acts, a)
	}
	s := script.NewStage(w.Host, c.Pace)
	s.Normal(script.Plan{})
	over := make(chan struct{})
	director := w.Host("scada-a")
	director.Go(func() {
		defer close(over)
		director.Sleep(c.Settle)
		for _, a := range acts {
			fmt.Fprintf(c.Log, "%s act %s: %s\n", director.Now().Format(time.TimeOnly), a.Name, a.Title)
			s.Perform(a)
			director.Sleep(c.Between)
		}
		if len(acts) == 0 {
			<-ctx.Done()
		}
	})
	select {
	case <-over:
	case <-ctx.Done():
	}
	return s.Performed(), errors.Join(s.Failures()...)
}
