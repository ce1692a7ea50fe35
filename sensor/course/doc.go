// Package course remembers how the values of measured points go: the range that was learned, the greatest step from one
// value to the next, how long a value stood still, and the last values themselves. It says where a value leaves what was
// learned, stands still while others move, or repeats a stretch of the past.
//
// A point is an analog one of a station behind a server. Memory is bounded: pages of 64 neighbouring addresses, at most
// maxPages; what finds no room is counted in Overflow. One goroutine uses a Memory. Time is packet time.
package course
