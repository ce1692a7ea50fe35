package flow

import (
	"strconv"

	"github.com/roje-ot/roje/protocols"
)

// Counters account for the bytes and messages of a connection, or of a protocol. Once a connection is closed,
// Seen = Decoded + Skipped.
type Counters struct {
	Packets     uint64 `json:"packets"`
	Seen        uint64 `json:"bytes_seen"`    // payload, each byte of a stream once
	Decoded     uint64 `json:"bytes_decoded"` // in frames that the decoder took
	Skipped     uint64 `json:"bytes_skipped"` // in no frame
	Gaps        uint64 `json:"gaps"`          // runs of bytes that were not captured
	GapBytes    uint64 `json:"gap_bytes"`     //
	Resyncs     uint64 `json:"resyncs"`       // runs of skipped bytes
	Messages    uint64 `json:"messages"`
	Unpaired    uint64 `json:"unpaired"`     // answers whose request was not seen
	LastDecoded int64  `json:"last_decoded"` // time of the last message, Unix nanoseconds; 0 if there was none
	Repeated    uint64 `json:"repeated"`     // packets that brought nothing new: retransmissions and second mirrors
	Overlaps    uint64 `json:"overlaps"`     // packets that repeated bytes with other content
	Copies      uint64 `json:"copies"`       // of Repeated: copies of a packet that came just before, as a second mirror gives
}

func (a *Counters) add(b *Counters) {
	a.Packets += b.Packets
	a.Seen += b.Seen
	a.Decoded += b.Decoded
	a.Skipped += b.Skipped
	a.Gaps += b.Gaps
	a.GapBytes += b.GapBytes
	a.Resyncs += b.Resyncs
	a.Messages += b.Messages
	a.Unpaired += b.Unpaired
	a.LastDecoded = max(a.LastDecoded, b.LastDecoded)
	a.Repeated += b.Repeated
	a.Overlaps += b.Overlaps
	a.Copies += b.Copies
}

// Bucket is what became of a packet. Every packet is in exactly one.
type Bucket uint8

// The buckets.
const (
	Decoded   Bucket = iota // its payload went to the decoder of its protocol
	Control                 // TCP without payload: SYN, ACK, keep-alive, FIN, RST
	Repeat                  // all of its payload was seen before
	Late                    // came after its bytes had been given up, and could not be used
	Encrypted               // TLS
	Unknown                 // TCP or UDP payload of no protocol that is decoded
	OtherIP                 // IP that is neither TCP nor UDP
	Fragment                // a fragment, other than the one that completed its datagram
	Arp                     //
	NotIP                   // another network protocol
	Cut                     // the capture cut it before its payload
	Malformed               // headers that contradict themselves
	Unread                  // a link layer that is not read
	buckets
)

var bucketNames = [...]string{"decoded", "tcp_control", "retransmission", "late", "tls", "other_protocol", "other_ip", "fragment", "arp", "not_ip",
	"truncated", "malformed", "link_unread"}

func (b Bucket) String() string { return bucketNames[b] }

// Coverage is the account of a Table: what it has been given and what became of it.
type Coverage struct {
	Packets     uint64
	Buckets     [buckets]uint64     // their sum is Packets
	Connections uint64              // made so far
	Evicted     uint64              // of them closed to make room
	Total       Counters            // of closed connections
	Protocols   map[string]Counters // the same by Conn.Name
}

// AppendJSON appends the account as the line of kind "capture" of the coverage contract, without a newline. name is
// the capture's.
func (v *Coverage) AppendJSON(dst []byte, name string) []byte {
	dst = append(dst, `{"type":"capture","capture":`...)
	dst = protocols.AppendString(dst, name)
	dst = appendCount(dst, "packets", v.Packets)
	dst = append(dst, `,"buckets":{`...)
	for i, n := range v.Buckets {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, '"')
		dst = append(dst, bucketNames[i]...)
		dst = append(dst, '"', ':')
		dst = strconv.AppendUint(dst, n, 10)
	}
	dst = append(dst, '}')
	dst = appendCount(dst, "connections", v.Connections)
	dst = appendCount(dst, "evicted", v.Evicted)
	dst = append(dst, `,"total":{`...)
	dst = v.Total.appendJSON(dst)
	dst = append(dst, `},"protocols":{`...)
	for i, name := range v.names() {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = protocols.AppendString(dst, name)
		dst = append(dst, ':', '{')
		count := v.Protocols[name]
		dst = count.appendJSON(dst)
		dst = append(dst, '}')
	}
	return append(dst, '}', '}')
}

// AppendJSON appends the connection's account as the line of kind "connection" of the coverage contract, without a
// newline.
func (c *Conn) AppendJSON(dst []byte) []byte {
	dst = append(dst, `{"type":"connection","id":`...)
	dst = strconv.AppendUint(dst, c.ID, 10)
	dst = append(dst, `,"proto":"`...)
	dst = append(dst, c.Name()...)
	dst = append(dst, `","transport":"`...)
	dst = append(dst, c.Transport.String()...)
	dst = append(dst, `","client":"`...)
	dst = c.Ends[c.Server.Other()].AppendTo(dst)
	dst = append(dst, `","server":"`...)
	dst = c.Ends[c.Server].AppendTo(dst)
	dst = append(dst, `","server_known":`...)
	dst = strconv.AppendBool(dst, c.ServerKnown)
	dst = append(dst, `,"first":`...)
	dst = protocols.AppendTime(dst, c.First)
	dst = append(dst, `,"last":`...)
	dst = protocols.AppendTime(dst, c.Last)
	dst = append(dst, ',')
	dst = c.Count.appendJSON(dst)
	if c.TLS != nil {
		dst = append(dst, `,"tls":`...)
		dst = c.TLS.AppendJSON(dst)
	}
	return append(dst, '}')
}

func (a *Counters) appendJSON(dst []byte) []byte {
	dst = append(dst, `"packets":`...)
	dst = strconv.AppendUint(dst, a.Packets, 10)
	dst = appendCount(dst, "bytes_seen", a.Seen)
	dst = appendCount(dst, "bytes_decoded", a.Decoded)
	dst = appendCount(dst, "bytes_skipped", a.Skipped)
	dst = appendCount(dst, "gaps", a.Gaps)
	dst = appendCount(dst, "gap_bytes", a.GapBytes)
	dst = appendCount(dst, "resyncs", a.Resyncs)
	dst = appendCount(dst, "messages", a.Messages)
	dst = appendCount(dst, "unpaired", a.Unpaired)
	dst = appendCount(dst, "repeated", a.Repeated)
	dst = appendCount(dst, "overlaps", a.Overlaps)
	dst = appendCount(dst, "copies", a.Copies)
	if a.LastDecoded != 0 {
		dst = append(dst, `,"last_decoded":`...)
		dst = protocols.AppendTime(dst, a.LastDecoded)
	}
	return dst
}

func appendCount(dst []byte, name string, n uint64) []byte {
	dst = append(dst, ',', '"')
	dst = append(dst, name...)
	dst = append(dst, '"', ':')
	return strconv.AppendUint(dst, n, 10)
}
