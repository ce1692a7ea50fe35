// Package events keeps what the rules have judged on disk, in few bytes, so that a changed rule can be tried on the past.
//
// A folder holds segments, which are numbered; the highest number is the newest. A segment is a head and blocks. A block
// stands by itself, so that a damaged one costs no other.
//
//	segment  "RJES" version length head              crc   block block ...
//	         4      1       4      length, JSON      4
//	block    "RJEB" raw packed events first last crc bytes
//	         4      4   4      4      8     8    4   packed, zstd
//
// Numbers of the frames above are little-endian; first and last are packet times. The head names the fields of each
// protocol, so that a later version with other tables still reads it. Within a block, an event is a row of variable-length
// numbers. What repeats stands once and is then named by its number: who talks to whom, what the baseline knew, and the
// shape of a message, which is all of it but numbers that count, points and times. Those are differences from the row of
// the same shape before.
//
// What is not kept: the bytes of a message, texts of points, and the lists in a protocol's own object (object headers,
// device identification, event logs). No word of the rule language but `content` needs them, and of the bytes that it is
// made of a hash is kept.
package events
