package dnp3

import (
	"bytes"

	"github.com/roje-ot/roje/protocols"
)

// probeReach is how many bytes of a banner or of line noise a first frame may stand behind: serial servers send some.
const probeReach = 256

// Split cuts out the next frame. Start octets and a header whose check agrees are 32 bits of evidence, so what it says
// depends on nothing that came before:
//
//   - A frame whose header is right is cut where LEN says. If a data check is wrong and a whole right header stands
//     inside it, it is cut there: stations that drop the bad frame read on from its second byte.
//   - A frame whose header check is wrong is cut if the next right header stands exactly where its LEN says.
//   - All else is skipped up to the next right header.
//
// What it found right it need not check again in Decode, and where it found nothing it does not look again.
func (d *decoder) Split(dir protocols.Dir, b []byte, last bool) (skip, n int) {
	at := 0                   // candidate: everything before it is skipped
	checked := d.clear[dir&1] // no right header stands in (at, checked)
	d.clear[dir&1] = 0
	for {
		at = startWord(b, at)
		rest := b[at:]
		if len(rest) < headerLen {
			if last {
				return len(b), 0
			}
			return at, 0
		}
		if l, ok := headerAt(rest); ok {
			n, sound := rightFrame(rest, frameLen(l.length), last)
			if sound {
				d.sound = rest[:n]
			}
			return at, n
		}
		if rest[2] >= minLength {
			end := at + frameLen(rest[2])
			next, found := nextHeader(b, max(at+1, checked), end)
			switch {
			case found && next == end:
				return at, end - at
			case !found && next <= end && !last:
				d.clear[dir&1] = next - at
				return at, 0 // what stands at end is not known yet
			}
			checked = next
		}
		at++
	}
}

// rightFrame returns how much of b, which starts with a right header of a frame of n bytes, to take for that frame;
// 0 if it must wait. sound says that the frame is whole and all its checks agree.
func rightFrame(b []byte, n int, last bool) (take int, sound bool) {
	cut := len(b) < n
	if cut {
		if !last {
			return 0, false
		}
		n = len(b)
	}
	if blocksRight(b[headerLen:n]) {
		return n, !cut
	}
	if next, found := nextHeader(b[:n], 1, n); found {
		return next, false
	}
	return n, false
}

// blocksRight says whether all checks of user data agree.
func blocksRight(b []byte) bool {
	for len(b) > 0 {
		n := min(len(b), blockLen+2)
		if !sealed(b[:n]) {
			return false
		}
		b = b[n:]
	}
	return true
}

// startWord returns where in b, not before from, the start octets stand, or could once more bytes come; else len(b).
func startWord(b []byte, from int) int {
	if from+1 < len(b) && b[from] == 0x05 && b[from+1] == 0x64 {
		return from // as nearly always
	}
	for from < len(b) {
		i := bytes.IndexByte(b[from:], 0x05)
		if i < 0 {
			return len(b)
		}
		from += i
		if from+1 == len(b) || b[from+1] == 0x64 {
			return from
		}
		from++
	}
	return len(b)
}

// nextHeader looks for the first right header that starts in b[from:], at limit at the latest. If there is none yet,
// at is the first place where bytes to come could still make one, or limit+1.
func nextHeader(b []byte, from, limit int) (at int, found bool) {
	for from <= limit {
		from = startWord(b, from)
		if from > limit {
			break
		}
		if len(b)-from < headerLen {
			return from, false
		}
		if _, ok := headerAt(b[from:]); ok {
			return from, true
		}
		from++
	}
	return limit + 1, false
}

// probe takes one right header for an answer.
func probe(b []byte, last bool) protocols.Guess {
	near := b[:min(len(b), probeReach)]
	at, found := nextHeader(near, 0, len(near))
	switch {
	case found:
		return protocols.Yes
	case last || len(b) >= probeReach || at >= len(b):
		return protocols.No
	}
	return protocols.Maybe
}
