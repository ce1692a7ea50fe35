package book

import (
	"encoding/json"

	quick "github.com/go-json-experiment/json"

	"github.com/roje-ot/roje/rules"
)

// read reads an alert as encoding/json does. What a sensor writes is read by its coming second version, in less than half of the
// time (2026-11): 1.7 µs for 4.2 µs. That one is the stricter: it refuses names that come twice, or in another case, and
// texts that are no UTF-8; here it also refuses names that are not known, so that whatever it refuses is read by the first
// version, which says what is wrong.
func read(text []byte, a *rules.Alert) error {
	if quick.Unmarshal(text, a, strict) == nil {
		return nil
	}
	*a = rules.Alert{}
	return json.Unmarshal(text, a)
}

var strict = quick.RejectUnknownMembers(true)
