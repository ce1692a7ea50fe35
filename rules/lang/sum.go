package lang

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"

	"go.yaml.in/yaml/v3"
)

// A Sum is a hash of what a rule says. Rules with equal sums judge alike, so what one remembers the other can go on with.
type Sum [sha256.Size]byte

// sumOf hashes the rule of mapping n, but for its tests and its help. Comments, quotes and line breaks do not matter.
func sumOf(n *yaml.Node) (s Sum) {
	h := sha256.New()
	for i := 0; i+1 < len(n.Content); i += 2 {
		if key := n.Content[i].Value; key != "tests" && key != "help" {
			mixNode(h, n.Content[i])
			mixNode(h, n.Content[i+1])
		}
	}
	return Sum(h.Sum(s[:0]))
}

func mixNode(h hash.Hash, n *yaml.Node) {
	var b [12]byte
	binary.BigEndian.PutUint32(b[:], uint32(n.Kind))
	binary.BigEndian.PutUint32(b[4:], uint32(len(n.Value)))
	binary.BigEndian.PutUint32(b[8:], uint32(len(n.Content)))
	h.Write(b[:])
	h.Write([]byte(n.Value))
	for _, child := range n.Content {
		mixNode(h, child)
	}
}
