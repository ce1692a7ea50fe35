// Package chaos is one test: a fleet of sensors, two collectors and a database, all real processes, to which everything
// happens that happens to such processes in ten minutes; and the question whether, when it is over, each alert that a
// sensor's spool took is in the store exactly once or named as lost.
//
//	go test ./cmd/chaos -timeout 20m            ten minutes of it (root, PostgreSQL 15)
//	go test ./cmd/chaos -for 1m -v              less of it
//
// What is known independently of the programs: before a sensor starts, the test puts alerts of its own making into the
// sensor's spool, and remembers each that the spool said is on disk. Beside them the sensors raise alerts themselves,
// from the lab's captures, live on an interface or from files.
//
// A sensor's clock jumps in that it is built with a package time of the Go library whose Now adds what it is told to;
// nothing else in it differs. A link loses frames by a program at the kernel's TCX hook, and is slow by its token bucket
// filter. Deliveries are repeated by a proxy that has the keys of both sides, as a network by itself could not do it.
package chaos
