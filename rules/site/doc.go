// Package site reads what a site says about rules that others wrote, in a file of its own: which are switched off, which
// weigh more or less there, what is known and must not be reported for a while, and which networks are control zones. It
// reads and writes signed packs of rules, too.
//
//	disable:
//	  - {rule: R06-modbus-identification, reason: the vendor's tool identifies devices each night, author: j.doe}
//	severity:
//	  - {rule: D01-dnp3-restart, severity: medium, reason: a test bay, author: j.doe}
//	exceptions:
//	  - rule: C05-industroyer2-sequence
//	    where: client == "10.0.0.5" and station in 1..4
//	    until: 2027-03-31
//	    reason: commissioning of bay E03, ticket 4711
//	    author: j.doe
//	zones:
//	  - {networks: [10.10.0.0/16, 10.20.5.0/24], reason: the substations and the control centre, author: j.doe}
//
// An exception keeps a rule from firing on events for which its condition holds; what it keeps back is counted. It lasts
// to the end of its last day, UTC, in packet time. Nothing here reads a clock or a file.
package site
