package baseline

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
)

// signedContext keeps a signature of a baseline from being taken for one of anything else.
const signedContext = "roje baseline\n"

// Sign returns a line of text that says that the owner of key stands behind an exported baseline.
func Sign(text []byte, key ed25519.PrivateKey) []byte {
	signature := ed25519.Sign(key, append([]byte(signedContext), text...))
	return append([]byte(base64.StdEncoding.EncodeToString(signature)), '\n')
}

// Verify holds an exported baseline against the line that Sign made.
func Verify(text, line []byte, key ed25519.PublicKey) error {
	signature, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(line)))
	if err != nil || !ed25519.Verify(key, append([]byte(signedContext), text...), signature) {
		return errors.New("the signature does not belong to this text and key: the baseline was changed, or somebody else signed it")
	}
	return nil
}
