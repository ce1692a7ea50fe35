package batch

import "time"

// Paths of the ingest listener. Bodies of PathBatches are one or more envelopes, one after another; everything else is
// JSON.
const (
	PathBatches = "/v1/ingest/batches"
	PathEnrol   = "/v1/enrol"
	PathRenew   = "/v1/renew"
	PathPacks   = "/v1/packs"         // GET: Offers; GET with "/" and a SHA-256: the pack
	PathOutcome = "/v1/packs/outcome" // POST: an Outcome

	// ContentType is that of envelopes.
	ContentType = "application/vnd.roje.batch"
	// MaxBody is the most bytes one request may have; MaxBodyRaw the most its payloads may have when unpacked.
	MaxBody    = 16 << 20
	MaxBodyRaw = 64 << 20
)

// An Answer is what the collector says to envelopes that it has committed.
type Answer struct {
	Ack      map[Lane]uint64 `json:"ack"`            // by lane: all numbers up to this one are committed, or in Want
	Want     []Range         `json:"want,omitempty"` // numbers that never came
	Credit   int64           `json:"credit_bytes"`   // how much the next request may carry; 0: wait first
	RetryS   float64         `json:"retry_after"`    // seconds to wait before the next request
	Time     time.Time       `json:"server_time"`
	Policy   uint64          `json:"policy_rev,omitempty"` // Revision of what is offered to the sensor; 0: nothing is
	Evidence []Ask           `json:"evidence,omitempty"`   // what to send when there is nothing else to
	Expires  time.Time       `json:"cert_expires"`         // of the certificate that was shown
}

// A Range is a run of numbers of a stream.
type Range struct {
	Epoch string `json:"epoch"`
	Lane  Lane   `json:"lane"`
	From  uint64 `json:"from"`
	To    uint64 `json:"to"`
}

// A Refusal is the body of every answer that is not 200. To a sensor that knows no Waiting it is one that says why.
type Refusal struct {
	Code    Code   `json:"error"`
	Message string `json:"message"`
}

// A Code says why, for programs.
type Code string

// The codes. Only Busy passes by itself, and Waiting when a person has decided.
const (
	Busy      Code = "busy"      // 429 or 503, with Retry-After
	Malformed Code = "malformed" // 400: what was sent cannot be read, or is of an unknown version
	TooLarge  Code = "too_large" // 413
	NoCert    Code = "no_certificate"
	BadCert   Code = "bad_certificate" // of another CA, expired, or for something else
	Denied    Code = "denied"          // the sensor is on the deny list, or unknown
	Foreign   Code = "foreign"         // the envelope is of another sensor or operator than the certificate
	Unsigned  Code = "bad_signature"
	Forked    Code = "forked" // 409: the collector knows another envelope with these numbers: Renew the spool
	BadToken  Code = "bad_token"
	Waiting   Code = "waiting" // 202, with Retry-After: a person must approve the sensor; ask again with the same key
	NotFound  Code = "not_found"
)
