package lang

import (
	"slices"

	"github.com/expr-lang/expr/ast"
)

// A compiler turns one checked syntax tree into closures. state says that it met a word of the state.
type compiler struct {
	v     *Vocabulary
	state bool
}

const subset = "see the subset in the documentation of the rule language"

func (c *compiler) bool(n ast.Node) (Cond, error) {
	switch n := n.(type) {
	case *ast.BoolNode:
		v := n.Value
		return func(*Env) bool { return v }, nil
	case *ast.IdentifierNode, *ast.MemberNode:
		w := c.word(n)
		if w == nil || w.Kind != Bool {
			return nil, refuse(n, "compare it with something", "%s is not a bool", n)
		}
		return w.bool, nil
	case *ast.UnaryNode:
		if n.Operator != "not" && n.Operator != "!" {
			break
		}
		a, err := c.bool(n.Node)
		if err != nil {
			return nil, err
		}
		return func(env *Env) bool { return !a(env) }, nil
	case *ast.BinaryNode:
		return c.binary(n)
	}
	return nil, refuse(n, subset, "%s is not supported as a condition", n)
}

func (c *compiler) binary(n *ast.BinaryNode) (Cond, error) {
	switch n.Operator {
	case "and", "&&", "or", "||":
		a, err := c.bool(n.Left)
		if err != nil {
			return nil, err
		}
		b, err := c.bool(n.Right)
		if err != nil {
			return nil, err
		}
		if n.Operator == "or" || n.Operator == "||" {
			return func(env *Env) bool { return a(env) || b(env) }, nil
		}
		return both(a, b), nil
	case "==", "!=", "<", "<=", ">", ">=":
		return c.compare(n)
	case "in":
		return c.in(n)
	case "contains", "startsWith", "endsWith":
		return c.affix(n)
	}
	return nil, refuse(n, subset, "operator %q is not supported", n.Operator)
}

// word returns the word that n names, or nil.
func (c *compiler) word(n ast.Node) *Word {
	var name string
	switch n := n.(type) {
	case *ast.IdentifierNode:
		name = n.Value
	case *ast.MemberNode:
		name, _ = memberName(n)
	}
	w := c.v.words[name]
	if w != nil && w.State {
		c.state = true
	}
	return w
}

// compare compiles == != < <= > >=.
func (c *compiler) compare(n *ast.BinaryNode) (Cond, error) {
	left, right, op := n.Left, n.Right, n.Operator
	if c.word(left) == nil && c.word(right) != nil {
		left, right, op = right, left, mirror(op)
	}
	if w := c.word(left); w != nil {
		switch {
		case w.Names != nil:
			return c.compareEnum(w, op, right)
		case w.Kind == Addr:
			return c.compareAddr(w, op, right)
		case w.Kind == MAC:
			return compareMAC(w, op, right)
		case w.Kind == Text:
			return c.compareText(w.text, op, right)
		case w.Kind == Bool:
			return c.compareBool(w, op, right)
		}
	}
	if a, err := c.int(left); err == nil {
		if b, err := c.int(right); err == nil {
			if k, ok := right.(*ast.IntegerNode); ok {
				return compareIntConst(a, op, int64(k.Value)), nil
			}
			return compareNumber(a, op, b), nil
		}
	}
	a, err := c.float(left)
	if err != nil {
		return nil, err
	}
	b, err := c.float(right)
	if err != nil {
		return nil, err
	}
	return compareNumber(a, op, b), nil
}

// mirror is the operator with its sides swapped.
func mirror(op string) string {
	switch op {
	case "<":
		return ">"
	case "<=":
		return ">="
	case ">":
		return "<"
	case ">=":
		return "<="
	}
	return op
}

func compareIntConst(a intFn, op string, k int64) Cond {
	switch op {
	case "==":
		return func(env *Env) bool { v, ok := a(env); return ok && v == k }
	case "!=":
		return func(env *Env) bool { v, ok := a(env); return ok && v != k }
	case "<":
		return func(env *Env) bool { v, ok := a(env); return ok && v < k }
	case "<=":
		return func(env *Env) bool { v, ok := a(env); return ok && v <= k }
	case ">":
		return func(env *Env) bool { v, ok := a(env); return ok && v > k }
	}
	return func(env *Env) bool { v, ok := a(env); return ok && v >= k }
}

func compareNumber[T int64 | float64](a func(*Env) (T, bool), op string, b func(*Env) (T, bool)) Cond {
	test := func(x, y T) bool { return x >= y }
	switch op {
	case "==":
		test = func(x, y T) bool { return x == y }
	case "!=":
		test = func(x, y T) bool { return x != y }
	case "<":
		test = func(x, y T) bool { return x < y }
	case "<=":
		test = func(x, y T) bool { return x <= y }
	case ">":
		test = func(x, y T) bool { return x > y }
	}
	return func(env *Env) bool {
		x, ok := a(env)
		if !ok {
			return false
		}
		y, ok := b(env)
		return ok && test(x, y)
	}
}

// compareEnum compares a word that has a closed set of values; the values are checked at load.
func (c *compiler) compareEnum(w *Word, op string, right ast.Node) (Cond, error) {
	k, ok := right.(*ast.StringNode)
	if !ok || op != "==" && op != "!=" {
		return nil, refuse(right, "", "%s is compared by == or != with one of its values in quotes", w.Name)
	}
	i, err := enumValue(w, k)
	if err != nil {
		return nil, err
	}
	return compareIntConst(w.int, op, i), nil
}

func enumValue(w *Word, k *ast.StringNode) (int64, error) {
	i := slices.Index(w.Names, k.Value)
	if i < 0 {
		return 0, refuse(k, didYouMean(k.Value, w.Names), "%q is no value of %s", k.Value, w.Name)
	}
	return int64(i), nil
}

func (c *compiler) compareBool(w *Word, op string, right ast.Node) (Cond, error) {
	k, ok := right.(*ast.BoolNode)
	if !ok || op != "==" && op != "!=" {
		return nil, refuse(right, "write the word alone, or `not` and the word", "%s is a bool", w.Name)
	}
	want := k.Value == (op == "==")
	return func(env *Env) bool { return w.bool(env) == want }, nil
}

func (c *compiler) compareText(a textFn, op string, right ast.Node) (Cond, error) {
	b, err := c.text(right)
	if err != nil {
		return nil, err
	}
	if op != "==" && op != "!=" {
		return nil, refuse(right, "", "texts are compared by == and != only")
	}
	equal := op == "=="
	if k, ok := right.(*ast.StringNode); ok {
		want := k.Value
		return func(env *Env) bool {
			x, ok := a(env)
			return ok && (x == want) == equal
		}, nil
	}
	return func(env *Env) bool {
		x, ok := a(env)
		if !ok {
			return false
		}
		y, ok := b(env)
		return ok && (x == y) == equal
	}, nil
}
