package verify

import (
	"net"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The memory of the XDP socket: a few chunks, as many descriptors.
const (
	chunk  = 4096
	chunks = 16
)

// xdpSocket sends through an AF_XDP socket in copy mode on the port's first queue: the driver gets the frames without
// any of the hooks at egress.
func xdpSocket(port *net.Interface) error {
	fd, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	umem, err := unix.Mmap(-1, 0, chunk*chunks, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return err
	}
	defer unix.Munmap(umem)
	reg := unix.XDPUmemReg{Addr: uint64(uintptr(unsafe.Pointer(&umem[0]))), Len: uint64(len(umem)), Size: chunk}
	if err := setXDP(fd, unix.XDP_UMEM_REG, unsafe.Pointer(&reg), unsafe.Sizeof(reg)); err != nil {
		return err
	}
	size := uint32(chunks)
	for _, ring := range []int{unix.XDP_UMEM_FILL_RING, unix.XDP_UMEM_COMPLETION_RING, unix.XDP_TX_RING} {
		if err := setXDP(fd, ring, unsafe.Pointer(&size), unsafe.Sizeof(size)); err != nil {
			return err
		}
	}
	var at unix.XDPMmapOffsets
	length := uint32(unsafe.Sizeof(at))
	if _, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_XDP, unix.XDP_MMAP_OFFSETS,
		uintptr(unsafe.Pointer(&at)), uintptr(unsafe.Pointer(&length)), 0); errno != 0 {
		return errno
	}
	tx, err := unix.Mmap(fd, unix.XDP_PGOFF_TX_RING, int(at.Tx.Desc)+chunks*int(unsafe.Sizeof(unix.XDPDesc{})), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	defer unix.Munmap(tx)
	if err := unix.Bind(fd, &unix.SockaddrXDP{Flags: unix.XDP_COPY, Ifindex: uint32(port.Index)}); err != nil {
		return err
	}
	for i := range each {
		n := copy(umem[i*chunk:], frame(5))
		desc := (*unix.XDPDesc)(unsafe.Pointer(&tx[int(at.Tx.Desc)+i*int(unsafe.Sizeof(unix.XDPDesc{}))]))
		*desc = unix.XDPDesc{Addr: uint64(i * chunk), Len: uint32(n)}
	}
	atomic.StoreUint32((*uint32)(unsafe.Pointer(&tx[at.Tx.Producer])), each)
	for range each { // one call need not send all
		if err = unix.Sendto(fd, nil, unix.MSG_DONTWAIT, nil); err != nil && err != unix.EAGAIN && err != unix.EBUSY {
			return err
		}
	}
	return nil
}

func setXDP(fd, option int, value unsafe.Pointer, size uintptr) error {
	if _, _, errno := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_XDP, uintptr(option), uintptr(value), size, 0); errno != 0 {
		return errno
	}
	return nil
}
