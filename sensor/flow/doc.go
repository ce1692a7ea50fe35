// Package flow makes messages out of packets: layers, fragments, streams, connections, the decoder that fits, and an
// account of every packet and byte.
//
//	capture.Packet -> layers -> fragments -> connection -> stream, in order -> Split -> Decode -> Handler
//
// A connection is made on sight, in the middle of a session too. Its bytes reach the decoder in order and once: what a
// second mirror or a retransmission repeats is compared and dropped, what is missing is waited for only until it is
// known to be lost, and then the loss is said. A decoder is never given up: after a loss or an error it finds its next
// frame by itself.
//
// What flow accounts for is exact. Every packet is in one Bucket, and of every connection Seen = Decoded + Skipped once
// it is closed.
//
// Limits: a Table belongs to one goroutine. The VLAN is not part of a connection's key, because the two directions of
// a mirrored link may carry different tags; the VXLAN network identifier is. ICMP is counted and not read.
package flow
