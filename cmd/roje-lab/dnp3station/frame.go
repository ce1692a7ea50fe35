package dnp3station

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/roje-ot/roje/cmd/roje-lab/station"
	"github.com/roje-ot/roje/cmd/roje-lab/tally"
)

// Data link functions (clause 9.2.4.1.3): primary with the PRM bit, secondary without.
const (
	dir, prm = 0x80, 0x40

	resetLink   = 0
	testLink    = 2
	confirmed   = 3
	unconfirmed = 4
	askStatus   = 9

	linkAck    = 0
	linkStatus = 11
	linkAbsent = 15 // not supported
)

// Broadcast addresses: no confirmation, confirmation optional, confirmation required.
const (
	BroadcastSilent   = 0xfffd
	BroadcastMust     = 0xfffe
	BroadcastOptional = 0xffff
)

var crcTable = func() (t [256]uint16) {
	for i := range t {
		c := uint16(i)
		for range 8 {
			if c&1 != 0 {
				c = c>>1 ^ 0xa6bc
			} else {
				c >>= 1
			}
		}
		t[i] = c
	}
	return t
}()

// crc is the check of a header or a block (clause 9.2.4.3), ready to be appended.
func crc(b []byte) []byte {
	var c uint16
	for _, v := range b {
		c = c>>8 ^ crcTable[byte(c)^v]
	}
	return binary.LittleEndian.AppendUint16(nil, ^c)
}

// Frame encodes one link frame with up to 250 octets of user data.
func Frame(control byte, dst, src uint16, data []byte) []byte {
	h := []byte{0x05, 0x64, byte(5 + len(data)), control, byte(dst), byte(dst >> 8), byte(src), byte(src >> 8)}
	out := append(h, crc(h)...)
	for len(data) > 0 {
		n := min(16, len(data))
		out = append(append(out, data[:n]...), crc(data[:n])...)
		data = data[n:]
	}
	return out
}

// split finds a link frame.
func split(b []byte) (int, error) {
	if len(b) < 3 {
		return 0, nil
	}
	if b[0] != 0x05 || b[1] != 0x64 || b[2] < 5 {
		return 0, fmt.Errorf("dnp3: bad start % x", b[:3])
	}
	n := int(b[2]) - 5
	return 10 + n + (n+15)/16*2, nil
}

// packet is a link frame, read.
type packet struct {
	control  byte
	dst, src uint16
	data     []byte
}

func parse(b []byte) (packet, bool) {
	p := packet{control: b[3], dst: binary.LittleEndian.Uint16(b[4:]), src: binary.LittleEndian.Uint16(b[6:])}
	if string(crc(b[:8])) != string(b[8:10]) {
		return p, false
	}
	for rest := b[10:]; len(rest) > 0; {
		n := min(16, len(rest)-2)
		if string(crc(rest[:n])) != string(rest[n:n+2]) {
			return p, false
		}
		p.data = append(p.data, rest[:n]...)
		rest = rest[n+2:]
	}
	return p, true
}

const (
	segmentSize = 249
	mostAtOnce  = 1200 // bytes of frames in one write, so that they also fit a datagram
)

// wire is one connection: link frames, and fragments out of their segments. Its station's goroutine owns it.
type wire struct {
	line   *station.Line
	tally  *tally.Tally
	master bool
	tseq   map[[2]uint16]byte     // next transport sequence, by source and destination
	parts  map[[2]uint16][]byte   // segments that wait for the last one, by source and destination
	serves func(addr uint16) bool // which destinations are ours
}

func newWire(line *station.Line, t *tally.Tally, master bool, serves func(uint16) bool) *wire {
	return &wire{line: line, tally: t, master: master, serves: serves, tseq: map[[2]uint16]byte{}, parts: map[[2]uint16][]byte{}}
}

// control puts the direction bit to a link function.
func (w *wire) control(function byte) byte {
	if w.master {
		function |= dir
	}
	return function
}

// frame encodes and counts a link frame.
func (w *wire) frame(function byte, dst, src uint16, data []byte) []byte {
	kind := "link_sec"
	if function&prm != 0 {
		kind = "link_pri"
	}
	w.tally.Add("dnp3", kind, int(function&0x0f))
	return Frame(w.control(function), dst, src, data)
}

// Link sends a frame without user data.
func (w *wire) Link(function byte, dst, src uint16) error {
	_, err := w.line.Write(w.frame(function, dst, src, nil))
	return err
}

// send sends an application fragment in segments.
func (w *wire) send(dst, src uint16, fragment []byte) error {
	w.tally.Add("dnp3", "al_func", int(fragment[1]))
	var out []byte
	for first := byte(0x40); ; first = 0 {
		n := min(segmentSize, len(fragment))
		head := first | w.tseq[[2]uint16{src, dst}]&0x3f
		w.tseq[[2]uint16{src, dst}]++
		if n == len(fragment) {
			head |= 0x80
		}
		out = append(out, w.frame(prm|unconfirmed, dst, src, append([]byte{head}, fragment[:n]...))...)
		fragment = fragment[n:]
		if len(fragment) == 0 || len(out) > mostAtOnce-300 {
			if _, err := w.line.Write(out); err != nil {
				return err
			}
			out = nil
		}
		if len(fragment) == 0 {
			return nil
		}
	}
}

// receive returns the next whole application fragment; it answers link frames itself. Zero until: for ever.
func (w *wire) receive(until time.Time) (fragment []byte, dst, src uint16, err error) {
	for {
		b, err := w.line.Frame(split, station.By(until))
		if err != nil {
			return nil, 0, 0, err
		}
		p, ok := parse(b)
		if !ok || !w.serves(p.dst) {
			continue // clause 9.2.4.3: a frame with a bad check is not for us, as is one for another address
		}
		if p.control&prm == 0 {
			continue
		}
		if answer, due := map[byte]byte{resetLink: linkAck, testLink: linkAck, confirmed: linkAck, askStatus: linkStatus}[p.control&0x0f]; due {
			if err := w.Link(answer, p.src, p.dst); err != nil {
				return nil, 0, 0, err
			}
		}
		if len(p.data) < 2 {
			continue
		}
		key := [2]uint16{p.src, p.dst}
		if p.data[0]&0x40 != 0 {
			w.parts[key] = nil
		}
		w.parts[key] = append(w.parts[key], p.data[1:]...)
		if p.data[0]&0x80 != 0 && len(w.parts[key]) >= 2 {
			return w.parts[key], p.dst, p.src, nil
		}
	}
}
