// Package recall keeps on disk what the rules remember, so that a restart forgets at most the half minute since the last
// time that it was saved.
//
//	"RJRM" version(1) zstd( head part part ... )      head, part: length (uvarint), bytes
//
// The head is JSON: the seed that keys are made with, the interfaces that were watched, and how events are written. The
// parts are the engine's own. The checksum of zstd covers all of them.
//
// The file is written beside the one of before and takes its place as a whole. What is of no use is set aside: the rules
// then begin anew. Its size is bounded by the caps of the rules, and by what the engine writes of one rule.
//
// The file holds the seed, and with it whoever reads it could choose values that collide; nobody but the sensor may.
package recall
