// Package audit keeps a transparency log of what people and the collector did: a Merkle tree (RFC 6962 §2, by
// golang.org/x/mod/sumdb/tlog) whose root is signed every minute. Who has a root that was signed once can tell for ever
// whether an entry of before was changed, removed or put in: by `roje-collector audit verify`, without the collector.
//
// All collectors of a store share one log, which the store keeps (store.Audit): who appends holds a lock from the place of
// the first entry to the commit. Each collector follows it into a copy of its own, signs the roots of the copy with a key of
// its own, and holds the roots that the others signed to its copy: so who has the database, or one collector, and writes the
// history anew is found out by every other. Each key is introduced by an entry.
//
//	DIR/checkpoint         the root that this collector signed last, a note in the form of C2SP tlog-checkpoint
//	DIR/checkpoints.jsonl  all collectors' in the store's order, a JSON string per line; one per collector and size of the log
//	DIR/hashes             the tree's stored hashes, 32 bytes each, as tlog orders them; made anew where they are missing
//	DIR/key, key.pub       the key that this collector signs with, mode 0600, and what verifies
//	DIR/leaves.jsonl       the entries, one JSON object per line; the bytes of a line are the leaf
//
// Entries are the acts of the store, each once, whichever collector is the first to tell of it, and beside them what the
// store does not keep as acts: sign-ins, refused ones, refused sensors. An entry is in the store when Append returns; the copy
// follows. This package is where all of that is written: acts by the call of the store that does the thing, in its
// transaction; refusals by Refused; the rest by Log.Append.
//
// Limits: who holds the keys of all collectors, their folders and the store can write another history from the beginning. It
// then differs from every checkpoint that somebody else has kept: hand them out. Entries after the latest checkpoint are not
// signed yet.
package audit
