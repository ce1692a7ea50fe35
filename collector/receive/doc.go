// Package receive is the far side of a one-way link: it takes envelopes that nobody can acknowledge, as datagrams with
// parity, as a stream, or as files, and commits them to the collector's store.
//
//	udp    shards ▸ fec.Assembler ─┐
//	tcp    envelopes in a row ─────┼─▸ decode ▸ key, deny list, signature ▸ store.Ingest
//	files  *.batch in a folder ────┘                                       └▸ what is missing, who is silent
//
// An envelope is believed by its signature alone, whatever brought it. It runs beside `roje-collector serve` on the same
// store. What is missing is known from the numbers of the streams and from the health records, in which a sensor says
// what it has sent; it is logged by range with the command that carries it over by hand, and counted in the metrics.
// The health record comes about once a minute: a sensor of which nothing comes for longer is said to be silent.
package receive
