package passive

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

func pointer(b *[64]byte) uintptr { return uintptr(unsafe.Pointer(b)) }

func errnoOrNil(e unix.Errno) error {
	if e == 0 {
		return nil
	}
	return e
}
