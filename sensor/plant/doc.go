// Package plant reads engineering truth: the point lists and device profiles by which a plant was built, so that a
// sentence says "breaker Q0, bay E03 (object 4001)" and not "object 4001".
//
//	CSV of a tool ─┐                 ┌─▸ Label     what a point is called, in alerts, evidence and the ledger
//	               ├─▸ Load ─▸ Book ─┼─▸ Mappings  which indication follows which command: the ledger judges effects by it
//	DNP3 XML ──────┘                 └─▸ Compare   list against what is seen and what was learned
//
// Limits: a file has at most 16 MiB, all files together at most 200 000 points. A name has at most 200 characters,
// a point at most 256 registers. Bits within a register, IEC 61850 names and octet strings are not told apart.
package plant
