package share

import "strings"

// TechniqueURL is MITRE's page of a technique.
func TechniqueURL(id string) string {
	return "https://attack.mitre.org/techniques/" + strings.Replace(id, ".", "/", 1) + "/"
}
