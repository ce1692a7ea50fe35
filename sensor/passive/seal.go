package passive

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ErrCgo says that the program was built with cgo, under which Go cannot change all threads at once.
var ErrCgo = errors.New("built with cgo: the capabilities of threads that C code started cannot be dropped")

// Seal gives up every capability of the process for good, in all threads and in the bounding set, sets no_new_privs,
// and installs a seccomp filter under which no thread can make a packet or XDP socket, load a BPF program, enter another
// namespace, take another process's descriptors or memory, or become another program. It cannot be taken back. What the
// sensor still does afterwards: files, TCP to the collector, epoll, and BPF look-ups on descriptors that it holds.
//
// It is called once, after all rings and filters are open.
func Seal() error {
	if err := dropCapabilities(); err != nil {
		return fmt.Errorf("drop capabilities: %w", err)
	}
	if err := filterSyscalls(); err != nil {
		return fmt.Errorf("install the seccomp filter: %w", err)
	}
	return nil
}

// allThreads makes a system call in every thread of the process.
func allThreads(trap, a1, a2, a3 uintptr) error {
	_, _, errno := syscall.AllThreadsSyscall(trap, a1, a2, a3)
	switch errno {
	case 0:
		return nil
	case syscall.ENOTSUP:
		return ErrCgo
	}
	return errno
}

func dropCapabilities() error {
	for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
		// EINVAL: this kernel has fewer. EPERM: not ours to drop; then it is out of reach below too.
		if err := allThreads(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, c, 0); err != nil && err != unix.EINVAL && err != unix.EPERM {
			return fmt.Errorf("from the bounding set: %w", err)
		}
	}
	if err := allThreads(unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0); err != nil && err != unix.EINVAL {
		return fmt.Errorf("ambient: %w", err)
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	err := allThreads(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&none[0])), 0)
	runtime.KeepAlive(&header)
	runtime.KeepAlive(&none)
	if err != nil {
		return err
	}
	return allThreads(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0)
}

// denied are the system calls that the sensor has no use for and that could open a way to send, or to somebody who can.
var denied = []uint32{
	unix.SYS_EXECVE, unix.SYS_EXECVEAT, unix.SYS_PTRACE, unix.SYS_SETNS, unix.SYS_UNSHARE, unix.SYS_PIDFD_GETFD,
	unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER,
	unix.SYS_IO_URING_REGISTER, unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_KEXEC_LOAD,
	unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD,
	unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_REBOOT, unix.SYS_SWAPON,
}

// deniedFamilies are the address families of sockets that may not be made.
var deniedFamilies = []uint32{unix.AF_PACKET, unix.AF_XDP, unix.AF_VSOCK, unix.AF_BLUETOOTH, unix.AF_CAN, unix.AF_KEY, unix.AF_ALG, unix.AF_TIPC}

// allowedBPF are the commands of bpf(2) that stay: look-ups and updates on maps that are open already.
var allowedBPF = []uint32{unix.BPF_MAP_LOOKUP_ELEM, unix.BPF_MAP_UPDATE_ELEM, unix.BPF_MAP_DELETE_ELEM, unix.BPF_MAP_GET_NEXT_KEY, unix.BPF_MAP_LOOKUP_BATCH}

// Offsets in struct seccomp_data; arguments are 64 bits, of which the low word comes first.
const (
	offNumber = 0
	offArch   = 4
	offArg0   = 16
)

// auditArch is the architecture that system call numbers must be of, by GOARCH.
var auditArch = map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64}

func filterSyscalls() error {
	arch, ok := auditArch[runtime.GOARCH]
	if !ok {
		return fmt.Errorf("no system call table for %s", runtime.GOARCH)
	}
	program := seccompProgram(arch)
	fprog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&fprog)))
	runtime.KeepAlive(program)
	if errno != 0 {
		return errno
	}
	return nil
}

// seccompProgram refuses with EPERM; a call of another architecture's table ends the process.
func seccompProgram(arch uint32) []unix.SockFilter {
	load := func(off uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: off}
	}
	ret := func(v uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: v} }
	// unless skips the next n instructions where the loaded word is not v.
	unless := func(v uint32, n uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: v, Jf: n}
	}
	refuse := ret(unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM))
	allow := ret(unix.SECCOMP_RET_ALLOW)

	p := []unix.SockFilter{load(offArch), {Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: arch, Jt: 1}, ret(unix.SECCOMP_RET_KILL_PROCESS), load(offNumber)}
	if arch == unix.AUDIT_ARCH_X86_64 { // the x32 numbers are a second table
		p = append(p, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, K: 0x40000000, Jf: 1}, refuse)
	}
	for _, number := range denied {
		p = append(p, unless(number, 1), refuse)
	}
	p = append(p, unless(unix.SYS_SOCKET, uint8(2+2*len(deniedFamilies))), load(offArg0))
	for _, family := range deniedFamilies {
		p = append(p, unless(family, 1), refuse)
	}
	p = append(p, allow)
	p = append(p, unless(unix.SYS_BPF, uint8(2+2*len(allowedBPF))), load(offArg0))
	for _, command := range allowedBPF {
		p = append(p, unless(command, 1), allow)
	}
	p = append(p, refuse)
	return append(p, allow)
}
