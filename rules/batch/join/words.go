package join

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"strings"
)

// wordCount is how many words a fingerprint has, of 16 bits each: with 80 bits nobody finds another key that has the
// same, however long a token lives.
const wordCount = 5

// Words is a key's fingerprint as people read it to each other over the telephone: the first 80 bits of its SHA-256 as
// proquints (D. S. Wilkerson, arXiv:0901.4016), words of five letters that are spoken alike in most languages. Both ends
// show it while a person decides whether the sensor may join.
func Words(key ed25519.PublicKey) string {
	const consonants, vowels = "bdfghjklmnprstvz", "aiou"
	sum := sha256.Sum256(key)
	words := make([]string, wordCount)
	for i := range words {
		n := binary.BigEndian.Uint16(sum[2*i:])
		words[i] = string([]byte{consonants[n>>12], vowels[n>>10&3], consonants[n>>6&15], vowels[n>>4&3], consonants[n&15]})
	}
	return strings.Join(words, "-")
}
