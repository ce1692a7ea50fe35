package specimen

import (
	"encoding/binary"
	"slices"

	"github.com/roje-ot/roje/rules/batch/headers"
	"github.com/roje-ot/roje/rules/batch/proof"
)

// The addresses of Frame: those of the hosts of alert a-104.
var (
	MACs = [][]byte{{0, 0x1b, 0x1b, 1, 2, 3}, {0, 0x80, 0x0f, 9, 9, 9}}
	IPs  = [][]byte{{10, 20, 0, 66}, {10, 20, 0, 7}}
)

// Capture is a pcapng file of frames as sensors write it, without its signature: with comments that name what is at the site.
func Capture(link uint16, frames ...[]byte) []byte {
	section := append(binary.LittleEndian.AppendUint32(nil, 0x1a2b3c4d), 1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255)
	file := proof.Block(nil, proof.SectionBlock, append(proof.Option(section, proof.Comment, []byte("Breaker Q0 at 10.20.0.7")), 0, 0, 0, 0))
	about := proof.Option(binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, uint32(link)), 0x40000), proof.Resolution, []byte{9})
	file = proof.Block(file, proof.InterfaceBlock, append(about, 0, 0, 0, 0))
	for _, f := range frames {
		body := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(make([]byte, 12), uint32(len(f))), uint32(len(f)))
		body = proof.Option(proof.Pad(append(body, f...)), proof.Comment, []byte("breaker Q0"))
		file = proof.Block(file, proof.PacketBlock, append(body, 0, 0, 0, 0))
	}
	return file
}

// Frame is an Ethernet frame with an IPv4 packet of a protocol.
func Frame(proto byte, body ...byte) []byte {
	f := slices.Concat(MACs[1], MACs[0], []byte{8, 0, 0x45, 0, 0, byte(20 + len(body)), 0, 0, 0, 0, 64, proto, 0, 0}, IPs[0], IPs[1], body)
	headers.Repair(headers.Ethernet, f)
	return f
}

// Datagram is the body of a UDP Frame that says a text.
func Datagram(text string) []byte {
	return append([]byte{0x4e, 0x20, 0x4e, 0x20, 0, byte(8 + len(text)), 0, 1}, text...)
}
