// Package suricata makes Roje rules of Suricata rules that use the keywords modbus, dnp3_func, dnp3_ind and dnp3_obj.
//
// What a rule says is taken over whole or not at all: a rule with an option that Roje has no word for, or whose variables
// are not known, is named with its line and the reason, and is left out. Each rule that is made carries a test on which it
// fires and one on which it does not, and has passed both.
//
// The two differ in what they call things, and the package goes by Suricata's user guide (rules/modbus-keyword.html,
// dnp3-keywords.html, integer-keywords.html): ranges leave out their ends, Modbus addresses count from 1 and those of Roje
// from 0 as on the wire, and an access matches if any address of its range does. dnp3_obj looks at all object headers of a
// message and Roje at the first, which is said with the rule.
package suricata
