package fec

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"iter"
	"math"

	"github.com/klauspost/reedsolomon"

	"github.com/roje-ot/roje/rules/batch"
)

// The limits of the format.
const (
	MaxDatagram = 1400
	MaxMessage  = batch.MaxEnvelope

	magic     = "ROJU"
	version   = 1
	header    = 28
	maxShard  = MaxDatagram - header
	maxData   = 64
	maxParity = maxData + 1
	least     = 4 // blocks of a message, and blocks whose shards take turns
	window    = 8 // blocks whose shards take turns in a large message
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A shape is how a message is cut. Everything in it is in every datagram.
type shape struct {
	stream  uint64
	k, m    int
	blocks  int
	size    int // bytes of a shard
	message int // bytes of the message
}

// chunk is how many bytes of the message a block holds; the last holds less.
func (s *shape) chunk() int { return (s.message + s.blocks - 1) / s.blocks }

// shapeOf chooses a shape. parity is parity shards per data shard, beside one more: it is what small blocks live by.
func shapeOf(message []byte, parity float64) shape {
	sum := sha256.Sum256(message)
	s := shape{stream: binary.BigEndian.Uint64(sum[:]), message: len(message)}
	s.blocks = max(least, ceil(len(message), maxData*maxShard))
	s.k = max(1, ceil(s.chunk(), maxShard))
	s.size = ceil(s.chunk(), s.k)
	s.m = min(maxParity, int(math.Ceil(float64(s.k)*parity))+1)
	return s
}

func ceil(a, b int) int { return (a + b - 1) / b }

// Split gives the datagrams of a message in the order in which they should be sent. parity, from 0 to 1, is how much
// parity is sent for the data. A datagram is valid until the next is asked for.
func Split(message []byte, parity float64) (iter.Seq[[]byte], error) {
	if len(message) == 0 || len(message) > MaxMessage {
		return nil, fmt.Errorf("fec: a message has 1 to %d bytes, not %d", MaxMessage, len(message))
	}
	if !(parity >= 0 && parity <= 1) {
		return nil, fmt.Errorf("fec: parity is %v; it is from 0 to 1", parity)
	}
	s := shapeOf(message, parity)
	code, err := reedsolomon.New(s.k, s.m, reedsolomon.WithMaxGoroutines(1))
	if err != nil {
		return nil, fmt.Errorf("fec: %w", err)
	}
	return func(yield func([]byte) bool) {
		windows := max(1, s.blocks/window)
		datagram := make([]byte, header+s.size)
		for w := range windows {
			from, to := w*s.blocks/windows, (w+1)*s.blocks/windows
			shards := make([][][]byte, to-from)
			for i := range shards {
				shards[i] = s.encode(code, message, from+i)
			}
			for shard := range s.k + s.m {
				for i := range shards {
					s.datagram(datagram, from+i, shard, shards[i][shard])
					if !yield(datagram) {
						return
					}
				}
			}
		}
	}, nil
}

// encode makes the shards of a block.
func (s *shape) encode(code reedsolomon.Encoder, message []byte, block int) [][]byte {
	all := make([]byte, (s.k+s.m)*s.size)
	at := min(block*s.chunk(), len(message))
	copy(all, message[at:min(at+s.chunk(), len(message))])
	shards := make([][]byte, s.k+s.m)
	for i := range shards {
		shards[i] = all[i*s.size : (i+1)*s.size]
	}
	if err := code.Encode(shards); err != nil {
		panic(err) // only shards of a wrong number or length fail, and they are made here
	}
	return shards
}

func (s *shape) datagram(b []byte, block, shard int, text []byte) {
	copy(b, magic)
	b[4], b[5], b[6], b[7] = version, byte(s.k), byte(s.m), byte(shard)
	binary.BigEndian.PutUint64(b[8:], s.stream)
	binary.BigEndian.PutUint16(b[16:], uint16(block))
	binary.BigEndian.PutUint16(b[18:], uint16(s.blocks))
	binary.BigEndian.PutUint32(b[20:], uint32(s.message))
	copy(b[header:], text)
	binary.BigEndian.PutUint32(b[24:], sum(b))
}

// sum is the checksum of a datagram.
func sum(b []byte) uint32 {
	return crc32.Update(crc32.Checksum(b[:24], castagnoli), castagnoli, b[header:])
}
