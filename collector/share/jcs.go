package share

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// canonical returns v by the JSON Canonicalization Scheme (RFC 8785), which STIX 2.1 §2.9 names for the identifiers of
// cyber-observable objects. The member names of v are ASCII, where Go's order of map keys is the scheme's.
func canonical(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("canonical json: %w", err)
	}
	out := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	// encoding/json escapes these two for JavaScript's sake; the scheme wants them as they are (RFC 8785 §3.2.2.2).
	out = unescape(out, `\u2028`, "\u2028")
	return unescape(out, `\u2029`, "\u2029"), nil
}

// unescape replaces escape by plain where the backslash is not itself escaped.
func unescape(text []byte, escape, plain string) []byte {
	if !bytes.Contains(text, []byte(escape)) {
		return text
	}
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); {
		switch {
		case bytes.HasPrefix(text[i:], []byte(escape)):
			out = append(out, plain...)
			i += len(escape)
		case text[i] == '\\' && i+1 < len(text):
			out = append(out, text[i], text[i+1])
			i += 2
		default:
			out = append(out, text[i])
			i++
		}
	}
	return out
}
