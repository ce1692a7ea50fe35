package lang

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/checker"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/types"
)

// Limits of one condition.
const (
	maxNodes = 500
	maxBytes = 4096
)

// Cond is a compiled condition. It allocates nothing and always ends.
type Cond func(*Env) bool

// A condError is an error at a byte offset of a condition's text.
type condError struct {
	at            int
	message, hint string
}

func (e *condError) Error() string {
	if e.hint != "" {
		return e.message + "; " + e.hint
	}
	return e.message
}

func refuse(n ast.Node, hint, format string, args ...any) error {
	return &condError{n.Location().From, fmt.Sprintf(format, args...), hint}
}

// Condition compiles text and returns the part that needs no state and the part that does; either is nil where there is none.
func (v *Vocabulary) Condition(text string) (before, after Cond, err error) {
	before, after, _, err = v.condition(text)
	return before, after, err
}

// condition is Condition, and says what the part without state cannot hold without.
func (v *Vocabulary) condition(text string) (before, after Cond, need Need, err error) {
	root, err := v.parse(text)
	if err != nil {
		return nil, nil, 0, err
	}
	for _, part := range conjuncts(root, nil) {
		c := &compiler{v: v}
		cond, err := c.bool(part)
		if err != nil {
			return nil, nil, 0, err
		}
		if c.state {
			after = both(after, cond)
		} else {
			before = both(before, cond)
			need |= c.needOf(part)
		}
	}
	return before, after, need, nil
}

// parse reads and type-checks text.
func (v *Vocabulary) parse(text string) (ast.Node, error) {
	if len(text) > maxBytes {
		return nil, &condError{0, fmt.Sprintf("condition of %d bytes", len(text)), fmt.Sprintf("at most %d", maxBytes)}
	}
	config := v.config()
	tree, err := parser.ParseWithConfig(text, config)
	if err != nil {
		return nil, located(err)
	}
	if err := v.checkNames(tree.Node); err != nil {
		return nil, err
	}
	t, err := checker.Check(tree, config)
	if err != nil {
		return nil, located(err)
	}
	if t == nil || t.Kind() != reflect.Bool {
		return nil, &condError{0, fmt.Sprintf("condition is a %v, not a bool", t), "compare it with something"}
	}
	return tree.Node, nil
}

// located turns an error of expr into ours.
func located(err error) error {
	var e *file.Error
	if errors.As(err, &e) {
		return &condError{e.From, e.Message, ""}
	}
	return &condError{0, err.Error(), ""}
}

// config describes the words to expr's checker; it knows no functions.
func (v *Vocabulary) config() *conf.Config {
	c := conf.CreateNew()
	c.MaxNodes = maxNodes
	clear(c.Builtins)
	c.DisableIfOperator = true
	env := types.Map{}
	for _, w := range v.order {
		group, name, ok := split(w.Name)
		if !ok {
			env[w.Name] = exprType(w.Kind)
			continue
		}
		members, _ := env[group].(types.Map)
		if members == nil {
			members = types.Map{}
			env[group] = members
		}
		members[name] = exprType(w.Kind)
	}
	c.WithEnv(env)
	return c
}

func exprType(k Kind) types.Type {
	switch k {
	case Bool:
		return types.Bool
	case Int:
		return types.Int
	case Float:
		return types.Float64
	case Faults:
		return types.Array(types.String)
	}
	return types.String
}

// split cuts "modbus.sub" in two.
func split(name string) (group, member string, ok bool) {
	for i := range len(name) {
		if name[i] == '.' {
			return name[:i], name[i+1:], true
		}
	}
	return "", name, false
}

// checkNames refuses unknown names with a hint, before the checker says it without one.
func (v *Vocabulary) checkNames(n ast.Node) error {
	var walker nameWalker
	walker.v = v
	ast.Walk(&n, &walker)
	return walker.err
}

type nameWalker struct {
	v   *Vocabulary
	err error
}

// Visit sees children before their parents, so a group's identifier waits for its member node.
func (w *nameWalker) Visit(n *ast.Node) {
	if w.err != nil {
		return
	}
	switch n := (*n).(type) {
	case *ast.IdentifierNode:
		if _, ok := w.v.words[n.Value]; !ok && !w.group(n.Value) {
			w.err = refuse(n, didYouMean(n.Value, w.v.names()), "unknown word %q", n.Value)
		}
	case *ast.MemberNode:
		name, ok := memberName(n)
		if !ok {
			w.err = refuse(n, "write group.word", "only the words of a protocol have a dot")
		} else if _, known := w.v.words[name]; !known {
			w.err = refuse(n, didYouMean(name, w.v.names()), "unknown word %q", name)
		}
	}
}

func (w *nameWalker) group(name string) bool {
	_, ok := w.v.proto(name)
	return ok
}

func memberName(n *ast.MemberNode) (string, bool) {
	group, ok := n.Node.(*ast.IdentifierNode)
	if !ok || n.Optional || n.Method {
		return "", false
	}
	member, ok := n.Property.(*ast.StringNode)
	if !ok {
		return "", false
	}
	return group.Value + "." + member.Value, true
}

// conjuncts appends the parts of n that are joined by `and` at its top.
func conjuncts(n ast.Node, dst []ast.Node) []ast.Node {
	if b, ok := n.(*ast.BinaryNode); ok && (b.Operator == "and" || b.Operator == "&&") {
		return conjuncts(b.Right, conjuncts(b.Left, dst))
	}
	return append(dst, n)
}

func both(a, b Cond) Cond {
	if a == nil {
		return b
	}
	if b == nil {
		return a
	}
	return func(env *Env) bool { return a(env) && b(env) }
}
