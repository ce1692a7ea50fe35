package dnp3

import (
	"bytes"
	"testing"

	"github.com/roje-ot/roje/protocols"
)

// TestNothingIsSearchedTwice: while a frame with a wrong header waits for the one that would bear it out, each byte is
// looked at for a header once, but for the few that a header may still begin in.
func TestNothingIsSearchedTwice(t *testing.T) {
	for _, unit := range [][]byte{{0x05, 0x64, 0xfe, 0x2b, 0xfa, 0x87}, {0x05, 0x64}, {0x05, 0x64, 0xff, 0, 0, 0, 0, 0, 0, 0, 0x05}, {0x05}} {
		d := newDecoder(protocols.Hint{})
		var held []byte
		waited := 0
		for _, v := range bytes.Repeat(unit, 2048/len(unit)) {
			held = append(held, v)
			for len(held) > 0 {
				skip, n := d.Split(0, held, false)
				if held = held[skip+n:]; n == 0 {
					break
				}
			}
			if left := len(held) - d.clear[0]; len(held) > 2*headerLen && left >= headerLen {
				t.Fatalf("% x over and over: of %d bytes that wait, %d will be searched again", unit, len(held), left)
			}
			waited = max(waited, len(held))
		}
		if waited > maxFrame {
			t.Errorf("% x over and over: %d bytes wait, more than a frame of %d and what bears it out", unit, waited, maxFrame)
		}
		d.Lost(0)
		if d.clear[0] != 0 {
			t.Errorf("% x: what was searched before a loss counts behind it", unit)
		}
	}
}

// maxFrame is the longest frame with the header behind it.
var maxFrame = frameLen(255) + headerLen
