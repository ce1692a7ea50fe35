package lang

import (
	"errors"

	"go.yaml.in/yaml/v3"
)

// EventCondition compiles the condition that node n of a YAML file holds. It may look at one event alone, not at the
// state of a rule. What is wrong is a joined list of *Error at their places.
func (v *Vocabulary) EventCondition(file string, n *yaml.Node) (Cond, error) {
	r := &reader{file: file, v: v}
	cond, _ := r.event(n)
	return cond, errors.Join(r.errs...)
}
