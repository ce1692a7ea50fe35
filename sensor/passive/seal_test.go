package passive

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/roje-ot/roje/testdata/need"
)

// sealed names the environment variable under which the test binary seals itself and reports what it still can.
const sealed = "ROJE_TEST_SEALED"

func TestMain(m *testing.M) {
	if os.Getenv(sealed) != "" {
		if err := Seal(); errors.Is(err, ErrCgo) {
			fmt.Println("cgo")
			os.Exit(0)
		} else if err != nil {
			fmt.Println("seal:", err)
			os.Exit(1)
		}
		for _, try := range attempts {
			fmt.Printf("%s=%v\n", try.name, try.do())
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// attempts are what a sealed process tries, and whether it must fail.
var attempts = []struct {
	name    string
	refused bool
	do      func() error
}{
	{"packet socket", true, func() error { return socket(unix.AF_PACKET, unix.SOCK_RAW) }},
	{"packet socket without header", true, func() error { return socket(unix.AF_PACKET, unix.SOCK_DGRAM) }},
	{"XDP socket", true, func() error { return socket(unix.AF_XDP, unix.SOCK_RAW) }},
	{"raw IP socket", true, func() error { return socket(unix.AF_INET, unix.SOCK_RAW) }},
	{"ping socket", true, func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_ICMP)
		if err == nil {
			unix.Close(fd)
		}
		return err
	}},
	{"socket to other processes", true, func() error { return socket(unix.AF_UNIX, unix.SOCK_DGRAM) }},
	{"UDP bound to an interface", true, func() error { return option(func(fd int) error { return unix.BindToDevice(fd, "lo") }) }},
	{"joining a group", true, func() error {
		return option(func(fd int) error {
			return unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, &unix.IPMreqn{Multiaddr: [4]byte{239, 1, 2, 3}})
		})
	}},
	{"code made at run time", true, func() error {
		mem, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_EXEC, unix.MAP_PRIVATE|unix.MAP_ANON)
		if err == nil {
			unix.Munmap(mem)
		}
		return err
	}},
	{"io_uring", true, func() error {
		var params [120]byte
		_, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 4, uintptr(unsafe.Pointer(&params)), 0)
		return errnoOrNil(errno)
	}},
	{"a signal to another process", true, func() error { return unix.Kill(os.Getppid(), 0) }},
	{"a signal to itself", false, func() error { return unix.Kill(os.Getpid(), 0) }},
	{"UDP to the collector", false, func() error { return socket(unix.AF_INET6, unix.SOCK_DGRAM) }},
	{"the state of interfaces", false, func() error { _, err := net.Interfaces(); return err }},
	{"more threads", false, func() error {
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				runtime.LockOSThread() // and never unlock: each gets a thread of its own
				os.ReadFile("/proc/self/stat")
			})
		}
		all.Wait()
		runtime.GC()
		return nil
	}},
	{"another program", true, func() error { return exec.Command("/bin/true").Run() }},
	{"another namespace", true, func() error { return unix.Unshare(unix.CLONE_NEWUSER) }},
	{"trace", true, func() error { return unix.PtraceAttach(os.Getppid()) }},
	{"new BPF map", true, func() error {
		var attr [64]byte
		_, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_MAP_CREATE, pointer(&attr), uintptr(len(attr)))
		return errnoOrNil(errno)
	}},
	{"capabilities", false, func() error {
		return statusOf("CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2")
	}},
	{"TCP to the collector", false, func() error { return socket(unix.AF_INET, unix.SOCK_STREAM) }},
	{"a file", false, func() error { return os.WriteFile(filepath.Join(os.TempDir(), "roje-sealed"), nil, 0o600) }},
	{"a listener on loopback", false, func() error {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err == nil {
			l.Close()
		}
		return err
	}},
}

// option sets one on a socket for UDP.
func option(set func(fd int) error) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return nil // which no case expects
	}
	defer unix.Close(fd)
	return set(fd)
}

func socket(family, kind int) error {
	fd, err := unix.Socket(family, kind, 0)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

// statusOf looks for the lines in the status of every thread.
func statusOf(lines ...string) error {
	threads, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil || len(threads) == 0 {
		return fmt.Errorf("no threads: %v", err)
	}
	for _, path := range threads {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, line := range lines {
			if !strings.Contains(string(text), line+"\n") {
				return fmt.Errorf("%s lacks %q", path, line)
			}
		}
	}
	return nil
}

// TestSeal seals a process that was root, in every thread, and has it try.
func TestSeal(t *testing.T) {
	need.Superuser(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), sealed+"=1", "TMPDIR="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("the sealed process: %v\n%s", err, out)
	}
	if strings.HasPrefix(string(out), "cgo") {
		t.Log("built with cgo, as the race detector needs: Seal says so, and the rest of this test has no subject")
		return
	}
	for _, try := range attempts {
		_, said, ok := strings.Cut(string(out), try.name+"=")
		said, _, _ = strings.Cut(said, "\n")
		if !ok || (said != "<nil>") != try.refused {
			t.Errorf("%s: %q, must be refused: %v", try.name, said, try.refused)
		}
	}
}
