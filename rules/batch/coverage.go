package batch

// KindStatement is the kind of a record that is a day's signed statement of coverage: docs/schema/statement.json.
const KindStatement = "statement"

// KindLedgerSeal is the kind of a record that is a sensor's seal over its ledger: proof.LedgerSeal.
const KindLedgerSeal = "ledger_seal"

// A Cover is what a sensor, or one of its sources, has made of the payload that it saw since it started. Seen = Decoded +
// Skipped + Waiting, and Skipped = Unframed + TLS + Other.
type Cover struct {
	Seen     int64 `json:"bytes_seen"`
	Decoded  int64 `json:"bytes_decoded"`
	Skipped  int64 `json:"bytes_skipped"`
	Waiting  int64 `json:"bytes_waiting"`        // for the rest of their frame
	Unframed int64 `json:"bytes_unframed"`       // in no frame of a protocol that is decoded
	TLS      int64 `json:"bytes_tls"`            //
	Other    int64 `json:"bytes_other_protocol"` //
	Gaps     int64 `json:"gaps"`                 // runs of bytes that were not captured
	GapBytes int64 `json:"gap_bytes"`            //
	Copies   int64 `json:"copies"`               // packets that came twice, as from a second mirror
	Links    int   `json:"links,omitempty"`      // that are known; of the sensor as a whole
	OneSided int   `json:"one_sided,omitempty"`  // of these: one side is missing
	Dark     int   `json:"undecoded,omitempty"`  // learned, seen and not decoded
	Silent   int   `json:"silent,omitempty"`     // learned, and heard no more
}
