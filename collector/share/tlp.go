package share

import (
	"strings"

	"github.com/roje-ot/roje/collector/store"
)

// levels holds the marking definitions of OASIS (common object repository, TLP 2.0), least strict first. Red is not
// among them: it is for the ears of those present, and is never released.
var levels = []struct {
	tlp store.TLP
	id  string
}{
	{store.Clear, "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487"},
	{store.Green, "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"},
	{store.Amber, "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421"},
	{store.AmberStrict, "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003"},
}

// tlpExtension is the extension that says the level.
const tlpExtension = "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d"

// Releasable are the levels an alert may be released with, least strict first.
func Releasable() []store.TLP {
	out := make([]store.TLP, len(levels))
	for i, l := range levels {
		out[i] = l.tlp
	}
	return out
}

// Label is a level as FIRST writes it, "TLP:AMBER+STRICT".
func Label(t store.TLP) string { return "TLP:" + strings.ToUpper(string(t)) }

// marking is the marking definition of a level, which travels with the data because STIX 2.1 does not predefine it.
func marking(t store.TLP) Object {
	return Object{
		"type": "marking-definition", "spec_version": "2.1", "id": markingID(t),
		"created": "2022-10-01T00:00:00.000Z", "name": Label(t),
		"extensions": Object{tlpExtension: Object{"extension_type": "property-extension", "tlp_2_0": string(t)}},
	}
}

// markingID is "" for a level that is never released.
func markingID(t store.TLP) string {
	for _, l := range levels {
		if l.tlp == t {
			return l.id
		}
	}
	return ""
}
