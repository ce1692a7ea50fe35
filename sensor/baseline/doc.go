// Package baseline remembers the hosts of a network (asset memory) and learns how they talk (baseline), and says of each
// event what of it is new.
//
// What is learned, each an Item with how often, since when and who approved it:
//
//	host     an address, its roles, its link-layer addresses
//	link     client, server, protocol, server port
//	station  a station address on a link
//	op       an operation of a station on a link: code, sub-code, side
//	points   the addresses that a station reports or lets be read, by kind, as merged ranges
//	target   a point that was commanded or written, with the range of its values
//
// The life of an item: learned (pending), approved, enforced. Some operations are never approved in bulk, however often
// they were seen while learning (restarts, stopping applications, silencing a device, writing files, broadcasts): they
// are held until a person approves that very item. Messages with faults are not learned at all.
//
// Everything works in packet time and gives the same result for the same packets. The hot state is in memory; a bbolt
// file in the state folder holds its snapshot. One goroutine owns a Baseline.
package baseline
