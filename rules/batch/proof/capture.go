package proof

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
)

// Block types and options of pcapng (draft-ietf-opsawg-pcapng).
const (
	SectionBlock   = 0x0a0d0d0a
	InterfaceBlock = 1
	namesBlock     = 4
	PacketBlock    = 6

	Comment     = 1
	Application = 4
	Resolution  = 9
)

// signedCapture is how the comment of a capture's last block begins, and what its signature is for.
const signedCapture = "roje-evidence-1 "

// Option appends an option with its padding.
func Option(b []byte, code uint16, value []byte) []byte {
	b = binary.LittleEndian.AppendUint16(b, code)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(value)))
	return Pad(append(b, value...))
}

// Pad fills b up to a multiple of four.
func Pad(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// Block appends a block around body, whose length is a multiple of four.
func Block(b []byte, kind uint32, body []byte) []byte {
	n := uint32(12 + len(body))
	b = binary.LittleEndian.AppendUint32(b, kind)
	b = binary.LittleEndian.AppendUint32(b, n)
	return binary.LittleEndian.AppendUint32(append(b, body...), n)
}

// SealCapture appends to a pcapng file the block that signs all before it.
func SealCapture(file []byte, key ed25519.PrivateKey) []byte {
	sum := sha256.Sum256(file)
	signature := ed25519.Sign(key, append([]byte(signedCapture), sum[:]...))
	return append(file, closing(key.Public().(ed25519.PublicKey), signature)...)
}

// closing is the last block of a file: names of nothing, and a comment.
func closing(public ed25519.PublicKey, signature []byte) []byte {
	text := signedCapture + base64.StdEncoding.EncodeToString(public) + " " + base64.StdEncoding.EncodeToString(signature)
	body := Option([]byte{0, 0, 0, 0}, Comment, []byte(text))
	return Block(nil, namesBlock, append(body, 0, 0, 0, 0))
}

// CheckCapture checks the signature of a pcapng file that SealCapture sealed. An error is ErrFalse, wrapped.
func CheckCapture(file []byte) (*Seal, error) {
	size := len(closing(make([]byte, ed25519.PublicKeySize), make([]byte, ed25519.SignatureSize)))
	cut := len(file) - size
	if cut < 0 {
		return nil, fmt.Errorf("%w: it is too short for a signature", ErrFalse)
	}
	last := string(file[cut:])
	at := strings.Index(last, signedCapture)
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
	if !ed25519.Verify(public, append([]byte(signedCapture), sum[:]...), signature) {
		return nil, fmt.Errorf("%w: the signature does not belong to the content", ErrFalse)
	}
	whole := sha256.Sum256(file)
	return &Seal{SHA256: hex.EncodeToString(whole[:]), Key: public}, nil
}
