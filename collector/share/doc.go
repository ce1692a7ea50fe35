// Package share is what a CERT may pull: alerts that an analyst released, as STIX 2.1 objects, over TAXII 2.1.
//
//	alert + TLP ──▸ Bundle: objects with ids that never change ──▸ Log: one object, one millisecond ──▸ TAXII
//
// Nothing reaches the log but by a release, and what is marked TLP:RED is never released. What was shared is not
// deleted: a retraction is a new version of the same object with revoked:true (STIX 2.1 §3.2, common property revoked).
//
// The log is ordered by date_added. Every object in it has a millisecond of its own, later than all before it, and an
// object stands after every object that it refers to; so a client that reads from the start, in pages of any size, by
// added_after or by next, never meets a reference it could not resolve and never reads an object twice.
//
// Everything said in the property extension of this package (function code, station, points) is said in words too, in
// the sighting's description and in a note, because most consumers drop extensions they do not know.
package share
