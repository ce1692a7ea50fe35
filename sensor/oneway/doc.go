// Package oneway sends what is in the spool over a link that has no way back: a data diode. No answer is ever needed.
//
//	spool ──Next──▸ archive (disk) ──▸ carrier ──▸ Ack
//	                   │                 udp    datagrams with parity (rules/batch/fec), paced
//	                   │                 tcp    envelopes one after another, never read from
//	                   │                 files  FILE.batch, fsync and rename, for a transfer of files
//	                   └── repeats of the important lanes, and `roje-sensor export` of what got lost
//
// An envelope leaves the spool once it is in the archive and was sent once. Over UDP the Vital and Urgent lanes are sent
// again, spread in time, as a link that is down for a moment loses more than parity brings back. The receiver names what
// it misses: it learns from the sensor's health record, which is the heartbeat, what was sent. The archive keeps what
// was sent within a budget of bytes, the important lanes the longest, so that a missing range can be carried over by
// hand.
//
// Limits: that the far side has stored something is never known. TCP is as good as the proxy of the diode: when its
// connection breaks, what the proxy took and did not pass on shows as a gap at the receiver.
package oneway
