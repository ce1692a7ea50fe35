package evidence

import (
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"os"

	"github.com/roje-ot/roje/rules/batch/proof"
)

// encode makes a capture file of frames. about is the comment of the file; comments are those of the frames, by index.
func encode(about string, frames []Frame, comments map[int]string) []byte {
	body := binary.LittleEndian.AppendUint32(nil, 0x1a2b3c4d)
	body = append(body, 1, 0, 0, 0)
	body = binary.LittleEndian.AppendUint64(body, 1<<64-1)
	body = proof.Option(body, proof.Comment, []byte(about))
	body = proof.Option(body, proof.Application, []byte("roje-sensor"))
	out := proof.Block(nil, proof.SectionBlock, append(body, 0, 0, 0, 0))
	links := map[uint16]uint32{}
	for i := range frames {
		f := &frames[i]
		number, known := links[f.Link]
		if !known {
			number = uint32(len(links))
			links[f.Link] = number
			body := binary.LittleEndian.AppendUint16(nil, f.Link)
			body = append(body, 0, 0, 0, 0, 4, 0)
			out = proof.Block(out, proof.InterfaceBlock, append(proof.Option(body, proof.Resolution, []byte{9}), 0, 0, 0, 0))
		}
		body := binary.LittleEndian.AppendUint32(nil, number)
		body = binary.LittleEndian.AppendUint32(body, uint32(uint64(f.At)>>32))
		body = binary.LittleEndian.AppendUint32(body, uint32(f.At))
		body = binary.LittleEndian.AppendUint32(body, uint32(len(f.Data)))
		body = binary.LittleEndian.AppendUint32(body, uint32(max(f.Orig, len(f.Data))))
		body = proof.Pad(append(body, f.Data...))
		if text := comments[i]; text != "" {
			body = append(proof.Option(body, proof.Comment, []byte(text)), 0, 0, 0, 0)
		}
		out = proof.Block(out, proof.PacketBlock, body)
	}
	return out
}

// seal appends the block that signs all before it.
func seal(file []byte, key ed25519.PrivateKey) []byte { return proof.SealCapture(file, key) }

// ErrFalse says that a file is not what a sensor signed.
var ErrFalse = proof.ErrFalse

// A Seal is what a good file says of itself.
type Seal = proof.Seal

// Verify checks the signature of a file, offline. An error is ErrFalse, wrapped, unless the file cannot be read.
func Verify(path string) (*Seal, error) {
	file, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("evidence: %w", err)
	}
	seal, err := check(file)
	if err != nil {
		return nil, fmt.Errorf("evidence %s: %w", path, err)
	}
	return seal, nil
}

// check is Verify of what a file holds.
func check(file []byte) (*Seal, error) { return proof.CheckCapture(file) }
