package headers

import (
	"bytes"
	"fmt"
	"net/netip"
)

// A swap is an address and what stands for it, as bytes or as text.
type swap struct{ from, to []byte }

// Disguise replaces, in n frames, every MAC and IP address of a host that any of their headers names, wherever its bytes or
// its text stand, and repairs the checksums. frame gives a frame, which is changed in place; pseudonym is asked for each
// address, in the order in which they are met, for another one of its length, and again (try 1, 2, ...) where what it gave is
// taken. A text gives way to one of its own length. An error says in which frame something is left.
func Disguise(n int, frame func(i int) (link uint16, data []byte), pseudonym func(address []byte, try int) []byte) error {
	known := map[string]bool{}
	var swaps []swap
	note := func(a []byte) {
		if s := string(a); Personal(a) && !known[s] {
			known[s] = true
			swaps = append(swaps, swap{[]byte(s), nil})
		}
	}
	for i := range n {
		link, b := frame(i)
		l := Parse(link, b)
		if l.Ethernet {
			note(b[6:12])
			note(b[0:6])
		}
		if l.Kind != 0 {
			src, dst := l.Ends(b)
			note(src)
			note(dst)
		}
		if l.Kind == ARP {
			note(b[l.Network+8 : l.Network+14])
			note(b[l.Network+18 : l.Network+24])
		}
	}
	for i := range swaps {
		from := swaps[i].from
		to := pseudonym(from, 0)
		for try := 1; known[string(to)]; try++ {
			to = pseudonym(from, try)
		}
		swaps[i].to, known[string(to)] = to, true
		if ip, ok := netip.AddrFromSlice(from); ok {
			text := []byte(ip.String())
			swaps = append(swaps, swap{text, bytes.Repeat([]byte{'x'}, len(text))})
		}
	}
	for i := range n {
		link, b := frame(i)
		replace(b, swaps)
		Repair(link, b)
		for _, s := range swaps {
			if bytes.Contains(b, s.from) {
				return fmt.Errorf("frame %d: an address cannot be taken out", i+1)
			}
		}
	}
	return nil
}

// Personal says whether an address names a host: not all zero or all ones, no group.
func Personal(a []byte) bool {
	if len(a) == 6 {
		return a[0]&1 == 0 && !bytes.Equal(a, make([]byte, 6))
	}
	ip, ok := netip.AddrFromSlice(a)
	return ok && !ip.IsUnspecified() && !ip.IsMulticast() && ip != netip.AddrFrom4([4]byte{255, 255, 255, 255})
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
