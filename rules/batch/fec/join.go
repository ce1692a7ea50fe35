package fec

import (
	"container/list"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/klauspost/reedsolomon"
)

// The errors of Add.
var (
	ErrForeign = errors.New("fec: no datagram of this format")
	ErrDamaged = errors.New("fec: the datagram is damaged")
)

const (
	defaultBudget = 64 << 20
	remembered    = 4096 // messages that were joined and are not joined again
	perShard      = 64   // what a shard costs beside its bytes
)

// An Assembler joins datagrams to messages. Only one goroutine may use it.
type Assembler struct {
	Abandoned uint64 // messages that began and were given up, as others needed the room

	budget, held int
	pending      map[shape]*message
	order        *list.List // of *message, the longest untouched first
	done         map[uint64]bool
	doneOrder    []uint64
	codes        map[[2]int]reedsolomon.Encoder
}

// A message is one that is being joined.
type message struct {
	shape
	parts map[int]*block
	whole int // blocks that have enough shards
	held  int
	place *list.Element
}

// A block gathers shards until it has k of them.
type block struct {
	shards [][]byte
	have   int
}

// NewAssembler makes one that holds at most budget bytes of shards; 0 is 64 MiB. A full envelope needs 9 MiB.
func NewAssembler(budget int) *Assembler {
	if budget <= 0 {
		budget = defaultBudget
	}
	return &Assembler{budget: budget, pending: map[shape]*message{}, order: list.New(), done: map[uint64]bool{}, codes: map[[2]int]reedsolomon.Encoder{}}
}

// Pending is how many messages have begun and are not whole.
func (a *Assembler) Pending() int { return len(a.pending) }

// Add takes a datagram, and returns the message that it made whole, which is the caller's, or nil. Of a message that
// was returned before it returns nothing.
func (a *Assembler) Add(datagram []byte) ([]byte, error) {
	s, at, shard, text, err := parse(datagram)
	if err != nil || a.done[s.stream] {
		return nil, err
	}
	m := a.pending[s]
	if m == nil {
		m = &message{shape: s, parts: map[int]*block{}}
		m.place = a.order.PushBack(m)
		a.pending[s] = m
	}
	a.order.MoveToBack(m.place)
	b := m.parts[at]
	if b == nil {
		b = &block{shards: make([][]byte, s.k+s.m)}
		m.parts[at] = b
		a.hold(m, len(b.shards)*24)
	}
	if b.have == s.k || b.shards[shard] != nil {
		return nil, nil
	}
	b.shards[shard] = append([]byte(nil), text...)
	b.have++
	a.hold(m, len(text)+perShard)
	if b.have == s.k {
		m.whole++
	}
	if m.whole == s.blocks {
		return a.join(m)
	}
	for a.held > a.budget && a.order.Len() > 1 {
		a.forget(a.order.Front().Value.(*message))
		a.Abandoned++
	}
	return nil, nil
}

func (a *Assembler) hold(m *message, n int) {
	m.held += n
	a.held += n
}

func (a *Assembler) forget(m *message) {
	a.order.Remove(m.place)
	delete(a.pending, m.shape)
	a.held -= m.held
}

// join puts the blocks of m together.
func (a *Assembler) join(m *message) ([]byte, error) {
	a.forget(m)
	code, err := a.code(m.k, m.m)
	if err != nil {
		return nil, err
	}
	text := make([]byte, 0, m.message)
	for i := range m.blocks {
		shards := m.parts[i].shards
		if err := code.ReconstructData(shards); err != nil {
			return nil, fmt.Errorf("fec: %w", err)
		}
		want := min(m.message, (i+1)*m.chunk())
		for _, shard := range shards[:m.k] {
			text = append(text, shard[:max(0, min(len(shard), want-len(text)))]...)
		}
	}
	if sum := sha256.Sum256(text); binary.BigEndian.Uint64(sum[:]) != m.stream {
		return nil, fmt.Errorf("%w: the message does not fit its hash", ErrDamaged)
	}
	a.remember(m.stream)
	return text, nil
}

func (a *Assembler) remember(stream uint64) {
	if len(a.doneOrder) >= remembered {
		delete(a.done, a.doneOrder[0])
		a.doneOrder = a.doneOrder[1:]
	}
	a.done[stream] = true
	a.doneOrder = append(a.doneOrder, stream)
}

// code returns the code of a shape; a sender uses few.
func (a *Assembler) code(k, m int) (reedsolomon.Encoder, error) {
	key := [2]int{k, m}
	if c := a.codes[key]; c != nil {
		return c, nil
	}
	if len(a.codes) >= 64 {
		clear(a.codes)
	}
	c, err := reedsolomon.New(k, m, reedsolomon.WithMaxGoroutines(1))
	if err == nil {
		a.codes[key] = c
	}
	return c, err
}

// parse reads a datagram and holds it to what Split makes.
func parse(b []byte) (s shape, block, shard int, text []byte, err error) {
	if len(b) <= header || len(b) > MaxDatagram || string(b[:4]) != magic || b[4] != version {
		return s, 0, 0, nil, ErrForeign
	}
	if binary.BigEndian.Uint32(b[24:]) != sum(b) {
		return s, 0, 0, nil, ErrDamaged
	}
	s = shape{
		stream: binary.BigEndian.Uint64(b[8:]), k: int(b[5]), m: int(b[6]), blocks: int(binary.BigEndian.Uint16(b[18:])),
		size: len(b) - header, message: int(binary.BigEndian.Uint32(b[20:])),
	}
	block, shard, text = int(binary.BigEndian.Uint16(b[16:])), int(b[7]), b[header:]
	ok := s.k >= 1 && s.k <= maxData && s.m >= 1 && s.m <= maxParity && s.message >= 1 && s.message <= MaxMessage &&
		s.blocks >= least && s.blocks <= max(least, ceil(s.message, maxData)) && block < s.blocks && shard < s.k+s.m && s.size == ceil(s.chunk(), s.k)
	if !ok {
		return s, 0, 0, nil, ErrForeign
	}
	return s, block, shard, text, nil
}
