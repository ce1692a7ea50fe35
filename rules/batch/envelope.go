package batch

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// Limits of one envelope. A writer that stays below them is read by every version.
const (
	MaxHeader   = 16 << 10
	MaxPayload  = 8 << 20
	MaxRaw      = 16 << 20
	MaxRecords  = 65536
	MaxEnvelope = prefix + MaxHeader + 4 + MaxPayload + ed25519.SignatureSize

	// Version is the version that Seal writes.
	Version = 1

	magic     = "ROJB"
	prefix    = len(magic) + 1 + 4
	codecZstd = "zstd"
	maxSeq    = 1<<63 - 1 // what a signed column of a database holds
)

var form = Form{Magic: magic, Version: Version, MaxHeader: MaxHeader, MaxPayload: MaxPayload}

// The errors that a reader may want to tell apart.
var (
	ErrVersion   = errors.New("unknown version of the envelope")
	ErrSignature = errors.New("signature does not fit the key")
)

// An Envelope is one that was read but not yet trusted: call Verify before believing anything in it.
type Envelope struct {
	Header
	Hash  Hash   // of all its bytes
	Bytes []byte // all of it, aliasing what Decode was given

	payload []byte
}

var encoder = sync.OnceValue(func() *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false))
	if err != nil {
		panic(err) // only a wrong constant option can fail
	}
	return e
})

var decoder = sync.OnceValue(func() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(MaxRaw), zstd.WithDecoderMaxWindow(MaxRaw))
	if err != nil {
		panic(err) // only a wrong constant option can fail
	}
	return d
})

// Seal packs records, which must be numbered without holes, and signs them. The caller fills in the header's sensor,
// operator, epoch, lane, base, prev and times; Seal does the rest. It is safe for concurrent use.
func Seal(h Header, records []Record, key ed25519.PrivateKey) ([]byte, error) {
	if len(records) == 0 {
		return nil, errors.New("seal: no records")
	}
	var lines []byte
	for i, r := range records {
		if r.Seq != records[0].Seq+uint64(i) {
			return nil, fmt.Errorf("seal: record %d where %d was due", r.Seq, records[0].Seq+uint64(i))
		}
		line, err := json.Marshal(r)
		if err != nil {
			return nil, fmt.Errorf("seal: record %d: %w", r.Seq, err)
		}
		lines = append(append(lines, line...), '\n')
	}
	payload := encoder().EncodeAll(lines, nil)
	if len(payload) > MaxPayload {
		return nil, fmt.Errorf("seal: payload of %d bytes is more than %d", len(payload), MaxPayload)
	}
	h.Key = KeyID(key.Public().(ed25519.PublicKey))
	h.From, h.To = records[0].Seq, records[len(records)-1].Seq
	h.Codec, h.Raw, h.Sum = codecZstd, len(lines), sha256.Sum256(payload)
	if err := h.check(); err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	head, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return form.Sign(head, payload, key), nil
}

// Decode reads the envelope at the start of b and returns what follows it. It checks lengths, header and checksum; it
// unpacks nothing.
func Decode(b []byte) (e *Envelope, rest []byte, err error) {
	head, payload, n, err := form.Cut(b)
	if err != nil {
		return nil, nil, fmt.Errorf("envelope: %w", err)
	}
	e = &Envelope{Bytes: b[:n], payload: payload}
	if err := json.Unmarshal(head, &e.Header); err != nil {
		return nil, nil, fmt.Errorf("envelope: header: %w", err)
	}
	if err := e.check(); err != nil {
		return nil, nil, fmt.Errorf("envelope: %w", err)
	}
	if sha256.Sum256(payload) != e.Sum {
		return nil, nil, errors.New("envelope: payload does not fit its checksum")
	}
	e.Hash = sha256.Sum256(e.Bytes)
	return e, b[n:], nil
}

// Verify returns nil if pub's key sealed the envelope.
func (e *Envelope) Verify(pub ed25519.PublicKey) error {
	if !form.Verify(e.Bytes, pub) {
		return fmt.Errorf("envelope: %w %s", ErrSignature, e.Key)
	}
	return nil
}

// Records unpacks the payload, at most MaxRaw bytes, and holds it to the header. The bodies own their memory.
func (e *Envelope) Records() ([]Record, error) {
	raw, err := decoder().DecodeAll(e.payload, make([]byte, 0, min(e.Raw, MaxRaw)))
	if err != nil {
		return nil, fmt.Errorf("envelope: payload: %w", err)
	}
	if len(raw) != e.Raw {
		return nil, fmt.Errorf("envelope: payload unpacks to %d bytes, the header says %d", len(raw), e.Raw)
	}
	records := make([]Record, 0, e.To-e.From+1)
	for len(raw) > 0 {
		line, rest, _ := bytes.Cut(raw, []byte{'\n'})
		raw = rest
		var r Record
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, fmt.Errorf("envelope: record after %d: %w", e.From+uint64(len(records)), err)
		}
		if due := e.From + uint64(len(records)); r.Seq != due || due > e.To {
			return nil, fmt.Errorf("envelope: record %d where %d was due", r.Seq, due)
		}
		if r.Kind == "" || len(r.Kind) > 64 || len(r.Body) == 0 {
			return nil, fmt.Errorf("envelope: record %d has no kind or no body", r.Seq)
		}
		records = append(records, r)
	}
	if uint64(len(records)) != e.To-e.From+1 {
		return nil, fmt.Errorf("envelope: %d records, the header says %d to %d", len(records), e.From, e.To)
	}
	return records, nil
}
