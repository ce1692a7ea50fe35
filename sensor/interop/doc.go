// Package interop holds the decoders against real protocol stacks: it has tests only.
//
//	master of the stack <-> relay on loopback <-> outstation of the same stack
//	        |                     |                      |
//	   says what it          flow.Table,            says what it
//	 sent and received     every decoder          sent and received
//	        |                     |                      |
//	        +------> compared <---+---> compared <-------+
//
// Each test starts a script in testdata that runs both ends of one stack. The script reports, as JSON lines on its
// output, what the stack itself says of every message: never what the script meant to send. Each end's report is
// compared with what we decoded from the bytes that the relay saw pass, in both directions: what a stack reported must
// be among ours, and what we decoded among what it reported.
//
// The control ledger is held against the same stacks (TestLedger...): a thousand random transactions each, in several
// sessions at once. What the stack says became of each of them must be what the ledger's record says; of what a sensor
// sees that loses packets, no record may say anything else than that it does not know. The relay swallows and falsifies
// some answers, as a bad line or somebody on it would. What a stack cannot be asked for is said by its test, and done to
// its server by the lab's masters, where they can.
//
// What is known to differ, and why ours is right, stands in testdata/differences.txt.
//
// The stacks: pymodbus, libmodbus and goburrow for Modbus, lib60870 (c104) for IEC 104, opendnp3 (yadnp3, Apache-2.0) for
// DNP3. The crates dnp3 and rodbus are not used, and must not be: clause 2.6 of their licence forbids to run them as a
// test peer of another implementation.
//
// Limits: c104 has none of the types with three-octet time tags; yadnp3 does not open secure authentication to Python;
// file data and credentials are compared by their headers only. Connections are in order and without loss; loss,
// reordering and joining late are the matter of sensor/flow.
package interop
