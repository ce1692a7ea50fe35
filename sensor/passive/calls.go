package passive

import "golang.org/x/sys/unix"

// A call is a system call that the sealed sensor may make. Numbers differ by architecture; none is -1.
type call struct {
	name         string
	amd64, arm64 int
	// when are the ways to make it that are allowed: one of them has to hold. Without any it is always allowed.
	when []when
}

// A when holds if all of its tests do.
type when []test

// A test holds if an argument, under a mask, is one of some values. Only the low word of the argument is looked at: the
// kernel itself looks at no more of the arguments that are tested here.
type test struct {
	arg  int
	mask uint32
	is   []uint32
}

const none = -1

// one holds if the argument is one of the values.
func one(arg int, values ...uint32) test { return test{arg, ^uint32(0), values} }

// without holds if the argument has none of the bits.
func without(arg int, bits uint32) test { return test{arg, bits, []uint32{0}} }

// with holds if the argument has the bit.
func with(arg int, bit uint32) test { return test{arg, bit, []uint32{bit}} }

// sockType leaves out the flags that socket(2) takes with the type.
const sockType = ^uint32(unix.SOCK_NONBLOCK | unix.SOCK_CLOEXEC)

// namespaces are the flags of clone(2) that make one.
const namespaces = unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWCGROUP

// calls is everything that a sealed process with the number pid may ask of the kernel: what Go's runtime lives on, files,
// TCP and UDP, reading the state of interfaces, and looking into maps that are open. What is not here is refused: among
// the rest, other programs and their memory, namespaces, io_uring, code made at run time, and loading BPF.
func calls(pid uint32) []call {
	return []call{
		// Threads, memory, signals and clocks: Go's runtime.
		{"futex", 202, 98, nil},
		{"epoll_pwait", 281, 22, nil},
		{"epoll_wait", 232, none, nil},
		{"nanosleep", 35, 101, nil},
		{"sched_yield", 24, 124, nil},
		{"madvise", 28, 233, nil},
		{"clock_gettime", 228, 113, nil},
		{"clock_nanosleep", 230, 115, nil},
		{"restart_syscall", 219, 128, nil},
		{"rt_sigreturn", 15, 139, nil},
		{"rt_sigaction", 13, 134, nil},
		{"rt_sigprocmask", 14, 135, nil},
		{"sigaltstack", 131, 132, nil},
		{"gettid", 186, 178, nil},
		{"getpid", 39, 172, nil},
		{"tgkill", 234, 131, []when{{one(0, pid)}}}, // its own threads
		{"kill", 62, 129, []when{{one(0, pid)}}},    // itself
		{"clone", 56, 220, []when{{with(0, unix.CLONE_THREAD), with(0, unix.CLONE_VM), without(0, namespaces)}}},
		{"arch_prctl", 158, none, []when{{one(0, archSetFS)}}},
		{"exit", 60, 93, nil},
		{"exit_group", 231, 94, nil},
		{"mmap", 9, 222, []when{{without(2, unix.PROT_EXEC)}}},
		{"munmap", 11, 215, nil},
		{"prctl", 157, 167, []when{{one(0, unix.PR_SET_VMA), one(1, unix.PR_SET_VMA_ANON_NAME)}}}, // names of memory
		{"sched_getaffinity", 204, 123, nil},
		{"getrandom", 318, 278, nil},
		{"epoll_create1", 291, 20, nil},
		{"epoll_ctl", 233, 21, nil},
		{"eventfd2", 290, 19, nil},
		{"pipe2", 293, 59, nil},

		// Files: state, spool, ledger, evidence, baseline, alerts, and what the kernel says under /proc and /sys.
		{"read", 0, 63, nil},
		{"write", 1, 64, nil},
		{"pread64", 17, 67, nil},
		{"pwrite64", 18, 68, nil},
		{"writev", 20, 66, nil},
		{"openat", 257, 56, nil},
		{"close", 3, 57, nil},
		{"fstat", 5, 80, nil},
		{"newfstatat", 262, 79, nil},
		{"lseek", 8, 62, nil},
		{"getdents64", 217, 61, nil},
		{"readlinkat", 267, 78, nil},
		{"mkdirat", 258, 34, nil},
		{"unlinkat", 263, 35, nil},
		{"renameat", 264, 38, nil},
		{"fchmod", 91, 52, nil},
		{"fchmodat", 268, 53, nil},
		{"ftruncate", 77, 46, nil},
		{"fsync", 74, 82, nil},
		{"fdatasync", 75, 83, nil},
		{"flock", 73, 32, nil},
		{"fcntl", 72, 25, []when{{one(1, unix.F_GETFL, unix.F_SETFL, unix.F_GETFD, unix.F_SETFD, unix.F_DUPFD_CLOEXEC, unix.F_OFD_GETLK)}}},

		// The collector, names, and the page of metrics; and the state of interfaces.
		{"socket", 41, 198, []when{
			{one(0, unix.AF_INET, unix.AF_INET6), {1, sockType, []uint32{unix.SOCK_STREAM}}, one(2, 0, unix.IPPROTO_TCP, unix.IPPROTO_MPTCP)},
			{one(0, unix.AF_INET, unix.AF_INET6), {1, sockType, []uint32{unix.SOCK_DGRAM}}, one(2, 0, unix.IPPROTO_UDP)},
			{one(0, unix.AF_NETLINK), one(2, unix.NETLINK_ROUTE)},
		}},
		{"connect", 42, 203, nil},
		{"bind", 49, 200, nil},
		{"listen", 50, 201, nil},
		{"accept4", 288, 242, nil},
		{"sendto", 44, 206, nil},
		{"sendmsg", 46, 211, nil},
		{"recvfrom", 45, 207, nil},
		{"recvmsg", 47, 212, nil},
		{"shutdown", 48, 210, nil},
		{"getsockname", 51, 204, nil},
		{"getpeername", 52, 205, nil},
		{"getsockopt", 55, 209, nil},
		{"setsockopt", 54, 208, []when{ // none that binds to an interface, or joins a group there
			{one(1, unix.SOL_SOCKET), one(2, unix.SO_REUSEADDR, unix.SO_BROADCAST, unix.SO_KEEPALIVE, unix.SO_RCVTIMEO, unix.SO_SNDTIMEO, unix.SO_RCVBUF, unix.SO_SNDBUF, unix.SO_LINGER)},
			{one(1, unix.IPPROTO_TCP), one(2, unix.TCP_NODELAY, unix.TCP_KEEPIDLE, unix.TCP_KEEPINTVL, unix.TCP_KEEPCNT, unix.TCP_USER_TIMEOUT)},
			{one(1, unix.IPPROTO_IPV6), one(2, unix.IPV6_V6ONLY)},
			{one(1, unix.SOL_NETLINK), one(2, unix.NETLINK_EXT_ACK)},
		}},
		{"ioctl", 16, 29, []when{{one(1, unix.SIOCETHTOOL, unix.TIOCOUTQ, unix.TCGETS)}}}, // which offloads are on; what TCP has not delivered; is this a terminal
		{"uname", 63, 160, nil},

		// The maps of the filter and of the program at the egress.
		{"bpf", 321, 280, []when{{one(0, unix.BPF_MAP_LOOKUP_ELEM, unix.BPF_MAP_UPDATE_ELEM, unix.BPF_MAP_DELETE_ELEM, unix.BPF_MAP_GET_NEXT_KEY, unix.BPF_MAP_LOOKUP_BATCH)}}},
	}
}

// archSetFS is ARCH_SET_FS of asm/prctl.h: a new thread's own memory on amd64.
const archSetFS = 0x1002

// Calls are the names of what a sealed process may ask of the kernel: whatever else filters its calls must let these
// through.
func Calls() (names []string) {
	for _, c := range calls(0) {
		names = append(names, c.name)
	}
	return names
}
