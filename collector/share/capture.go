package share

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/roje-ot/roje/rules/batch/headers"
	"github.com/roje-ot/roje/rules/batch/proof"
)

// ErrCapture says that a capture cannot be given under pseudonyms.
var ErrCapture = errors.New("the evidence cannot be put under pseudonyms")

// A capture is a pcapng file as sensors write it, on its way to a variant that names nobody.
type capture struct {
	out    []byte   // all blocks so far, frames with room for their data
	links  []uint16 // of the interfaces
	frames []frameAt
}

// A frameAt is where the data of a frame stands in the file that is made.
type frameAt struct {
	link     uint16
	from, to int
}

// Capture is a sensor's pcapng file with the pseudonyms that stand in the recipient's alerts too, in the place of all MAC
// and IP addresses that headers name; see headers.Disguise. Comments, which name points, and the signature are left out. Of
// frames that are neither ARP nor TCP or UDP over IP the headers alone stay, as nobody knows whose addresses are in the rest.
// What a payload says of a host in another form, such as its name, stays: there is none in what sensors keep, save where
// a protocol of the plant carries a text. file is left as it is.
func (m *Mask) Capture(file []byte) ([]byte, error) {
	var c capture
	for rest := file; len(rest) > 0; {
		if len(rest) < 12 {
			return nil, fmt.Errorf("%w: it ends inside a block", ErrCapture)
		}
		kind, size := binary.LittleEndian.Uint32(rest), binary.LittleEndian.Uint32(rest[4:])
		if size < 12 || size%4 != 0 || int64(size) > int64(len(rest)) {
			return nil, fmt.Errorf("%w: a block of %d bytes", ErrCapture, size)
		}
		if err := c.block(kind, rest[8:size-4]); err != nil {
			return nil, err
		}
		rest = rest[size:]
	}
	if err := headers.Disguise(len(c.frames), c.frame, m.bytes); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCapture, err)
	}
	return c.out, nil
}

// frame is frame i, as headers.Disguise asks for it.
func (c *capture) frame(i int) (uint16, []byte) {
	f := c.frames[i]
	return f.link, c.out[f.from:f.to]
}

// block takes a block over, without what may name somebody beside the addresses of frames.
func (c *capture) block(kind uint32, body []byte) error {
	switch {
	case kind == proof.SectionBlock && len(body) >= 16:
		if binary.LittleEndian.Uint32(body) != 0x1a2b3c4d {
			return fmt.Errorf("%w: it is of another byte order", ErrCapture)
		}
		c.links = nil
		section := append(bytes.Clone(body[:8]), bytes.Repeat([]byte{0xff}, 8)...) // of no stated length
		c.out = proof.Block(c.out, kind, append(proof.Option(section, proof.Comment, []byte("Evidence with pseudonyms for addresses")), 0, 0, 0, 0))
	case kind == proof.InterfaceBlock && len(body) >= 8:
		c.links = append(c.links, binary.LittleEndian.Uint16(body))
		about := bytes.Clone(body[:8])
		if unit, ok := resolution(body[8:]); ok {
			about = append(proof.Option(about, proof.Resolution, []byte{unit}), 0, 0, 0, 0)
		}
		c.out = proof.Block(c.out, kind, about)
	case kind == proof.PacketBlock && len(body) >= 20:
		on, length := binary.LittleEndian.Uint32(body), binary.LittleEndian.Uint32(body[12:])
		if int64(on) >= int64(len(c.links)) || int64(length) > int64(len(body)-20) {
			return fmt.Errorf("%w: a frame of no interface, or longer than its block", ErrCapture)
		}
		link, data := c.links[on], bytes.Clone(body[:20+length])
		if err := bare(link, data[20:]); err != nil {
			return err
		}
		from := len(c.out) + 28
		c.out = proof.Block(c.out, kind, proof.Pad(data))
		c.frames = append(c.frames, frameAt{link, from, from + int(length)})
	}
	return nil
}

// resolution finds the unit of time among the options of an interface.
func resolution(options []byte) (unit byte, ok bool) {
	for len(options) >= 4 {
		code, n := binary.LittleEndian.Uint16(options), int(binary.LittleEndian.Uint16(options[2:]))
		if code == 0 || n > len(options)-4 {
			break
		}
		if code == proof.Resolution && n == 1 {
			return options[4], true
		}
		options = options[min(len(options), 4+(n+3)/4*4):]
	}
	return 0, false
}

// bare clears of a frame what may name hosts that none of its headers names.
func bare(link uint16, b []byte) error {
	l := headers.Parse(link, b)
	keep := len(b)
	switch {
	case !l.Ethernet && l.Kind == 0:
		return fmt.Errorf("%w: a frame of link type %d", ErrCapture, link)
	case l.Kind == 0:
		keep = l.Network
	case l.Kind == headers.ARP:
		keep = l.Network + 28
	case l.Proto != headers.TCP && l.Proto != headers.UDP:
		keep = l.Network + map[uint16]int{headers.IPv4: 20, headers.IPv6: 40}[l.Kind]
	}
	clear(b[min(keep, len(b)):])
	return nil
}

// bytes is the pseudonym of an address, or another one with another try.
func (m *Mask) bytes(address []byte, try int) []byte {
	text := net.HardwareAddr(address).String()
	kind := "mac"
	if ip, ok := netip.AddrFromSlice(address); ok {
		kind, text = "ip", ip.Unmap().String()
	}
	if try > 0 {
		text = fmt.Sprint(text, " ", try)
	}
	return shape(len(address), m.sum(kind, text))
}

// shape makes an address of a size, in bytes, that no network uses.
func shape(size int, sum []byte) []byte {
	switch size {
	case 4:
		return []byte{0xf0 | sum[0]&0xf, sum[1], sum[2], sum[3]}
	case 6:
		return append([]byte{2}, sum[:5]...)
	}
	return append([]byte{0xfd}, sum[:15]...)
}
