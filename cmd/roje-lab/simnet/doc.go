// Package simnet is a small network in virtual time that writes what a tap on it sees.
//
// Stations are ordinary goroutines that use net.Conn and a clock. Exactly one of them runs at a time, and time moves
// only when all of them wait, so a day takes seconds and the same seed always gives the same bytes.
//
//	station ─ Write ─▸ departure (header, ack) ─▸ tap (frame, time) ─▸ arrival ─▸ Read ─ station
//	                        │ ARP first, if the neighbour is not known
//
// Limits: no loss, no reordering and no retransmission; one tap for all LANs, with a VLAN tag where a LAN has one;
// routing is a MAC: hosts marked Remote are seen behind their LAN's router.
package simnet
