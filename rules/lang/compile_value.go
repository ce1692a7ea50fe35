package lang

import (
	"math"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// What a part of a condition computes; ok is false where the event has no such value.
type (
	intFn   = func(*Env) (v int64, ok bool)
	floatFn = func(*Env) (v float64, ok bool)
	textFn  = func(*Env) (v string, ok bool)
)

func (c *compiler) int(n ast.Node) (intFn, error) {
	switch n := n.(type) {
	case *ast.IntegerNode:
		v := int64(n.Value)
		return func(*Env) (int64, bool) { return v, true }, nil
	case *ast.IdentifierNode, *ast.MemberNode:
		if w := c.word(n); w != nil && w.Kind == Int {
			return w.int, nil
		}
	case *ast.UnaryNode:
		if n.Operator == "-" {
			a, err := c.int(n.Node)
			if err != nil {
				return nil, err
			}
			return func(env *Env) (int64, bool) { v, ok := a(env); return -v, ok }, nil
		}
	case *ast.BinaryNode:
		if n.Operator == "/" {
			break
		}
		a, err := c.int(n.Left)
		if err != nil {
			return nil, err
		}
		b, err := c.int(n.Right)
		if err != nil {
			return nil, err
		}
		switch n.Operator {
		case "+":
			return arithmetic(a, b, func(x, y int64) int64 { return x + y }), nil
		case "-":
			return arithmetic(a, b, func(x, y int64) int64 { return x - y }), nil
		case "*":
			return arithmetic(a, b, func(x, y int64) int64 { return x * y }), nil
		}
	}
	return nil, refuse(n, subset, "%s is not a whole number", n)
}

func (c *compiler) float(n ast.Node) (floatFn, error) {
	if a, err := c.int(n); err == nil {
		return func(env *Env) (float64, bool) { v, ok := a(env); return float64(v), ok }, nil
	}
	switch n := n.(type) {
	case *ast.FloatNode:
		v := n.Value
		return func(*Env) (float64, bool) { return v, true }, nil
	case *ast.IdentifierNode, *ast.MemberNode:
		if w := c.word(n); w != nil && w.Kind == Float {
			return w.num, nil
		}
	case *ast.UnaryNode:
		if n.Operator == "-" {
			a, err := c.float(n.Node)
			if err != nil {
				return nil, err
			}
			return func(env *Env) (float64, bool) { v, ok := a(env); return -v, ok }, nil
		}
	case *ast.BinaryNode:
		a, err := c.float(n.Left)
		if err != nil {
			return nil, err
		}
		b, err := c.float(n.Right)
		if err != nil {
			return nil, err
		}
		switch n.Operator {
		case "+":
			return arithmetic(a, b, func(x, y float64) float64 { return x + y }), nil
		case "-":
			return arithmetic(a, b, func(x, y float64) float64 { return x - y }), nil
		case "*":
			return arithmetic(a, b, func(x, y float64) float64 { return x * y }), nil
		case "/":
			return func(env *Env) (float64, bool) {
				x, ok := a(env)
				y, ok2 := b(env)
				q := x / y
				return q, ok && ok2 && !math.IsNaN(q) && !math.IsInf(q, 0)
			}, nil
		}
	}
	return nil, refuse(n, subset, "%s is not a number", n)
}

func arithmetic[T int64 | float64](a, b func(*Env) (T, bool), f func(x, y T) T) func(*Env) (T, bool) {
	return func(env *Env) (T, bool) {
		x, ok := a(env)
		if !ok {
			return 0, false
		}
		y, ok := b(env)
		return f(x, y), ok
	}
}

func (c *compiler) text(n ast.Node) (textFn, error) {
	if k, ok := n.(*ast.StringNode); ok {
		v := k.Value
		return func(*Env) (string, bool) { return v, true }, nil
	}
	if w := c.word(n); w != nil && w.text != nil {
		return w.text, nil
	}
	return nil, refuse(n, subset, "%s is not a text", n)
}

// affix compiles contains, startsWith and endsWith.
func (c *compiler) affix(n *ast.BinaryNode) (Cond, error) {
	a, err := c.text(n.Left)
	if err != nil {
		return nil, err
	}
	b, err := c.text(n.Right)
	if err != nil {
		return nil, err
	}
	test := map[string]func(s, t string) bool{"contains": strings.Contains, "startsWith": strings.HasPrefix, "endsWith": strings.HasSuffix}[n.Operator]
	return func(env *Env) bool {
		x, ok := a(env)
		y, ok2 := b(env)
		return ok && ok2 && test(x, y)
	}, nil
}
