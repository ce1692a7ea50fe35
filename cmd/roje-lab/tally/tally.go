// Package tally counts the messages that the lab's stations send, at the place where each is encoded: the truth that
// decoders are held against.
package tally

import (
	"strconv"
	"sync"
)

// Counts is what was sent: protocol, kind of code, code in decimal, number of messages.
//
//	modbus  request_fc, response_fc (exceptions under the function asked), exceptions (by code)
//	dnp3    al_func (application fragments), link_pri and link_sec (link functions of every frame)
//	iec104  apci (0 I, 1 S, 3 U frames), utypes (the U bits), type_ids (ASDUs)
type Counts map[string]map[string]map[string]int

// Tally collects Counts; any goroutine may add. A nil Tally counts nothing.
type Tally struct {
	mu     sync.Mutex
	counts Counts
}

// Add counts one message of a protocol.
func (t *Tally) Add(proto, kind string, code int) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == nil {
		t.counts = Counts{}
	}
	if t.counts[proto] == nil {
		t.counts[proto] = map[string]map[string]int{}
	}
	if t.counts[proto][kind] == nil {
		t.counts[proto][kind] = map[string]int{}
	}
	t.counts[proto][kind][strconv.Itoa(code)]++
}

// Counts returns what was counted; the Tally must be idle from then on.
func (t *Tally) Counts() Counts { return t.counts }

// Reset forgets what was counted.
func (t *Tally) Reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts = nil
}
