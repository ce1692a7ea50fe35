// Package audit keeps a transparency log of what people and the collector did: a Merkle tree (RFC 6962 §2, by
// golang.org/x/mod/sumdb/tlog) whose root is signed every minute. Who has a root that was signed once can tell for ever
// whether an entry of before was changed, removed or put in: by `roje-collector audit verify`, without the collector.
//
//	DIR/checkpoint         the latest signed root, a note in the form of C2SP tlog-checkpoint
//	DIR/checkpoints.jsonl  all of them in order, a JSON string per line; one per size of the log
//	DIR/hashes             the tree's stored hashes, 32 bytes each, as tlog orders them; made anew where they are missing
//	DIR/key, key.pub       the key that signs, mode 0600, and what verifies
//	DIR/leaves.jsonl       the entries, one JSON object per line; the bytes of a line are the leaf
//
// Entries are the acts of the store, numbered without holes, and beside them what the store does not keep: sign-ins,
// refused ones, refused sensors. An entry is on disk when Append returns; the tree follows.
//
// Limits: who holds the key and the folder can write another history from the beginning. It then differs from every
// checkpoint that somebody else has kept: hand them out. Entries after the latest checkpoint are not signed yet.
package audit
