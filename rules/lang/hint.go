package lang

import (
	"fmt"
	"strings"

	"github.com/roje-ot/roje/rules/strict"
)

// An Error is one thing that is wrong with a rule file, at its place.
type Error struct {
	File      string
	Line, Col int
	Message   string
	Hint      string // what to do; may be empty
}

func (e *Error) Error() string {
	s := fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Col, e.Message)
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// didYouMean returns a hint with the nearest of names, or with all of them where they are few and none is near.
func didYouMean(word string, names []string) string {
	if near, ok := strict.Nearest(word, names); ok {
		return fmt.Sprintf("did you mean %q?", near)
	}
	if len(names) <= 16 {
		return "it is one of " + strings.Join(names, ", ")
	}
	return ""
}
