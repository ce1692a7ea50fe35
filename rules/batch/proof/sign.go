package proof

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// A Signature says whose a Statement is. It is an Ed25519 signature of "roje-coverage-1 " and the SHA-256 of the
// statement's canonical JSON without its seal: members sorted, no space, as RFC 8785 writes what a Statement holds.
type Signature struct {
	Key       []byte `json:"key"` // public; base64
	Signature []byte `json:"signature"`
}

// signedStatement is what a signature of a statement is for.
const signedStatement = "roje-coverage-1 "

// Sign returns the statement as canonical JSON with its seal.
func Sign(s *Statement, key ed25519.PrivateKey) ([]byte, error) {
	bare := *s
	bare.Seal = nil
	text, err := canonical(&bare)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	bare.Seal = &Signature{Key: key.Public().(ed25519.PublicKey), Signature: ed25519.Sign(key, append([]byte(signedStatement), sum[:]...))}
	return canonical(&bare)
}

// canonical writes v with its members sorted.
func canonical(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var tree any
	if err := d.Decode(&tree); err != nil {
		return nil, err
	}
	if d.More() {
		return nil, errors.New("more than one value")
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(tree); err != nil { // maps are written with sorted keys
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// Verify checks the signature of a statement's text and that its sums add up. The text must be as Sign wrote it, save
// for space. The seal's SHA256 is that of the text as it is.
func Verify(text []byte) (*Statement, *Seal, error) {
	false := func(why string) (*Statement, *Seal, error) {
		return nil, nil, fmt.Errorf("%w: %s", ErrFalse, why)
	}
	var tree map[string]json.RawMessage
	if err := json.Unmarshal(text, &tree); err != nil {
		return false("it is no JSON object")
	}
	var sig Signature
	if err := json.Unmarshal(tree["seal"], &sig); err != nil || len(sig.Key) != ed25519.PublicKeySize {
		return false("it has no seal")
	}
	delete(tree, "seal")
	bare, err := canonical(tree)
	if err != nil {
		return nil, nil, err
	}
	sum := sha256.Sum256(bare)
	if !ed25519.Verify(sig.Key, append([]byte(signedStatement), sum[:]...), sig.Signature) {
		return false("the signature does not belong to the content")
	}
	s := new(Statement)
	if err := json.Unmarshal(text, s); err != nil {
		return false(err.Error())
	}
	if err := s.Check(); err != nil {
		return nil, nil, err
	}
	whole := sha256.Sum256(text)
	return s, &Seal{SHA256: hex.EncodeToString(whole[:]), Key: sig.Key}, nil
}

// Check returns ErrFalse where the statement contradicts itself.
func (s *Statement) Check() error {
	if s.Type != StatementType || s.Form != 1 {
		return fmt.Errorf("%w: it is no statement of a form that is known", ErrFalse)
	}
	links, sources := s.Rest, Sums{}
	exact := s.Rest.Exact() && s.Total.Exact()
	for i := range s.Links {
		links.Add(&s.Links[i].Sums)
		exact = exact && s.Links[i].Sums.Exact()
	}
	for i := range s.Sources {
		sources.Add(&s.Sources[i].Sums)
		exact = exact && s.Sources[i].Sums.Exact()
	}
	if !exact || links != s.Total || sources != s.Total {
		return fmt.Errorf("%w: its sums do not add up", ErrFalse)
	}
	at := s.From
	for _, span := range s.timeline() {
		if !span.From.Equal(at) || span.To.Before(span.From) {
			return fmt.Errorf("%w: its times leave %v out, or say it twice", ErrFalse, at)
		}
		at = span.To
	}
	if !at.Equal(s.To) {
		return fmt.Errorf("%w: its times end at %v", ErrFalse, at)
	}
	return nil
}

// timeline is what was watched and what was not, in order.
func (s *Statement) timeline() []Span {
	all := slices.Concat(s.Watched, s.Not)
	slices.SortStableFunc(all, func(a, b Span) int {
		if c := a.From.Compare(b.From); c != 0 {
			return c
		}
		return a.To.Compare(b.To)
	})
	return all
}
