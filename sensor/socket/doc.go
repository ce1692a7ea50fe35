// Package socket is the way by which a person on the sensor's own host asks a running sensor for something: HTTP over a
// Unix socket in the state folder.
//
//	STATE/control.sock   mode 0600, HTTP/1.1
//
// The loopback address of /metrics asks nobody who they are, and every user of the host reaches it; so nothing is decided
// there. The socket takes root and the user that the sensor runs as, and no other: by the mode of the file, and once more
// by what the kernel says of who has connected. A sensor that has sealed itself can make no socket of this kind any more;
// Listen is called before.
package socket
