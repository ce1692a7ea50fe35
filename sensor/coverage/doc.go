// Package coverage keeps the account of what the sensor sees and of what it does not: per link, per source, and per day.
//
//	flow tables ──(a look a second)──▸ Book ──▸ live account, findings, and once a day a signed Statement
//
// A link is a client, a server and the server's port. Its sums come from the counts of its connections, so that they are
// those of package flow to the byte:
//
//	bytes seen = decoded + skipped (unframed, TLS, of no protocol that is decoded) + waiting
//
// and the links' sums, with those of connections that are worth no link of their own, are the source's.
//
// The Book notices when it goes blind: one side of a link is missing, a learned link is seen but not decoded, or is
// heard no more, and frames that come twice. It reads no clock: time is what packets and Tick say.
//
// Limits: what a filter in the kernel keeps away is counted per interface and not per link. A link's pauses are measured
// to about a second.
package coverage
