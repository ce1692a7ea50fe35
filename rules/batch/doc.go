// Package batch is the envelope in which a sensor's records travel to its collector. An envelope is self-contained: the
// same bytes go over HTTPS, over a one-way link, or as a file, and whoever has them can tell who sealed them, which
// records of which stream they hold, and whether an envelope before them is missing.
//
//	offset
//	0       "ROJB"
//	4       version, 1
//	5       h, length of the header, uint32 big endian, at most 16 KiB
//	9       header, JSON (see Header); members that a reader does not know are ignored
//	9+h     p, length of the payload, uint32 big endian, at most 8 MiB
//	13+h    payload: JSON lines {"seq","kind","body"}, compressed as the header says, at most 16 MiB when unpacked
//	13+h+p  Ed25519 signature by the sensor's key over everything before it, 64 bytes
//
// A stream is one lane of one epoch of one sensor. Its records are numbered from Header.Base without holes; an epoch is
// drawn at random when a spool is made, so numbers never mean two things. Header.Prev is the hash of the envelope
// sealed before this one in the stream, so a missing, swapped or forged one shows.
//
// Limits: an envelope is small enough to be held in memory. Nothing here reads a clock, a file or a socket: times and
// keys are arguments.
package batch
