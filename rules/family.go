package rules

// families are the groups of the catalogue of detections, by the letter that a rule's id begins with.
var families = map[byte]string{'R': "recon", 'A': "access", 'C': "command", 'D': "device", 'P': "protocol", 'L': "link layer", 'B': "availability", 'V': "process"}

// FamilyOf is the group of a rule, by its id; "other" of one that is not of the catalogue.
func FamilyOf(rule string) string {
	if rule != "" {
		if f, ok := families[rule[0]]; ok {
			return f
		}
	}
	return "other"
}
