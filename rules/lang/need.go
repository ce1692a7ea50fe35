package lang

import (
	"github.com/expr-lang/expr/ast"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

// A Need is what an event must show before a rule takes any note of it, as far as its conditions say so plainly: whoever
// runs the rule can leave it out for all other events without asking it. Zero: nothing.
type Need uint16

// The needs.
const (
	Unlearned  Need = 1 << iota // a novelty
	Unapproved                  // the operation is not approved
	Unpaired                    // a response that no request asked for
	Delayed                     // what was seen of the delay of answers
	Doubtful                    // a point whose quality is not good
	Counting                    // a point that is a counter
	Timed                       // a point with a time tag
	Outside                     // the client lies outside the site's zones
	Rerouted                    // a packet of another sender, or another way, than the first of its connection
)

// Shown is what e shows.
func Shown(e *rules.Event) (n Need) {
	if e.Facts.Novel != 0 {
		n |= Unlearned
	}
	if !e.Facts.Approved {
		n |= Unapproved
	}
	if e.Facts.Outside {
		n |= Outside
	}
	if e.Facts.Slow {
		n |= Delayed
	}
	if e.Flow.OtherMAC || e.Flow.Rerouted() {
		n |= Rerouted
	}
	m := e.Msg
	if m == nil {
		return n
	}
	if m.Turn == protocols.Unpaired {
		n |= Unpaired
	}
	var has protocols.Has
	var quality protocols.Quality
	for i := range m.Points {
		p := &m.Points[i]
		has |= p.Has
		quality |= p.Quality
		if p.Kind == protocols.Counter {
			n |= Counting
		}
	}
	if quality&^protocols.Online != 0 {
		n |= Doubtful
	}
	if has&protocols.HasTime != 0 {
		n |= Timed
	}
	return n
}

// needOf returns what n cannot hold without.
func (c *compiler) needOf(n ast.Node) Need {
	switch n := n.(type) {
	case *ast.IdentifierNode:
		if w := c.v.words[n.Value]; w != nil {
			return w.need
		}
	case *ast.UnaryNode:
		if word, ok := n.Node.(*ast.IdentifierNode); ok && (n.Operator == "not" || n.Operator == "!") {
			if w := c.v.words[word.Value]; w != nil {
				return w.needNot
			}
		}
	case *ast.BinaryNode:
		switch n.Operator {
		case "and", "&&":
			return c.needOf(n.Left) | c.needOf(n.Right)
		case "or", "||":
			return c.needOf(n.Left) & c.needOf(n.Right)
		case "==", "<", "<=", ">", ">=":
			return c.needOfValue(n)
		}
	}
	return 0
}

// needOfValue is the need of a word that must have a value to be compared, or the very value that n names.
func (c *compiler) needOfValue(n *ast.BinaryNode) Need {
	word, ok := n.Left.(*ast.IdentifierNode)
	if !ok || c.v.words[word.Value] == nil {
		return 0
	}
	w := c.v.words[word.Value]
	if k, ok := n.Right.(*ast.StringNode); ok && w.needAt != nil && n.Operator == "==" {
		return w.needAt[k.Value]
	}
	return w.needAny
}

// needs are what the conditions of a rule need, each by itself; every need of what the rule does not have and 0 of what has no condition.
type needs struct{ where, only, prior, expect Need }

// all is what an event must show for a rule with state s to take note of it. A state that remembers what fires nothing
// (prior, expect) must see that too, and each step of a sequence.
func (n needs) all(s *State) Need {
	if s != nil && s.Sequence != nil {
		n.where = 0
	}
	return n.where&n.prior&n.expect | n.only
}
