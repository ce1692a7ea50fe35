// Package evidence keeps the frames that an alert stands on: those before it as well as those after.
//
//	packets ──▸ Ring (memory, bounded) ──▸ Desk ──▸ ID.pcapng: frames with decoded comments, signed
//
// The ring is kept per pair of hosts in two tiers: pairs that have commanded or written have one of their own, so that a
// flood of other traffic, spoofed or not, does not push their frames out. A file's last block carries an Ed25519
// signature of all before it; Wireshark shows it as a comment. User names and passwords are masked before anything is
// written. Redact makes a variant for sharing, with pseudonyms for addresses.
//
// Limits: a pair's frames are found by the outermost IP addresses; frames that are neither IP nor ARP are kept, but by
// the pair of their MAC addresses.
package evidence
