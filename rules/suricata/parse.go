package suricata

import (
	"fmt"
	"strings"
)

// A statement is one rule as it is written.
type statement struct {
	line    int
	action  string
	proto   string
	src     string
	srcPort string
	both    bool // <> in place of ->
	dst     string
	dstPort string
	options []option
}

// An option is a keyword and what follows its colon.
type option struct{ name, value string }

// problem is why a rule is left out: a message and what to do.
type problem struct{ message, hint string }

func (p *problem) Error() string {
	if p.hint == "" {
		return p.message
	}
	return p.message + "; " + p.hint
}

func leave(hint, format string, args ...any) error {
	return &problem{fmt.Sprintf(format, args...), hint}
}

// lines joins lines that end in a backslash, leaves out comments and calls each with a rule and where it begins.
func lines(text string, each func(line int, rule string)) {
	whole, from := "", 0
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if whole == "" {
			if line == "" || line[0] == '#' {
				continue
			}
			from = number
		}
		part, more := strings.CutSuffix(line, "\\")
		if whole += part; more {
			continue
		}
		each(from, whole)
		whole = ""
	}
	if whole != "" {
		each(from, whole)
	}
}

// parse cuts a rule into its parts.
func parse(line int, text string) (*statement, error) {
	head, body, ok := strings.Cut(text, "(")
	if !ok {
		return nil, leave("write: alert PROTOCOL SOURCE PORT -> DESTINATION PORT (msg:\"...\"; ...; sid:1;)", "a rule without options in brackets")
	}
	words, err := fields(head)
	if err != nil {
		return nil, err
	}
	if len(words) != 7 {
		return nil, leave("write: alert PROTOCOL SOURCE PORT -> DESTINATION PORT", "%d words before the options, not 7", len(words))
	}
	s := &statement{line: line, action: words[0], proto: words[1], src: words[2], srcPort: words[3], dst: words[5], dstPort: words[6]}
	switch words[4] {
	case "->":
	case "<>":
		s.both = true
	default:
		return nil, leave("it is -> or <>", "direction %q", words[4])
	}
	body = strings.TrimSpace(body)
	body, ok = strings.CutSuffix(body, ")")
	if !ok {
		return nil, leave("end it with )", "the options have no end")
	}
	s.options, err = options(body)
	return s, err
}

// fields cuts at blanks outside of square brackets.
func fields(text string) (words []string, err error) {
	depth, word := 0, ""
	for _, c := range text {
		switch {
		case c == '[':
			depth++
		case c == ']':
			depth--
		case (c == ' ' || c == '\t') && depth == 0:
			if word != "" {
				words = append(words, word)
			}
			word = ""
			continue
		case c == ' ' || c == '\t':
			continue
		}
		if depth < 0 {
			break
		}
		word += string(c)
	}
	if depth != 0 {
		return nil, leave("", "square brackets without their partners")
	}
	if word != "" {
		words = append(words, word)
	}
	return words, nil
}

// options cuts at semicolons outside of quotes that no backslash stands before.
func options(body string) (all []option, err error) {
	quoted, start := false, 0
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == ';' && !quoted:
			name, value, _ := strings.Cut(body[start:i], ":")
			all = append(all, option{strings.TrimSpace(name), strings.TrimSpace(value)})
			start = i + 1
		}
	}
	if quoted {
		return nil, leave("", "a quote without its partner")
	}
	if rest := strings.TrimSpace(body[min(start, len(body)):]); rest != "" {
		return nil, leave("", "no ; behind %q", rest)
	}
	return all, nil
}

// unquote takes quotes and backslashes off a text.
func unquote(s string) string {
	s = strings.TrimSuffix(strings.TrimPrefix(s, "\""), "\"")
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return strings.ToValidUTF8(b.String(), "?")
}
