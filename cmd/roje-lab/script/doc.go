// Package script is what happens in the lab: a day at a substation and a telecom site, acts of attack, and exchanges
// that cover what each protocol's stations can say.
//
//	substation LAN 10.10.1.0/24                        telecom site LAN 10.20.5.0/24, VLAN 20
//	scada-a, scada-b ── 104 ── rtu-1, rtu-2, rtu-3     site-ctl ── Modbus ── rect-1, rect-2, genset, cooling, battery
//	gateway ── DNP3 ── rtu-4 (TCP), rtu-5 (UDP)        noc (behind the router) ── 104 ── site-rtu
//	eng-laptop, rogue                                  visitor, outsider (behind the router)
//
// All addresses are private or for documentation (RFC 1918, RFC 5737), all MACs from the documentation range (RFC 7042).
package script
