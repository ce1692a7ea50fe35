package events

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/engine"
)

// A Coder writes single events into somebody else's file, and reads them there, in the form that the rows of a block have.
// What is not kept there is not kept here. One goroutine uses it, to write or to read.
type Coder struct {
	protos []*protocols.Protocol
	enc    encoder
	dec    decoder
}

var _ engine.Coder = (*Coder)(nil)

// NewCoder makes a coder that writes events of these protocols.
func NewCoder(protos []*protocols.Protocol) *Coder {
	return &Coder{protos: protos, dec: decoder{names: headOf(protos)}}
}

// Head says how to read what c writes; it belongs into the same file.
func (c *Coder) Head() ([]byte, error) { return json.Marshal(c.dec.names) }

// ReadCoder makes a coder that reads what one with this head has written.
func ReadCoder(protos []*protocols.Protocol, text []byte) (*Coder, error) {
	c := &Coder{protos: protos}
	if err := json.Unmarshal(text, &c.dec.names); err != nil {
		return nil, fmt.Errorf("the head of events: %w", err)
	}
	c.dec.stands = standsFor(protos, c.dec.names)
	return c, nil
}

// Begin starts anew, so that what follows can be read without what was before. Whoever reads begins where it was begun.
func (c *Coder) Begin() {
	c.enc.begin()
	c.dec = decoder{names: c.dec.names, stands: c.dec.stands}
}

// Append appends e. It keeps nothing of it.
func (c *Coder) Append(dst []byte, e *rules.Event) []byte { return c.enc.append(dst, e) }

var errUnknown = errors.New("an event of a kind or protocol that this program does not know")

// Read returns the event that b begins with, and what follows it. The event is valid until the next call. The message of it
// is of the protocol itself, so that it has no Detail.
func (c *Coder) Read(b []byte) (e *rules.Event, rest []byte, err error) {
	r := &cursor{b: b}
	known := c.dec.next(r)
	switch {
	case r.bad:
		return nil, nil, errRow
	case !known:
		return nil, nil, errUnknown
	}
	e = &c.dec.event
	if e.Msg != nil {
		e.Msg.Detail = nil
		for _, p := range c.protos {
			if p.Name == e.Msg.Proto.Name {
				e.Msg.Proto = p
			}
		}
	}
	return e, r.b, nil
}

// standsFor makes the stand-ins for the protocols that a writer knew.
func standsFor(protos []*protocols.Protocol, h head) map[string]*stand {
	stands := map[string]*stand{}
	for _, p := range protos {
		if names, ok := h.Protocols[p.Name]; ok {
			stands[p.Name] = newStand(p, names)
		}
	}
	return stands
}
