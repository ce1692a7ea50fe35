package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"

	"github.com/roje-ot/roje/sensor/capture"
	"github.com/roje-ot/roje/sensor/capture/bench/frames"
	"github.com/roje-ot/roje/sensor/capture/filter"
	"github.com/roje-ot/roje/sensor/capture/ring"
)

const (
	flood     = 10_000_000 // frames that arrive without a pause, to see what is lost
	numbering = "numbers"  // the reader that looks at their numbers
)

// A sum is what the reader that looks at numbers says: what it has read, and what filter and ring have counted. Frames
// that were lost are known twice, by the numbers that are missing and by what was kept and not read.
type sum struct {
	Read, Missing, Next uint64
	Seen, Kept, Other   uint64
	Waiting             uint64
}

const sumForm = "numbers: read %d missing %d next %d seen %d kept %d other %d waiting %d"

// number is that reader's process.
func number() error {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt)
	f, err := filter.Load(filter.Config{UDP: []uint16{frames.Port}})
	if err != nil {
		return err
	}
	defer f.Close()
	r, err := ring.Open(ring.Config{Interface: span, Filter: f})
	if err != nil {
		return err
	}
	defer r.Close()
	fmt.Fprintln(os.Stderr, "ready")
	var s sum
	var p capture.Packet
	for stopping := false; !stopping || r.Waiting() > 0; {
		err := r.Next(&p)
		if errors.Is(err, capture.ErrIdle) {
			select {
			case <-stop:
				stopping = true
			default:
			}
			continue
		}
		if err != nil {
			return err
		}
		n := frames.Number(p.Data)
		s.Missing += n - s.Next
		s.Next = n + 1
	}
	counts, err := f.Counts()
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, sumForm+"\n", r.Read(), s.Missing, s.Next, counts.Seen, counts.Kept, counts.Other, r.Waiting())
	return nil
}

// endure lets frames arrive on one CPU at the greatest speed there is, with no pause for the reader on another, and has each
// looked for by its number. On a machine with other work to do the ring may overflow: then what is missing is what the ring's counts say,
// to the frame. Anything else is an error.
func endure(by way) error {
	source, err := arriving(1, by)
	if err != nil {
		return err
	}
	defer source.Close()
	if err := pin(one(last())); err != nil {
		return err
	}
	defer pin(allowed())
	p, err := run(numbering)
	if err != nil {
		return err
	}
	if err := pin(one(first())); err != nil {
		return err
	}
	defer p.cmd.Process.Kill()
	before, there := thread(), received()
	arrived, err := source.Send(flood)
	if err != nil {
		return err
	}
	took := thread() - before
	s, err := p.sum()
	if err != nil {
		return err
	}
	sent := arrived
	if by == driver {
		arrived = received() - there
	}
	missing := s.Missing + sent - s.Next
	fmt.Printf("%s: %d frames at %.2f million a second of the sender's time, %d read, %d numbers missing (%d of them lost before the filter, %d in the ring)\n",
		by, sent, float64(sent)/took*1e3, s.Read, missing, sent-arrived, s.Kept-s.Read)
	switch {
	case s.Seen != arrived || s.Seen != s.Kept+s.Other || s.Waiting != 0:
		return fmt.Errorf("%s: %d frames arrived, and the filter's counts do not add up to them: %+v", by, arrived, s)
	case missing != sent-arrived+s.Kept-s.Read:
		return fmt.Errorf("%s: %d numbers are missing, and the counts say otherwise: %+v", by, missing, s)
	}
	return nil
}

// sum ends the reader and returns what it says.
func (p *racer) sum() (s sum, err error) {
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		return s, err
	}
	err = errors.New("the reader says no sum")
	for p.out.Scan() {
		if _, e := fmt.Sscanf(p.out.Text(), sumForm, &s.Read, &s.Missing, &s.Next, &s.Seen, &s.Kept, &s.Other, &s.Waiting); e == nil {
			err = nil
		}
	}
	return s, errors.Join(err, p.cmd.Wait())
}
