package batch

// KindEvidence is the kind of a record that is a Piece of the evidence of an alert.
const KindEvidence = "evidence"

// MaxPiece is the most bytes of a Piece; MaxEvidence the most that evidence may have.
const (
	MaxPiece    = 256 << 10
	MaxEvidence = 64 << 20
)

// A Piece is a part of the file that an alert's evidence is: the bytes at an offset. Size and SHA256 are those of the
// whole, so that each piece says what it belongs to. Pieces come in order; where one was lost the collector asks anew,
// from what it has.
type Piece struct {
	Alert  string `json:"alert"` // its id, as the sensor gave it
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	At     int64  `json:"at"`
	Data   []byte `json:"data,omitempty"`
	Gone   string `json:"gone,omitempty"` // there is no such file: why. All else but Alert is zero then
}

// An Ask is what a collector says in an Answer to have the evidence of an alert sent, from an offset on.
type Ask struct {
	Alert string `json:"alert"`
	From  int64  `json:"from"`
}

// MaxAsks is how many Asks an Answer has at most; the others follow when these are there.
const MaxAsks = 8
