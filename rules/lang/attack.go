package lang

import "github.com/roje-ot/roje/rules/attack"

// techniqueHint says what to write instead of an id that v19 does not have.
func techniqueHint(id string) string {
	all := attack.All()
	ids := make([]string, len(all))
	for i, t := range all {
		if t.Was == id {
			return "v19 calls it " + t.ID
		}
		ids[i] = t.ID
	}
	return didYouMean(id, ids)
}
