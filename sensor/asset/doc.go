// Package asset keeps one account of each device that the sensor has heard: what says that it is one device, what it is,
// what it does, and how that has changed.
//
// A device is known by its addresses. An IP address belongs to one device; several belong to the same one where ARP,
// heard on its own network, gives them one link-layer address. A link-layer address in front of an IP packet is only
// noted: it may be a router's. An address that two link-layer addresses claim by ARP is a device of its own again, so
// that an impostor never becomes part of the one that it plays.
//
// Devices come from messages of the control protocols, from ARP, from connections that were accepted, and, on a live
// port, from what the kernel has counted of everything else. Refused and unanswered connections make none: a flood of
// invented senders would fill the table. What a device says of itself (Modbus functions 17 and 43/14, DNP3 group 0, the
// end of initialisation of 104) is kept per sub-address, since one gateway speaks for many.
//
// Everything works in packet time and is the same for the same packets. One goroutine owns a Registry.
package asset
