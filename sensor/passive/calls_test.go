package passive

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// numbersOf is the whole table of an architecture, as golang.org/x/sys took it from the kernel's headers.
func numbersOf(t *testing.T, goarch string) map[string]int {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "golang.org/x/sys").Output()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "unix", "zsysnum_linux_"+goarch+".go"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]int{}
	for _, m := range regexp.MustCompile(`SYS_(\w+)\s+= (\d+)`).FindAllStringSubmatch(string(text), -1) {
		if all[strings.ToLower(m[1])], err = strconv.Atoi(m[2]); err != nil {
			t.Fatal(err)
		}
	}
	if len(all) < 300 {
		t.Fatalf("%s: %d calls, which cannot be all", goarch, len(all))
	}
	return all
}

// names of calls that the table of arm64 has under another.
var names = map[string]string{"newfstatat": "fstatat"}

// judge runs the filter as the kernel would, on a call's number and arguments.
func judge(t *testing.T, vm *bpf.VM, audit uint32, number int, args ...uint64) uint32 {
	t.Helper()
	data := make([]byte, 64) // struct seccomp_data. The machine reads words as a packet has them, the highest byte first
	binary.BigEndian.PutUint32(data[offNumber:], uint32(number))
	binary.BigEndian.PutUint32(data[offArch:], audit)
	for i, a := range args {
		binary.BigEndian.PutUint32(data[offArgs+8*i:], uint32(a))
		binary.BigEndian.PutUint32(data[offArgs+8*i+4:], uint32(a>>32))
	}
	said, err := vm.Run(data)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(said)
}

// machine is the filter of an architecture, ready to run.
func machine(t *testing.T, a arch, pid uint32) *bpf.VM {
	t.Helper()
	program := seccompProgram(a, calls(pid), refusal())
	if len(program) > 4096 { // BPF_MAXINSNS
		t.Fatalf("%d instructions", len(program))
	}
	raw := make([]bpf.RawInstruction, len(program))
	for i, in := range program {
		raw[i] = bpf.RawInstruction{Op: in.Code, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	text, whole := bpf.Disassemble(raw)
	if !whole {
		t.Fatal("not every instruction is one")
	}
	vm, err := bpf.NewVM(text)
	if err != nil {
		t.Fatal(err)
	}
	return vm
}

// TestCalls walks every call that an architecture has, and numbers that it has not: what the list allows passes, and
// nothing else.
func TestCalls(t *testing.T) {
	const pid = 4711
	refused := uint32(unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM))
	for goarch, a := range arches {
		all, listed, vm := numbersOf(t, goarch), map[int]*call{}, machine(t, a, pid)
		for _, c := range calls(pid) {
			number := a.number(&c)
			want, known := all[c.name]
			if alias, ok := names[c.name]; !known && ok {
				want, known = all[alias]
			}
			if number == none && known || number != none && number != want {
				t.Errorf("%s: %s is number %d, and not %d", goarch, c.name, want, number)
			}
			if listed[number] != nil {
				t.Errorf("%s: %s is listed twice", goarch, c.name)
			}
			if number != none {
				listed[number] = &c
			}
		}
		numbers := map[int]string{-1: "no call", x32: "x32 read", x32 + 41: "x32 socket", 1 << 20: "no call"}
		for n := range 1024 {
			numbers[n] = "no call"
		}
		for name, n := range all {
			numbers[n] = name
		}
		allowed := 0
		for n, name := range numbers {
			c, want := listed[n], refused
			if n >= 0 && c != nil && len(c.when) == 0 {
				want = unix.SECCOMP_RET_ALLOW
				allowed++
			}
			if got := judge(t, vm, a.audit, n, ^uint64(0), ^uint64(0), ^uint64(0)); got != want {
				t.Errorf("%s: %s (%d) gets %#x, want %#x", goarch, name, n, got, want)
			}
			if n >= 0 && judge(t, vm, a.audit^1, n) != unix.SECCOMP_RET_KILL_PROCESS {
				t.Errorf("%s: %s by another architecture's table does not end the process", goarch, name)
			}
		}
		t.Logf("%s: %d of %d calls pass whatever their arguments, %d by their arguments", goarch, allowed, len(all), len(listed)-allowed)
	}
}

// TestArguments asks for what the list allows by arguments, and for what lies beside it.
func TestArguments(t *testing.T) {
	const pid, high = 4711, 1 << 32
	for _, c := range []struct {
		call  string
		args  []uint64
		allow bool
	}{
		{"socket", []uint64{unix.AF_INET, unix.SOCK_STREAM | unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK, 0}, true},
		{"socket", []uint64{unix.AF_INET6, unix.SOCK_STREAM, unix.IPPROTO_MPTCP}, true},
		{"socket", []uint64{unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_UDP}, true},
		{"socket", []uint64{unix.AF_NETLINK, unix.SOCK_RAW | unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE}, true},
		{"socket", []uint64{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER}, false},
		{"socket", []uint64{unix.AF_INET, unix.SOCK_RAW, 0}, false},
		{"socket", []uint64{unix.AF_INET6, unix.SOCK_RAW | unix.SOCK_CLOEXEC, unix.IPPROTO_ICMPV6}, false},
		{"socket", []uint64{unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_ICMP}, false},
		{"socket", []uint64{unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_UDP}, false},
		{"socket", []uint64{unix.AF_INET, unix.SOCK_PACKET, 0x300}, false},
		{"socket", []uint64{unix.AF_PACKET, unix.SOCK_RAW, 0}, false},
		{"socket", []uint64{unix.AF_PACKET, unix.SOCK_DGRAM, 0}, false},
		{"socket", []uint64{unix.AF_PACKET | high, unix.SOCK_STREAM, 0}, false},
		{"socket", []uint64{unix.AF_XDP, unix.SOCK_RAW, 0}, false},
		{"socket", []uint64{unix.AF_UNIX, unix.SOCK_STREAM, 0}, false},
		{"socket", []uint64{unix.AF_VSOCK, unix.SOCK_STREAM, 0}, false},
		{"bpf", []uint64{unix.BPF_MAP_LOOKUP_BATCH}, true},
		{"bpf", []uint64{unix.BPF_MAP_CREATE}, false},
		{"bpf", []uint64{unix.BPF_PROG_LOAD}, false},
		{"bpf", []uint64{unix.BPF_PROG_RUN}, false},
		{"bpf", []uint64{unix.BPF_OBJ_GET}, false},
		{"bpf", []uint64{unix.BPF_LINK_CREATE}, false},
		{"bpf", []uint64{unix.BPF_LINK_DETACH}, false},
		{"bpf", []uint64{unix.BPF_LINK_UPDATE}, false},
		{"clone", []uint64{0x50f00}, true},
		{"clone", []uint64{0x50f00 | unix.CLONE_NEWNET}, false},
		{"clone", []uint64{0x50f00 | unix.CLONE_NEWUSER}, false},
		{"clone", []uint64{uint64(unix.SIGCHLD)}, false},
		{"clone", []uint64{unix.CLONE_VM | unix.CLONE_VFORK}, false},
		{"mmap", []uint64{0, 4096, unix.PROT_READ | unix.PROT_WRITE}, true},
		{"mmap", []uint64{0, 4096, unix.PROT_READ | unix.PROT_EXEC}, false},
		{"kill", []uint64{pid, 15}, true},
		{"kill", []uint64{1, 15}, false},
		{"kill", []uint64{^uint64(0), 9}, false},
		{"tgkill", []uint64{pid, pid + 3, 23}, true},
		{"tgkill", []uint64{1, 1, 9}, false},
		{"prctl", []uint64{unix.PR_SET_VMA, unix.PR_SET_VMA_ANON_NAME}, true},
		{"prctl", []uint64{unix.PR_SET_VMA, 1}, false},
		{"prctl", []uint64{unix.PR_SET_SECCOMP, 2}, false},
		{"ioctl", []uint64{3, unix.SIOCETHTOOL}, true},
		{"ioctl", []uint64{3, unix.SIOCSIFFLAGS}, false},
		{"ioctl", []uint64{3, unix.TIOCSTI}, false},
		{"setsockopt", []uint64{3, unix.SOL_SOCKET, unix.SO_KEEPALIVE}, true},
		{"setsockopt", []uint64{3, unix.IPPROTO_TCP, unix.TCP_NODELAY}, true},
		{"setsockopt", []uint64{3, unix.SOL_SOCKET, unix.SO_BINDTODEVICE}, false},
		{"setsockopt", []uint64{3, unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX}, false},
		{"setsockopt", []uint64{3, unix.SOL_SOCKET, unix.SO_ATTACH_BPF}, false},
		{"setsockopt", []uint64{3, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP}, false},
		{"setsockopt", []uint64{3, unix.IPPROTO_IP, unix.IP_UNICAST_IF}, false},
		{"setsockopt", []uint64{3, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS}, false},
		{"setsockopt", []uint64{3, unix.SOL_XDP, unix.XDP_TX_RING}, false},
		{"fcntl", []uint64{3, unix.F_SETFL, unix.O_NONBLOCK}, true},
		{"fcntl", []uint64{3, unix.F_SETOWN, 1}, false},
	} {
		for goarch, a := range arches {
			want := uint32(unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM))
			if c.allow {
				want = unix.SECCOMP_RET_ALLOW
			}
			if got := judge(t, machine(t, a, pid), a.audit, numbersOf(t, goarch)[c.call], c.args...); got != want {
				t.Errorf("%s: %s%x gets %#x, want %#x", goarch, c.call, c.args, got, want)
			}
		}
	}
}
