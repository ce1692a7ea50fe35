package coverage

import (
	"fmt"
	"os"

	"github.com/roje-ot/roje/rules/batch/proof"
)

// What a Book states is in the words of package proof, which others read it by.
type (
	Statement = proof.Statement
	Sums      = proof.Sums
	Span      = proof.Span
	SourceDay = proof.SourceDay
	LinkDay   = proof.LinkDay
	Key       = proof.Key
	Blind     = proof.Blind
)

// VerifyFile checks the signature of a statement in a file, and that it does not contradict itself; offline.
func VerifyFile(path string) (*Statement, *proof.Seal, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("coverage: %w", err)
	}
	s, seal, err := proof.Verify(text)
	if err != nil {
		return nil, nil, fmt.Errorf("coverage %s: %w", path, err)
	}
	return s, seal, nil
}
