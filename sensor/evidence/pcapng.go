package evidence

import (
	"cmp"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// Block types and options of pcapng (draft-ietf-opsawg-pcapng).
const (
	blockSection   = 0x0a0d0d0a
	blockInterface = 1
	blockNames     = 4
	blockPacket    = 6

	optComment = 1
	optApp     = 4
	optResol   = 9
)

// signed is how the comment of a file's last block begins, and what its signature is for.
const signed = "roje-evidence-1 "

// sortFrames puts frames in the order in which they were taken.
func sortFrames(f []Frame) {
	slices.SortFunc(f, func(a, b Frame) int { return cmp.Compare(a.Num, b.Num) })
}

// option appends an option with its padding.
func option(b []byte, code uint16, value []byte) []byte {
	b = binary.LittleEndian.AppendUint16(b, code)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(value)))
	return pad(append(b, value...))
}

func pad(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// block appends a block around body, whose length is a multiple of four.
func block(b []byte, kind uint32, body []byte) []byte {
	n := uint32(12 + len(body))
	b = binary.LittleEndian.AppendUint32(b, kind)
	b = binary.LittleEndian.AppendUint32(b, n)
	return binary.LittleEndian.AppendUint32(append(b, body...), n)
}

// encode makes a capture file of frames. about is the comment of the file; comments are those of the frames, by index.
func encode(about string, frames []Frame, comments map[int]string) []byte {
	body := binary.LittleEndian.AppendUint32(nil, 0x1a2b3c4d)
	body = append(body, 1, 0, 0, 0)
	body = binary.LittleEndian.AppendUint64(body, 1<<64-1)
	body = option(body, optComment, []byte(about))
	body = option(body, optApp, []byte("roje-sensor"))
	out := block(nil, blockSection, append(body, 0, 0, 0, 0))
	links := map[uint16]uint32{}
	for i := range frames {
		f := &frames[i]
		number, known := links[f.Link]
		if !known {
			number = uint32(len(links))
			links[f.Link] = number
			body := binary.LittleEndian.AppendUint16(nil, f.Link)
			body = append(body, 0, 0, 0, 0, 4, 0)
			out = block(out, blockInterface, append(option(body, optResol, []byte{9}), 0, 0, 0, 0))
		}
		body := binary.LittleEndian.AppendUint32(nil, number)
		body = binary.LittleEndian.AppendUint32(body, uint32(uint64(f.At)>>32))
		body = binary.LittleEndian.AppendUint32(body, uint32(f.At))
		body = binary.LittleEndian.AppendUint32(body, uint32(len(f.Data)))
		body = binary.LittleEndian.AppendUint32(body, uint32(max(f.Orig, len(f.Data))))
		body = pad(append(body, f.Data...))
		if text := comments[i]; text != "" {
			body = append(option(body, optComment, []byte(text)), 0, 0, 0, 0)
		}
		out = block(out, blockPacket, body)
	}
	return out
}

// seal appends the block that signs all before it.
func seal(file []byte, key ed25519.PrivateKey) []byte {
	sum := sha256.Sum256(file)
	signature := ed25519.Sign(key, append([]byte(signed), sum[:]...))
	return append(file, closing(key.Public().(ed25519.PublicKey), signature)...)
}

// closing is the last block of a file: names of nothing, and a comment.
func closing(public ed25519.PublicKey, signature []byte) []byte {
	text := signed + base64.StdEncoding.EncodeToString(public) + " " + base64.StdEncoding.EncodeToString(signature)
	body := option([]byte{0, 0, 0, 0}, optComment, []byte(text))
	return block(nil, blockNames, append(body, 0, 0, 0, 0))
}

// ErrFalse says that a file is not what a sensor signed.
var ErrFalse = errors.New("not as it was signed")

// A Seal is what a good file says of itself.
type Seal struct {
	SHA256 string            // of the whole file, as an alert names it
	Key    ed25519.PublicKey // that signed it; whose it is must be known otherwise
}

// Fingerprint names the key: the SHA-256 of its 32 bytes, hex.
func (s *Seal) Fingerprint() string {
	sum := sha256.Sum256(s.Key)
	return hex.EncodeToString(sum[:])
}

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
func check(file []byte) (*Seal, error) {
	size := len(closing(make([]byte, ed25519.PublicKeySize), make([]byte, ed25519.SignatureSize)))
	cut := len(file) - size
	if cut < 0 {
		return nil, fmt.Errorf("%w: it is too short for a signature", ErrFalse)
	}
	last := string(file[cut:])
	at := strings.Index(last, signed)
	words := strings.Fields(strings.TrimRight(last[max(at, 0):min(size-4, max(at, 0)+200)], "\x00"))
	if at < 0 || len(words) < 3 {
		return nil, fmt.Errorf("%w: it does not end in a signature", ErrFalse)
	}
	public, err1 := base64.StdEncoding.DecodeString(words[1])
	signature, err2 := base64.StdEncoding.DecodeString(words[2][:min(len(words[2]), 88)])
	if err1 != nil || err2 != nil || len(public) != ed25519.PublicKeySize || last != string(closing(public, signature)) {
		return nil, fmt.Errorf("%w: the block of the signature was changed", ErrFalse)
	}
	sum := sha256.Sum256(file[:cut])
	if !ed25519.Verify(public, append([]byte(signed), sum[:]...), signature) {
		return nil, fmt.Errorf("%w: the signature does not belong to the content", ErrFalse)
	}
	whole := sha256.Sum256(file)
	return &Seal{SHA256: hex.EncodeToString(whole[:]), Key: public}, nil
}
