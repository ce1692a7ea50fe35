// Package iec104station speaks IEC 60870-5-104 (edition 2) on both sides: Outstation is the controlled station, Session
// the controlling one.
//
//	68 | length | control 4 | type | SQ,N | P/N,T,cause | originator | common address 2 | object address 3 | element …
//
// Sizes are those of the 104 profile (cause 2, common address 2, object address 3). k is 12 and w is 8; t1, t2 and t3
// are 15, 10 and 20 s (clause 9.6). Limits: no redundancy groups; a file is one or more sections read or written in order.
package iec104station
