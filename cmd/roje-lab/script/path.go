package script

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"time"

	"github.com/roje-ot/roje/cmd/roje-lab/simnet"
)

// A Path is the way between the dispatch centre and its third station, recorded by two taps: near the centre, amid its
// other work, and far, beside the station. The centre switches a protection off and on, twelve times.
type Path struct {
	Start time.Time
	Turns int           // which of the commands a host on the way turns into its opposite, and its answers back; 0: none
	Ahead time.Duration // of the far tap's clock
	Lost  int           // the far tap loses one frame of so many; 0: none
}

// Captures of a Path.
const (
	NearFile = "near.pcap"
	FarFile  = "far.pcap"
)

// Make writes what the two taps saw into dir.
func (p Path) Make(dir string, seed uint64) error {
	if p.Lost < 0 || p.Turns < 0 || p.Turns > switchings {
		return fmt.Errorf("one frame lost of %d, command %d turned: give 0 or more, and one of the %d commands or 0", p.Lost, p.Turns, switchings)
	}
	var taps [2]*recording
	for i, name := range []string{NearFile, FarFile} {
		r, err := record(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		taps[i] = r
	}
	s := virtual(p.Start.Add(-joined), seed, brisk, func(at time.Time, b []byte) {
		if !at.Before(p.Start) {
			taps[0].frame(at, b)
		}
	})
	loss := rand.New(rand.NewPCG(seed, 0x6c6f7373))
	s.net.Watch(&simnet.Span{Beyond: s.lan("rtu-3"), Change: turn(p.Turns), Tap: func(at time.Time, b []byte) {
		if !at.Before(p.Start) && (p.Lost == 0 || loss.IntN(p.Lost) > 0) {
			taps[1].frame(at.Add(p.Ahead), b)
		}
	}})
	s.Normal(shift)
	s.after("scada-a", joined+5*time.Second, func() { switchProtection(s) })
	s.net.Run(p.Start.Add(time.Minute))
	return errors.Join(append(s.Failures(), taps[0].close(), taps[1].close())...)
}

// turn turns the nth single command of those that go by, and what the station says to it, into its opposite (IEC 60870-5-101,
// 7.3.2.1: the first bit of the element).
func turn(nth int) func(toward bool, data []byte) []byte {
	const start, command, activation, element = 0x68, 45, 6, 15
	gone := 0
	return func(toward bool, data []byte) []byte {
		for b := data; len(b) > element && b[0] == start && int(b[1])+2 <= len(b); b = b[int(b[1])+2:] {
			if b[6] != command || int(b[1]) < element-1 {
				continue
			}
			if toward && b[8]&0x3f == activation {
				gone++
			}
			if gone == nth {
				b[element] ^= 1
			}
		}
		return data
	}
}
