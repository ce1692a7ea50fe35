package strict

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Fields calls one function of table per key of the mapping n, with the key's value, and returns the keys that it has. A
// key that is not in table goes to unknown, with those that are, sorted; one that stands there again goes to twice.
func Fields(n *yaml.Node, table map[string]func(*yaml.Node), unknown func(key *yaml.Node, known []string), twice func(key *yaml.Node)) (seen map[string]bool) {
	seen = map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		read, ok := table[key.Value]
		switch {
		case !ok:
			known := make([]string, 0, len(table))
			for name := range table {
				known = append(known, name)
			}
			slices.Sort(known)
			unknown(key, known)
		case seen[key.Value]:
			twice(key)
		default:
			seen[key.Value] = true
			read(value)
		}
	}
	return seen
}

var lineRE = regexp.MustCompile(`line (\d+)`)

// Fault says what the YAML library found wrong with a text, and on which line: the first where it does not say.
func Fault(err error) (line int, message string) {
	line = 1
	if m := lineRE.FindStringSubmatch(err.Error()); m != nil {
		line, _ = strconv.Atoi(m[1])
	}
	return line, strings.TrimPrefix(err.Error(), "yaml: ")
}
