package passive

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What is not allowed gets EPERM, and a line in the kernel's audit log with the call's number and the process's. It does
// not end the process: a sensor that has ended sees nothing, which is what somebody who got hold of it may want, and a
// library that asks for something it can do without must not blind a plant. A call by the numbers of another
// architecture ends the process: no Go program makes one.
//
// refusing "trap" ends the process at a refused call as well, and has Go's runtime say where it was made. Tests link it in
// (go build -ldflags -X).
var refusing string

func refusal() uint32 {
	if refusing == "trap" {
		return unix.SECCOMP_RET_TRAP
	}
	return unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
}

// Offsets in struct seccomp_data; arguments are 64 bits, of which the low word comes first.
const (
	offNumber = 0
	offArch   = 4
	offArgs   = 16
)

// x32 is where the numbers of amd64's second table begin.
const x32 = 0x40000000

// An arch is an architecture whose calls are known.
type arch struct {
	audit  uint32 // as seccomp names it
	number func(*call) int
}

var arches = map[string]arch{
	"amd64": {unix.AUDIT_ARCH_X86_64, func(c *call) int { return c.amd64 }},
	"arm64": {unix.AUDIT_ARCH_AARCH64, func(c *call) int { return c.arm64 }},
}

// filterSyscalls installs the filter in every thread.
func filterSyscalls() error {
	a, ok := arches[runtime.GOARCH]
	if !ok {
		return fmt.Errorf("no system call table for %s", runtime.GOARCH)
	}
	program := seccompProgram(a, calls(uint32(os.Getpid())), refusal())
	fprog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	install := func(flags uintptr) error {
		_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&fprog)))
		if errno != 0 {
			return errno
		}
		return nil
	}
	err := install(unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_LOG)
	if errors.Is(err, unix.EINVAL) { // a kernel before 4.14 has no log of it
		err = install(unix.SECCOMP_FILTER_FLAG_TSYNC)
	}
	runtime.KeepAlive(program)
	return err
}

// seccompProgram is the allow-list as a filter: refused gives the word that everything else gets.
func seccompProgram(a arch, list []call, refused uint32) []unix.SockFilter {
	p := []unix.SockFilter{load(offArch), jumpIf(a.audit, 1, 0), give(unix.SECCOMP_RET_KILL_PROCESS), load(offNumber)}
	for i := range list {
		number := a.number(&list[i])
		if number == none {
			continue
		}
		body := allowing(&list[i], refused)
		p = append(p, jumpIf(uint32(number), 1, 0), jump(len(body)))
		p = append(p, body...)
	}
	return append(p, give(refused)) // x32 numbers are among what is not there
}

// allowing is what follows where the call's number fits. It always gives an answer.
func allowing(c *call, refused uint32) []unix.SockFilter {
	if len(c.when) == 0 {
		return []unix.SockFilter{give(unix.SECCOMP_RET_ALLOW)}
	}
	var p []unix.SockFilter
	for _, w := range c.when {
		p = append(p, w.filter()...)
	}
	return append(p, give(refused))
}

// filter allows the call, or goes on behind itself.
func (w when) filter() []unix.SockFilter {
	p := []unix.SockFilter{give(unix.SECCOMP_RET_ALLOW)}
	for i := len(w) - 1; i >= 0; i-- {
		t := w[i]
		part := []unix.SockFilter{load(offArgs + 8*uint32(t.arg))}
		if t.mask != ^uint32(0) {
			part = append(part, unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: t.mask})
		}
		for k, v := range t.is {
			part = append(part, jumpIf(v, uint8(len(t.is)-k), 0))
		}
		part = append(part, jump(len(p)))
		p = append(part, p...)
	}
	return p
}

func load(offset uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
}

func give(v uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: v} }

// jumpIf skips so many instructions where the loaded word is v, and others where it is not.
func jumpIf(v uint32, is, isNot uint8) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: v, Jt: is, Jf: isNot}
}

func jump(over int) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JA, K: uint32(over)}
}
