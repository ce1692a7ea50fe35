// Package fec carries messages over a link that loses datagrams and takes no answer, by Reed-Solomon shards.
//
// A message is cut into at least four blocks, a block into k data shards, to which m parity shards are made: any k of a
// block's k+m shards give the block. The shards of at least four blocks are sent in turn, so that a burst of losses is
// spread over them. One shard is one datagram:
//
//	offset
//	0    "ROJU"
//	4    version, 1
//	5    k, data shards of a block, 1 to 64
//	6    m, parity shards of a block, 1 to 65
//	7    shard, 0 to k+m-1, the data shards first
//	8    stream, the first 8 bytes of the message's SHA-256
//	16   block, uint16, from 0
//	18   blocks of the message, uint16
//	20   len, bytes of the message, uint32
//	24   CRC-32C over the 24 bytes before it and the shard
//	28   the shard; all shards of a message have one length
//
// Numbers are big endian. A datagram has at most 1400 bytes. As the stream is the message's own hash, a message that is
// sent again, whenever, and by whatever process, adds to the shards of it that came before.
//
// The CRC finds damage and the hash a wrong reconstruction; neither keeps a forger out: what a message says is believed
// by its signature alone. Nothing here reads a clock or a socket.
package fec
