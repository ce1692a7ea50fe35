// Package passive keeps the sensor from sending, in layers that do not trust each other, and watches that they hold:
//
//	hygiene   the interface has no address, no ARP, no multicast, no IPv6; merging offloads are off
//	egress    a TCX program at the interface's egress drops and counts whatever is sent there
//	nftables  a chain at the device's egress hook drops what goes around the first (PACKET_QDISC_BYPASS)
//	seal      the process has no capability, cannot get one, and may not make a socket that could send a raw frame
//	witness   the interface's own count of sent packets; any increment is an alert
//
// The ring (package ring) adds that the process holds no descriptor that could send. What is left open, to another
// process with the right capabilities on the same host, is AF_XDP and an XDP redirect into the port: for these there is
// the witness, and the topology in which the sensor's network namespace does not hold the port at all (diode).
package passive
