// Package offload reads and switches what a network interface's driver does to frames before anybody sees them: it
// merges several into one, or takes a tag out. The kernel names each of these features (linux/ethtool.h, the strings of
// ETH_SS_FEATURES; `ethtool -k IFACE` shows most of them under older names).
package offload

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Merging are the features that make one frame of several: times, lengths and counts of frames are then not those of
// the wire.
var Merging = []string{"rx-gro", "rx-gro-hw", "rx-lro", "rx-gro-list", "rx-udp-gro-forwarding"}

// Stripping are the features that take an outer VLAN tag out of a frame, which a program in the driver then cannot see.
var Stripping = []string{"rx-vlan-hw-parse", "rx-vlan-stag-hw-parse"}

// A State is that of one feature. The zero value is a feature that the kernel does not know.
type State struct {
	On    bool
	Fixed bool // it cannot be switched
}

// Commands and sizes of linux/ethtool.h.
const (
	getInfo     = 0x37 // ETHTOOL_GSSET_INFO
	getStrings  = 0x1b // ETHTOOL_GSTRINGS
	getFeatures = 0x3a // ETHTOOL_GFEATURES
	setFeatures = 0x3b // ETHTOOL_SFEATURES
	setOf       = 4    // ETH_SS_FEATURES
	nameLen     = 32   // ETH_GSTRING_LEN
	getBlock    = 16   // available, requested, active, never changed: 32 features each
	setBlock    = 8    // valid, requested
)

// Read returns the state of every feature that the kernel knows, by its name. It needs no right.
func Read(iface string) (map[string]State, error) {
	names, err := features(iface)
	if err != nil {
		return nil, fmt.Errorf("offloads of %s: %w", iface, err)
	}
	b := command(getFeatures, blocks(len(names)))
	b = append(b, make([]byte, blocks(len(names))*getBlock)...)
	if err := ethtool(iface, b); err != nil {
		return nil, fmt.Errorf("offloads of %s: %w", iface, err)
	}
	all := make(map[string]State, len(names))
	for i, name := range names {
		block := b[8+i/32*getBlock:]
		bit := func(word int) bool { return binary.NativeEndian.Uint32(block[4*word:])>>(i%32)&1 != 0 }
		all[name] = State{On: bit(2), Fixed: !bit(0) || bit(3)}
	}
	return all, nil
}

// Switch turns a feature on or off. It needs CAP_NET_ADMIN, and returns an error unless the feature is then as it was
// asked to be.
func Switch(iface, name string, on bool) error {
	err := change(iface, name, on)
	if err != nil {
		return fmt.Errorf("switch %s of %s: %w", name, iface, err)
	}
	return nil
}

func change(iface, name string, on bool) error {
	names, err := features(iface)
	if err != nil {
		return err
	}
	i := slices.Index(names, name)
	if i < 0 {
		return errors.ErrUnsupported
	}
	b := command(setFeatures, blocks(len(names)))
	b = append(b, make([]byte, blocks(len(names))*setBlock)...)
	block, mask := b[8+i/32*setBlock:], uint32(1)<<(i%32)
	binary.NativeEndian.PutUint32(block, mask)
	if on {
		binary.NativeEndian.PutUint32(block[4:], mask)
	}
	if err := ethtool(iface, b); err != nil {
		return err
	}
	all, err := Read(iface)
	if err == nil && all[name].On != on {
		err = errors.New("the driver keeps it as it is")
	}
	return err
}

// Off switches every one of the named features off that is on, and returns what puts them back, under whatever name the
// interface then has; if it has vanished there is nothing to put back. The error names those that stay on; the others
// are off all the same. A feature that the kernel does not know is off.
func Off(iface string, names []string) (undo func() error, err error) {
	undo = func() error { return nil }
	link, err := net.InterfaceByName(iface)
	if err != nil {
		return undo, fmt.Errorf("offloads of %s: %w", iface, err)
	}
	all, err := Read(iface)
	if err != nil {
		return undo, err
	}
	var were []string
	for _, name := range names {
		if !all[name].On {
			continue
		}
		if failed := Switch(iface, name, false); failed != nil {
			err = errors.Join(err, failed)
			continue
		}
		were = append(were, name)
	}
	return func() error {
		now, err := net.InterfaceByIndex(link.Index)
		if err != nil {
			return nil
		}
		var errs []error
		for _, name := range slices.Backward(were) {
			if err := Switch(now.Name, name, true); !errors.Is(err, unix.ENODEV) {
				errs = append(errs, err)
			}
		}
		return errors.Join(errs...)
	}, err
}

func blocks(features int) int { return (features + 31) / 32 }

// command begins a request: its number and one more word.
func command(number uint32, word int) []byte {
	return binary.NativeEndian.AppendUint32(binary.NativeEndian.AppendUint32(nil, number), uint32(word))
}

// features lists the names of the features, each at the place of its bit.
func features(iface string) ([]string, error) {
	b := command(getInfo, 0)
	b = binary.NativeEndian.AppendUint64(b, 1<<setOf)
	b = append(b, 0, 0, 0, 0)
	if err := ethtool(iface, b); err != nil {
		return nil, err
	}
	n := binary.NativeEndian.Uint32(b[16:])
	b = append(command(getStrings, setOf), make([]byte, 4+int(n)*nameLen)...)
	binary.NativeEndian.PutUint32(b[8:], n)
	if err := ethtool(iface, b); err != nil {
		return nil, err
	}
	var names []string
	for name := range slices.Chunk(b[12:], nameLen) {
		names = append(names, unix.ByteSliceToString(name))
	}
	return names, nil
}

// ethtool makes one SIOCETHTOOL request, which may change what is behind b.
func ethtool(iface string, b []byte) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	var req struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}
	copy(req.name[:unix.IFNAMSIZ-1], iface)
	req.data = unsafe.Pointer(unsafe.SliceData(b))
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req))); errno != 0 {
		return os.NewSyscallError("ioctl", errno)
	}
	return nil
}
