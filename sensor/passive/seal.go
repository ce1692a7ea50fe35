package passive

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ErrCgo says that the program was built with cgo, under which Go cannot change all threads at once.
var ErrCgo = errors.New("built with cgo: the capabilities of threads that C code started cannot be dropped")

// Seal gives up every capability of the process for good, in all threads and in the bounding set, sets no_new_privs,
// and installs a seccomp filter that lets every thread make the system calls of a list (calls.go), and no other: files,
// TCP and UDP to the collector, reading the state of interfaces, and look-ups in maps that are open. It cannot be taken
// back.
//
// It is called once, after all rings and filters are open.
func Seal() error {
	if err := dropCapabilities(); err != nil {
		return fmt.Errorf("drop capabilities: %w", err)
	}
	if err := filterSyscalls(); err != nil {
		return fmt.Errorf("install the seccomp filter: %w", err)
	}
	isSealed.Store(true)
	return nil
}

// isSealed says that this process has only the calls of the list left.
var isSealed atomic.Bool

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
