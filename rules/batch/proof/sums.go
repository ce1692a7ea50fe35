package proof

// Sums add up the counts of connections. Over a stretch of time a member can be negative: the first bytes of a
// connection whose protocol is recognised late are counted anew.
type Sums struct {
	Packets  int64 `json:"packets"`
	Seen     int64 `json:"bytes_seen"`
	Decoded  int64 `json:"bytes_decoded"`
	Skipped  int64 `json:"bytes_skipped"`        // = Unframed + TLS + Other
	Waiting  int64 `json:"bytes_waiting"`        // for the rest of their frame, at the end less at the beginning
	Unframed int64 `json:"bytes_unframed"`       // in no frame of a protocol that is decoded
	TLS      int64 `json:"bytes_tls"`            // encrypted
	Other    int64 `json:"bytes_other_protocol"` // of no protocol that is decoded
	Gaps     int64 `json:"gaps"`                 // runs of bytes that were not captured
	GapBytes int64 `json:"gap_bytes"`            //
	Resyncs  int64 `json:"resyncs"`              // runs of skipped bytes
	Messages int64 `json:"messages"`             //
	Unpaired int64 `json:"unpaired"`             // answers whose request was not seen
	Repeated int64 `json:"repeated"`             // packets that brought nothing new
	Copies   int64 `json:"copies"`               // of those: copies as a second mirror gives
	Overlaps int64 `json:"overlaps"`             // packets that repeated bytes with other content
}

// Exact says whether the bytes add up.
func (s *Sums) Exact() bool {
	return s.Seen == s.Decoded+s.Skipped+s.Waiting && s.Skipped == s.Unframed+s.TLS+s.Other
}

// Add adds the sums of b.
func (s *Sums) Add(b *Sums) {
	s.Packets += b.Packets
	s.Seen += b.Seen
	s.Decoded += b.Decoded
	s.Skipped += b.Skipped
	s.Waiting += b.Waiting
	s.Unframed += b.Unframed
	s.TLS += b.TLS
	s.Other += b.Other
	s.Gaps += b.Gaps
	s.GapBytes += b.GapBytes
	s.Resyncs += b.Resyncs
	s.Messages += b.Messages
	s.Unpaired += b.Unpaired
	s.Repeated += b.Repeated
	s.Copies += b.Copies
	s.Overlaps += b.Overlaps
}
