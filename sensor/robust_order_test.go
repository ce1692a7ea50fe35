package sensor

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/roje-ot/roje/sensor/capture"

	"github.com/roje-ot/roje/testdata/need"
)

// variants compares what is decoded of captures with what is decoded of the same traffic seen in another way.
type variants struct{ messages, differ int }

// add decodes both renderings of one load, and counts the messages that are not in both as often.
func (v *variants) add(t *testing.T, name string, plain, other []capture.Packet) {
	t.Helper()
	before, after := decode(plain), decode(other)
	differ := 0
	for key, n := range before {
		v.messages += n
		m := after[key]
		differ += max(n-m, m-n)
	}
	for key, n := range after {
		if before[key] == 0 {
			differ += n
		}
	}
	if differ > 0 {
		t.Logf("%s: %d messages are not the same", name, differ)
	}
	v.differ += differ
}

// within fails the test if more than so many of a million messages differ.
func (v *variants) within(t *testing.T, million int) {
	t.Helper()
	t.Logf("%d messages, of which %d are not the same", v.messages, v.differ)
	if v.differ*1e6 > million*v.messages {
		t.Errorf("%d of %d messages differ, more than %d in a million", v.differ, v.messages, million)
	}
}

// TestDuplicates repeats every tenth packet of every clean capture, at once or up to four packets later, as a second
// mirror port does: each message still counts once. A datagram has no sequence number: its repetition is known by what it
// says, and so counts once too.
func TestDuplicates(t *testing.T) {
	need.Long(t)
	const mirrored = 500e3 // nanoseconds
	var all variants
	for i, l := range loads(t) {
		r := rand.New(rand.NewPCG(uint64(i), 2))
		var out []capture.Packet
		repeat, when := capture.Packet{}, -1
		for n, p := range l.packets {
			out = append(out, p)
			if n%10 == 0 {
				repeat, when = p, n+r.IntN(4)
			}
			// The next packet would come too late for the copy of a mirror.
			late := n+1 < len(l.packets) && l.packets[n+1].At > repeat.At+mirrored
			if n <= when && (n == when || late) {
				repeat.At = p.At
				out = append(out, repeat)
				when = -1
			}
		}
		all.add(t, l.name, l.packets, out)
	}
	all.within(t, 10) // of two datagrams in one direction within half a millisecond, the first one's copy is taken for new
}

// TestReordering swaps two neighbouring packets at every tenth place of every clean capture. No byte is lost, and no
// message.
func TestReordering(t *testing.T) {
	need.Long(t)
	var all variants
	for i, l := range loads(t) {
		r := rand.New(rand.NewPCG(uint64(i), 3))
		out := slices.Clone(l.packets)
		for n := 0; n+1 < len(out); n++ {
			if r.IntN(10) == 0 {
				a, b := out[n], out[n+1]
				b.At = a.At // what is out of order comes close together
				out[n], out[n+1] = b, a
				n++
			}
		}
		all.add(t, l.name, l.packets, out)
	}
	all.within(t, 10) // what precedes the first packet of a session that is joined in its middle is not waited for
}

// TestSingleBytes cuts every TCP segment over Ethernet and IPv4 of every clean capture into segments of one byte.
func TestSingleBytes(t *testing.T) {
	need.Long(t)
	const most = 20000 // packets of one capture
	var all variants
	segments := 0
	for _, l := range loads(t) {
		plain := l.packets[:min(len(l.packets), most)]
		var out []capture.Packet
		for _, p := range plain {
			out = append(out, bytewise(p)...)
		}
		if len(out) > len(plain) {
			segments += len(out)
			all.add(t, l.name, plain, out)
		}
	}
	t.Logf("%d packets", segments)
	all.within(t, 0)
}

// bytewise cuts the payload of a TCP segment into segments of one byte each; other packets stay as they are.
func bytewise(p capture.Packet) []capture.Packet {
	s, ok := segmentOf(p.Data)
	if !ok || p.Link != capture.Ethernet || p.OrigLen != len(p.Data) || s.payload < 2 {
		return []capture.Packet{p}
	}
	seq := binary.BigEndian.Uint32(p.Data[s.at+4:])
	var out []capture.Packet
	for i := range s.payload {
		q := p
		q.Data = append(slices.Clone(p.Data[:s.data]), p.Data[s.data+i])
		q.OrigLen = len(q.Data)
		binary.BigEndian.PutUint16(q.Data[s.ip+2:], uint16(len(q.Data)-s.ip))
		flags := &q.Data[s.at+13]
		*flags |= psh // as a sender sets it that writes byte by byte; without, the first may be a keep-alive
		n := uint32(i)
		if n > 0 && s.flags&syn != 0 {
			n++ // a SYN takes a sequence number
			*flags &^= syn
		}
		if i < s.payload-1 {
			*flags &^= fin
		}
		binary.BigEndian.PutUint32(q.Data[s.at+4:], seq+n)
		out = append(out, q)
	}
	return out
}
