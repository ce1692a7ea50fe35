package filter

import (
	"fmt"

	"golang.org/x/net/bpf"
)

// Classic is the filter for a kernel or a container that refuses eBPF: a classic BPF program that keeps the same ports
// and ethertypes, all fragments, tunnels and whatever it cannot judge. It needs CAP_NET_RAW alone. It counts nothing,
// keeps no first frames of other traffic, and its ports cannot be changed.
func Classic(cfg Config) ([]bpf.RawInstruction, error) {
	var a assembler
	a.put(bpf.LoadConstant{Dst: bpf.RegX, Val: 0}) // X: bytes of the tags that stand in the data
	a.put(bpf.LoadAbsolute{Off: 12, Size: 2})
	for n := range uint32(2) {
		for _, tag := range []uint32{0x8100, 0x88a8, 0x9100} {
			a.when(bpf.JumpEqual, tag, fmt.Sprint("tag", n))
		}
		a.jump("type")
		a.label(fmt.Sprint("tag", n))
		a.put(bpf.LoadConstant{Dst: bpf.RegX, Val: 4 * (n + 1)})
		a.enough(14)
		a.put(bpf.LoadIndirect{Off: 12, Size: 2})
	}
	a.label("type")
	a.when(bpf.JumpLessThan, 0x0600, "keep")
	for _, ether := range EtherTypes {
		a.when(bpf.JumpEqual, uint32(ether), "keep")
	}
	a.when(bpf.JumpEqual, 0x0800, "ipv4")
	a.when(bpf.JumpEqual, 0x86dd, "ipv6")
	a.jump("drop")

	a.label("ipv4")
	a.enough(14 + 24)
	a.put(bpf.LoadIndirect{Off: 14, Size: 1})
	a.when(bpf.JumpNotEqual, 0x45, "keep") // options
	a.put(bpf.LoadIndirect{Off: 20, Size: 2})
	a.when(bpf.JumpBitsSet, 0x1fff, "keep") // a later fragment
	a.put(bpf.LoadIndirect{Off: 23, Size: 1})
	a.transports(1, 2, "4")
	a.label("ipv6")
	a.enough(14 + 44)
	a.put(bpf.LoadIndirect{Off: 20, Size: 1})
	a.transports(58, 58, "6")
	for _, at := range []struct {
		version string
		off     uint32
	}{{"4", 34}, {"6", 54}} {
		a.ports("tcp"+at.version, at.off, cfg.TCP)
		a.ports("udp"+at.version, at.off, append([]uint16{4789}, cfg.UDP...))
	}
	a.label("keep")
	a.put(bpf.RetConstant{Val: 0x40000})
	a.label("drop")
	a.put(bpf.RetConstant{Val: 0})
	return a.assemble()
}

// An assembler is a classic BPF program whose jumps name labels.
type assembler struct {
	program []bpf.Instruction
	to      map[int]string // the label that the jump at this place goes to
	labels  map[string]int
}

func (a *assembler) put(in bpf.Instruction) { a.program = append(a.program, in) }

func (a *assembler) label(name string) {
	if a.labels == nil {
		a.labels = map[string]int{}
	}
	a.labels[name] = len(a.program)
}

func (a *assembler) jump(to string) {
	if a.to == nil {
		a.to = map[int]string{}
	}
	a.to[len(a.program)] = to
	a.put(bpf.Jump{})
}

// when jumps if the accumulator passes the test. The conditional jump reaches 255 instructions only, so that it skips
// over an unconditional one.
func (a *assembler) when(cond bpf.JumpTest, v uint32, to string) {
	a.put(bpf.JumpIf{Cond: cond, Val: v, SkipFalse: 1})
	a.jump(to)
}

// enough keeps a frame that is shorter than n bytes without its tags: a load past its end would drop it.
func (a *assembler) enough(n uint32) {
	a.put(bpf.LoadExtension{Num: bpf.ExtLen})
	a.put(bpf.ALUOpX{Op: bpf.ALUOpSub})
	a.when(bpf.JumpLessThan, n, "keep")
}

// transports goes on by the IP protocol: two are dropped, and what may carry others is kept.
func (a *assembler) transports(drop1, drop2 uint32, version string) {
	a.when(bpf.JumpEqual, uint32(TCP), "tcp"+version)
	a.when(bpf.JumpEqual, uint32(UDP), "udp"+version)
	a.when(bpf.JumpEqual, drop1, "drop")
	a.when(bpf.JumpEqual, drop2, "drop")
	a.jump("keep")
}

func (a *assembler) ports(name string, off uint32, ports []uint16) {
	a.label(name)
	for _, end := range []uint32{off, off + 2} {
		a.put(bpf.LoadIndirect{Off: end, Size: 2})
		for _, port := range ports {
			a.when(bpf.JumpEqual, uint32(port), "keep")
		}
	}
	a.jump("drop")
}

func (a *assembler) assemble() ([]bpf.RawInstruction, error) {
	for at, name := range a.to {
		a.program[at] = bpf.Jump{Skip: uint32(a.labels[name] - at - 1)}
	}
	raw, err := bpf.Assemble(a.program)
	if err != nil {
		return nil, fmt.Errorf("assemble the classic filter: %w", err)
	}
	return raw, nil
}
