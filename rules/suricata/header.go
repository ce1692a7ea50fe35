package suricata

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

const maxPort = 65535

// resolve puts the values of variables in the place of their names. seen are those that it is in the midst of.
func (r *translation) resolve(text string, seen ...string) (string, error) {
	at := strings.IndexByte(text, '$')
	if at < 0 {
		return text, nil
	}
	end := at + 1
	for end < len(text) && (text[end] == '_' || text[end] >= '0' && text[end] <= '9' || text[end]|0x20 >= 'a' && text[end]|0x20 <= 'z') {
		end++
	}
	name := text[at+1 : end]
	value, ok := r.vars[name]
	switch {
	case !ok:
		return "", leave(fmt.Sprintf("say what it is here: --var %s=10.0.0.0/8", name), "the variable $%s is not known", name)
	case slices.Contains(seen, name) || len(seen) > 8:
		return "", leave("", "the variable $%s is made of itself", name)
	}
	value, err := r.resolve(value, append(seen, name)...)
	if err != nil {
		return "", err
	}
	rest, err := r.resolve(text[end:], seen...)
	return text[:at] + value + rest, err
}

// A side is a set of addresses or of ports: what is listed, and what is not.
type side[T any] struct{ in, not []T }

func (s *side[T]) any() bool { return len(s.in)+len(s.not) == 0 }

// list reads any, one item, or [a, b, !c], whose items may be lists themselves.
func list[T any](what, text string, item func(string) (T, error)) (s side[T], err error) {
	text = strings.TrimSpace(text)
	negated := false
	for strings.HasPrefix(text, "!") {
		negated, text = !negated, strings.TrimSpace(text[1:])
	}
	if text == "any" && !negated {
		return s, nil
	}
	if inner, ok := strings.CutPrefix(text, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		if !ok {
			return s, leave("", "%s %q has no end", what, text)
		}
		all := false
		for _, part := range split(inner) {
			sub, err := list(what, part, item)
			if err != nil {
				return s, err
			}
			all = all || sub.any()
			s.in, s.not = append(s.in, sub.in...), append(s.not, sub.not...)
		}
		if all {
			s.in = nil
		}
		if negated && len(s.not) > 0 {
			return s, leave("", "%s %q denies a list that denies", what, text)
		}
	} else {
		one, err := item(text)
		if err != nil {
			return s, err
		}
		s.in = append(s.in, one)
	}
	if negated {
		s.in, s.not = nil, s.in
	}
	return s, nil
}

// split cuts at commas outside of square brackets.
func split(text string) (parts []string) {
	depth, start := 0, 0
	for i := range len(text) {
		switch text[i] {
		case '[':
			depth++
		case ']':
			depth--
		case ',':
			if depth == 0 {
				parts = append(parts, text[start:i])
				start = i + 1
			}
		}
	}
	return append(parts, text[start:])
}

func network(text string) (netip.Prefix, error) {
	text = strings.TrimSpace(text)
	if p, err := netip.ParsePrefix(text); err == nil {
		return p.Masked(), nil
	}
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, leave("write an address like 10.0.0.1, a network like 10.0.0.0/8, a list in square brackets, or any", "%q is no address", text)
	}
	return netip.PrefixFrom(a, a.BitLen()), nil
}

func ports(text string) (span, error) {
	bad := leave("write a port like 502, a range like 502:510, a list in square brackets, or any", "%q is no port", text)
	from, to, isRange := strings.Cut(strings.TrimSpace(text), ":")
	lo, hi := int64(0), int64(maxPort)
	for _, end := range []struct {
		text string
		to   *int64
	}{{from, &lo}, {to, &hi}} {
		if end.text == "" && isRange {
			continue
		}
		if !isRange {
			end.text = from
		}
		n, err := strconv.ParseUint(strings.TrimSpace(end.text), 10, 16)
		if err != nil {
			return span{}, bad
		}
		*end.to = int64(n)
	}
	if lo > hi {
		return span{}, bad
	}
	return span{lo: lo, hi: hi}, nil
}

// candidates are addresses that tests are played with.
var candidates = []string{"10.0.0.10", "192.168.1.10", "172.16.0.10", "198.51.100.10", "203.0.113.10", "8.8.8.8", "2001:db8::10"}

// pickAddress returns an address of s.
func pickAddress(s side[netip.Prefix]) (netip.Addr, error) {
	var all []netip.Addr
	for _, c := range candidates {
		all = append(all, netip.MustParseAddr(c))
	}
	for _, p := range s.in {
		all = append(all, p.Addr(), p.Addr().Next(), p.Addr().Next().Next())
	}
	holds := func(in []netip.Prefix, a netip.Addr) bool {
		return slices.ContainsFunc(in, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	for _, a := range all {
		if a.IsValid() && (len(s.in) == 0 || holds(s.in, a)) && !holds(s.not, a) {
			return a, nil
		}
	}
	return netip.Addr{}, leave("", "no address was found that it is about")
}

// pickPort returns a port of s.
func pickPort(s side[span], usual int64) (int64, error) {
	all := []int64{usual, 40000, 502, 20000}
	for _, p := range append(slices.Clone(s.in), s.not...) {
		all = append(all, p.lo, p.hi, p.hi+1, p.lo-1)
	}
	holds := func(in []span, n int64) bool { return slices.ContainsFunc(in, func(p span) bool { return p.has(n) }) }
	for _, n := range all {
		if n > 0 && n <= maxPort && (len(s.in) == 0 || holds(s.in, n)) && !holds(s.not, n) {
			return n, nil
		}
	}
	return 0, leave("", "no port was found that it is about")
}

// whereAddress says in the rule language that word is of s; "" where any is.
func whereAddress(word string, s side[netip.Prefix]) string {
	var parts []string
	for i, list := range [][]netip.Prefix{s.in, s.not} {
		if len(list) == 0 {
			continue
		}
		var names []string
		for _, p := range list {
			name := p.String()
			if p.IsSingleIP() {
				name = p.Addr().String()
			}
			names = append(names, strconv.Quote(name))
		}
		text := word + " in [" + strings.Join(names, ", ") + "]"
		if i == 1 {
			text = "not (" + text + ")"
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, " and ")
}

// wherePort says in the rule language that word is of s; "" where any is.
func wherePort(word string, s side[span]) string {
	var parts []string
	for i, list := range [][]span{s.in, s.not} {
		if len(list) == 0 {
			continue
		}
		var each []string
		for _, p := range list {
			each = append(each, p.where(word, maxPort))
		}
		text := "(" + strings.Join(each, " or ") + ")"
		if i == 1 {
			text = "not " + text
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, " and ")
}
