package filter

import (
	"fmt"

	"github.com/cilium/ebpf"
)

//go:generate go tool bpf2go -cc clang -cflags "-O2 -g -Wall -Werror" -target bpfel spread spread.bpf.c -- -I/usr/include/x86_64-linux-gnu

// A Spread says which of several rings a frame goes to: what two hosts say to each other to one of them, both ways and in
// fragments, and a frame that is not IP by its sender and stream. The kernel's own way sends all that is not IP to one
// ring, which is too much for it where measured values are published by the thousand.
type Spread struct{ objs spreadObjects }

// LoadSpread loads it into the kernel, with the rights and on the kernels that Load asks for.
func LoadSpread() (*Spread, error) {
	s := new(Spread)
	if err := loadSpreadObjects(&s.objs, nil); err != nil {
		return nil, fmt.Errorf("load spread: %w", err)
	}
	return s, nil
}

// Program is what the rings of a group share.
func (s *Spread) Program() *ebpf.Program { return s.objs.Spread }

// Close lets go of the program. Rings that it is attached to keep it.
func (s *Spread) Close() error { return s.objs.Close() }
