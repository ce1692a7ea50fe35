package lang

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

// in compiles `x in [..]`, `x in a..b` and `"fault" in faults`.
func (c *compiler) in(n *ast.BinaryNode) (Cond, error) {
	if w := c.word(n.Right); w != nil && w.Kind == Faults {
		return c.faultIn(n.Left)
	}
	if b, ok := n.Right.(*ast.BinaryNode); ok && b.Operator == ".." {
		return c.inRange(n.Left, b)
	}
	list, ok := n.Right.(*ast.ArrayNode)
	if !ok {
		return nil, refuse(n.Right, "write a list [a, b] or a range a..b", "`in` cannot look into %s", n.Right)
	}
	if w := c.word(n.Left); w != nil && (w.Kind == Addr || w.Kind == MAC) {
		return anyOf(list.Nodes, func(item ast.Node) (Cond, error) {
			if w.Kind == MAC {
				return compareMAC(w, "==", item)
			}
			return c.compareAddr(w, "==", item)
		})
	} else if w != nil && w.Kind == Text {
		return c.textIn(w, list.Nodes)
	}
	a, err := c.int(n.Left)
	if err != nil {
		return nil, err
	}
	var values []int64
	for _, item := range list.Nodes {
		k, ok := item.(*ast.IntegerNode)
		if !ok {
			return nil, refuse(item, "", "%s is not a whole number", item)
		}
		values = append(values, int64(k.Value))
	}
	return intIn(a, values), nil
}

func (c *compiler) inRange(left ast.Node, b *ast.BinaryNode) (Cond, error) {
	a, err := c.int(left)
	if err != nil {
		return nil, err
	}
	lo, err := c.int(b.Left)
	if err != nil {
		return nil, err
	}
	hi, err := c.int(b.Right)
	if err != nil {
		return nil, err
	}
	return func(env *Env) bool {
		v, ok := a(env)
		l, ok1 := lo(env)
		h, ok2 := hi(env)
		return ok && ok1 && ok2 && l <= v && v <= h
	}, nil
}

// textIn tells closed sets of values by number and others by their text.
func (c *compiler) textIn(w *Word, items []ast.Node) (Cond, error) {
	var texts []string
	var values []int64
	for _, item := range items {
		k, ok := item.(*ast.StringNode)
		if !ok {
			return nil, refuse(item, "put it in quotes", "%s is not a text", item)
		}
		if w.Names != nil {
			i, err := enumValue(w, k)
			if err != nil {
				return nil, err
			}
			values = append(values, i)
		}
		texts = append(texts, k.Value)
	}
	if w.Names != nil {
		return intIn(w.int, values), nil
	}
	return func(env *Env) bool {
		v, ok := w.text(env)
		return ok && slices.Contains(texts, v)
	}, nil
}

// intIn uses a bit mask where all values are small.
func intIn(a intFn, values []int64) Cond {
	var mask [4]uint64
	for _, v := range values {
		if v < 0 || v > 255 {
			return func(env *Env) bool { v, ok := a(env); return ok && slices.Contains(values, v) }
		}
		mask[v>>6] |= 1 << (v & 63)
	}
	return func(env *Env) bool {
		v, ok := a(env)
		return ok && uint64(v) < 256 && mask[v>>6]&(1<<(v&63)) != 0
	}
}

func (c *compiler) faultIn(n ast.Node) (Cond, error) {
	k, ok := n.(*ast.StringNode)
	if !ok {
		return nil, refuse(n, "put it in quotes", "%s is not the name of a fault", n)
	}
	bit, err := faultBit(k.Value)
	if err != nil {
		return nil, refuse(n, didYouMean(k.Value, protocols.FaultNames()), "unknown fault %q", k.Value)
	}
	return func(env *Env) bool { return env.E.Msg != nil && env.E.Msg.Faults&bit != 0 }, nil
}

func faultBit(name string) (protocols.Faults, error) {
	if i := slices.Index(protocols.FaultNames(), name); i >= 0 {
		return 1 << i, nil
	}
	return 0, &condError{0, "unknown fault", ""}
}

func anyOf(items []ast.Node, one func(ast.Node) (Cond, error)) (Cond, error) {
	any := Cond(func(*Env) bool { return false })
	for _, item := range items {
		cond, err := one(item)
		if err != nil {
			return nil, err
		}
		rest := any
		any = func(env *Env) bool { return cond(env) || rest(env) }
	}
	return any, nil
}

// compareAddr compares with another address word, an address, or a network that the address may lie in.
func (c *compiler) compareAddr(w *Word, op string, right ast.Node) (Cond, error) {
	if other := c.word(right); other != nil && other.Kind == Addr && (op == "==" || op == "!=") {
		equal := op == "=="
		return func(env *Env) bool {
			a, ok := w.addr(env)
			b, ok2 := other.addr(env)
			return ok && ok2 && (a == b) == equal
		}, nil
	}
	k, ok := right.(*ast.StringNode)
	if !ok || op != "==" && op != "!=" {
		return nil, refuse(right, `write "10.0.0.1" or "10.0.0.0/8"`, "%s is compared by == or != with an address or a network in quotes", w.Name)
	}
	prefix, err := netip.ParsePrefix(k.Value)
	if err != nil {
		addr, err := netip.ParseAddr(k.Value)
		if err != nil {
			return nil, refuse(k, "", "%q is neither an address nor a network", k.Value)
		}
		prefix = netip.PrefixFrom(addr, addr.BitLen())
	}
	equal := op == "=="
	return func(env *Env) bool {
		a, ok := w.addr(env)
		return ok && prefix.Contains(a.Unmap()) == equal
	}, nil
}

func compareMAC(w *Word, op string, right ast.Node) (Cond, error) {
	k, ok := right.(*ast.StringNode)
	if !ok || op != "==" && op != "!=" {
		return nil, refuse(right, "", "%s is compared by == or != with an address in quotes", w.Name)
	}
	want, err := parseMAC(k.Value)
	if err != nil {
		return nil, refuse(k, `write "00:11:22:33:44:55"`, "%q is not a link-layer address", k.Value)
	}
	equal := op == "=="
	return func(env *Env) bool {
		m, ok := w.mac(env)
		return ok && (m == want) == equal
	}, nil
}

// parseMAC reads "00:11:22:33:44:55".
func parseMAC(s string) (m rules.MAC, err error) {
	b, err := hex.DecodeString(strings.ReplaceAll(s, ":", ""))
	if err != nil || len(b) != len(m) || strings.Count(s, ":") != 5 {
		return m, fmt.Errorf("%q is not a link-layer address", s)
	}
	return rules.MAC(b), nil
}
