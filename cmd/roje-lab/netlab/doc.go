// Package netlab plays the lab's script on real sockets: on loopback addresses without rights, or in network namespaces
// behind a hub with a SPAN port, as root.
//
//	netns scada-a ─ veth ─┐                     ┌─ veth ─ netns rtu-1
//	netns gateway ─ veth ─┤  bridge that floods ├─ veth ─ netns rtu-4
//	netns rogue   ─ veth ─┘   (own namespace)   └─ veth ─ span port, in the caller's namespace
//
// The namespaces have no names: they are gone when the process is, however it ends. Nothing leaves the machine.
package netlab
