package join

import (
	"crypto/ed25519"
	"crypto/sha256"
	"strings"
	"testing"
)

// TestWords reads the words back by the letters' values in arXiv:0901.4016, §3, and finds the hash.
func TestWords(t *testing.T) {
	value := map[byte]uint16{}
	for i, c := range "bdfghjklmnprstvz" {
		value[byte(c)] = uint16(i)
	}
	for i, c := range "aiou" {
		value[byte(c)] = uint16(i)
	}
	seen := map[string]bool{}
	for n := range 200 {
		key := make(ed25519.PublicKey, ed25519.PublicKeySize)
		key[3] = byte(n)
		text, sum := Words(key), sha256.Sum256(key)
		words := strings.Split(text, "-")
		if len(words) != 5 || seen[text] {
			t.Fatalf("key %d: %q", n, text)
		}
		seen[text] = true
		for i, w := range words {
			got := value[w[0]]<<12 | value[w[1]]<<10 | value[w[2]]<<6 | value[w[3]]<<4 | value[w[4]]
			if want := uint16(sum[2*i])<<8 | uint16(sum[2*i+1]); len(w) != 5 || got != want {
				t.Errorf("key %d, word %d: %q is %04x, want %04x", n, i, w, got, want)
			}
		}
	}
}
