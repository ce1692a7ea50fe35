package filter

import (
	"io"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/features"
)

// A memory is an array that the kernel's side uses too.
type memory interface {
	io.ReaderAt
	io.WriterAt
}

// memoryOf maps an array, or, where the kernel cannot, reads and writes it by bpf(2).
func memoryOf(m *ebpf.Map) (memory, error) {
	if m.Flags()&uint32(features.BPF_F_MMAPABLE) != 0 {
		return m.Memory()
	}
	return elements{m}, nil
}

// elements are those of an array that is not mapped, one after the other.
type elements struct{ of *ebpf.Map }

// ReadAt implements memory.
func (e elements) ReadAt(b []byte, off int64) (n int, err error) {
	return e.each(b, off, func(_ uint32, at int, element, part []byte) (int, error) { return copy(part, element[at:]), nil })
}

// WriteAt implements memory. What else is in an element must not be written meanwhile.
func (e elements) WriteAt(b []byte, off int64) (n int, err error) {
	return e.each(b, off, func(key uint32, at int, element, part []byte) (int, error) {
		return copy(element[at:], part), e.of.Update(key, element, ebpf.UpdateExist)
	})
}

// each has do deal with the elements that lie at off, and counts the bytes of b that it dealt with.
func (e elements) each(b []byte, off int64, do func(key uint32, at int, element, part []byte) (int, error)) (n int, err error) {
	element := make([]byte, e.of.ValueSize())
	size := int64(len(element))
	for err == nil && n < len(b) {
		key := uint32((off + int64(n)) / size)
		if err = e.of.Lookup(key, element); err != nil {
			break
		}
		var done int
		if done, err = do(key, int((off+int64(n))%size), element, b[n:]); err == nil {
			n += done
		}
	}
	return n, err
}
