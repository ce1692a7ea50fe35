package modbus

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// TestPlacesAreJudgedSeldom counts how often a place where a frame may begin is judged while bytes come one at a time:
// when it is new, with each byte of what could be its header, and when a frame that begins there would end. What many
// places in noise can cost is thereby a constant for each byte, whatever the noise is.
func TestPlacesAreJudgedSeldom(t *testing.T) {
	const most = 24 // judgements per byte
	r := rand.New(rand.NewPCG(3, 3))
	inputs := [][]byte{{0}, {0xff}, {0x15, 0xf0}, {0x17}, {0x10}, {0, 0, 0, 0, 0x04, 0x4c, 0, 0x5a}, {0, 0, 0, 0, 0, 0xfe}, {':', '0', '1'},
		{0xfa, 6, 0x17, 0x11, 0xda, 0x70, 8, 3}, random(r, 2048)}
	for range 300 {
		inputs = append(inputs, random(r, 1+r.IntN(24)))
	}
	worst := 0.0
	for _, unit := range inputs {
		b := bytes.Repeat(unit, 2048/len(unit)+1)[:2048]
		d := Protocol.New(ports).(*decoder)
		s := &d.streams[fromClient]
		judged := 0
		var held []byte
		for _, v := range b {
			held = append(held, v)
			for len(held) > 0 {
				if !s.trusted {
					for _, p := range s.open {
						if int(p.at)+int(p.wake) <= len(held) {
							judged++
						}
					}
				}
				judged += len(held) - s.seen
				skip, n := d.Split(fromClient, held, false)
				if held = held[skip+n:]; n == 0 {
					break
				}
			}
			held = bytes.Clone(held)
		}
		share := float64(judged) / float64(len(b))
		if worst = max(worst, share); share > most {
			t.Errorf("% x over and over: %.1f judgements per byte, want at most %d", unit, share, most)
		}
	}
	t.Logf("at most %.1f judgements per byte", worst)
}
