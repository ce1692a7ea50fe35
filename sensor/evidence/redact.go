package evidence

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"

	"github.com/roje-ot/roje/sensor/capture"
)

// Redact writes to out a variant of the evidence in path that names nobody: every MAC and IP address that any header
// names is replaced by a pseudonym, wherever in a frame its bytes or its text stand, checksums are repaired, and the
// title and the names of points are left out. Equal addresses have equal pseudonyms within the file, and none beyond it.
func Redact(path, out string, key ed25519.PrivateKey) error {
	if _, err := Verify(path); err != nil {
		return err
	}
	frames, err := load(path)
	if err != nil {
		return err
	}
	if err := pseudonyms(frames); err != nil {
		return fmt.Errorf("evidence %s: %w", path, err)
	}
	r := read(frames, nil) // a name of a point would say whose it is
	r.mask()
	file := seal(encode("Evidence with pseudonyms for addresses", frames, r.said), key)
	if err := os.WriteFile(out, file, 0o640); err != nil {
		return fmt.Errorf("evidence: %w", err)
	}
	return nil
}

// load reads the frames of a capture file.
func load(path string) ([]Frame, error) {
	f, err := capture.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var frames []Frame
	var p capture.Packet
	for {
		switch err := f.Next(&p); {
		case errors.Is(err, io.EOF):
			return frames, nil
		case err != nil:
			return nil, fmt.Errorf("evidence: %w", err)
		}
		frames = append(frames, Frame{At: p.At, Num: p.Frame, Link: uint16(p.Link), Orig: p.OrigLen, Data: bytes.Clone(p.Data)})
	}
}

// A swap is an address and what stands for it, as bytes or as text.
type swap struct{ from, to []byte }

// pseudonyms replaces the addresses in frames.
func pseudonyms(frames []Frame) error {
	known := map[string]bool{}
	var order []string
	note := func(a []byte) {
		if s := string(a); personal(a) && !known[s] {
			known[s] = true
			order = append(order, s)
		}
	}
	for i := range frames {
		b := frames[i].Data
		l := parse(frames[i].Link, b)
		if l.ethernet {
			note(b[6:12])
			note(b[0:6])
		}
		if l.kind != 0 {
			src, dst := l.ends(b)
			note(src)
			note(dst)
		}
		if l.kind == typeARP {
			note(b[l.network+8 : l.network+14])
			note(b[l.network+18 : l.network+24])
		}
	}
	var swaps []swap
	next := uint32(0)
	for _, a := range order {
		var to []byte
		for to == nil || known[string(to)] {
			next++
			to = pseudonym(len(a), next)
		}
		swaps = append(swaps, swap{[]byte(a), to})
		if ip, ok := netip.AddrFromSlice([]byte(a)); ok { // the text gives way to one of its own length
			text := []byte(ip.String())
			swaps = append(swaps, swap{text, bytes.Repeat([]byte{'x'}, len(text))})
		}
	}
	for i := range frames {
		f := &frames[i]
		replace(f.Data, swaps)
		repair(f.Link, f.Data)
		for _, s := range swaps {
			if bytes.Contains(f.Data, s.from) {
				return fmt.Errorf("frame %d: an address cannot be taken out", i+1)
			}
		}
	}
	return nil
}

// personal says whether an address names a host: not all zero or all ones, no group.
func personal(a []byte) bool {
	if len(a) == 6 {
		return a[0]&1 == 0 && !bytes.Equal(a, make([]byte, 6))
	}
	ip, ok := netip.AddrFromSlice(a)
	return ok && !ip.IsUnspecified() && !ip.IsMulticast() && ip != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// pseudonym is the n-th that is size bytes long: a locally administered MAC, an address for benchmarks (RFC 2544) or
// for documentation (RFC 3849).
func pseudonym(size int, n uint32) []byte {
	switch size {
	case 4:
		return []byte{198, 18 + byte(n>>16&1), byte(n >> 8), byte(n)}
	case 16:
		return []byte{0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
	}
	return []byte{0x02, 0x52, 0x4a, byte(n >> 16), byte(n >> 8), byte(n)}
}

// replace puts the pseudonyms in the place of the addresses, from the left, the longer first where two begin together.
// What a pseudonym forms with its neighbours may again be an address: then once more.
func replace(b []byte, swaps []swap) {
	for range 4 {
		changed := false
		for i := 0; i < len(b); i++ {
			var best *swap
			for k := range swaps {
				if s := &swaps[k]; bytes.HasPrefix(b[i:], s.from) && (best == nil || len(s.from) > len(best.from)) {
					best = s
				}
			}
			if best != nil {
				copy(b[i:], best.to)
				i += len(best.to) - 1
				changed = true
			}
		}
		if !changed {
			return
		}
	}
}
