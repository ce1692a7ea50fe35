package ring

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/roje-ot/roje/sensor/capture"
)

// Stamps counts frames by where their time was taken.
type Stamps struct {
	Hardware, Driver, Kernel uint64
}

// Status bits of linux/if_packet.h that golang.org/x/sys does not name.
const (
	statusVLANValid = 1 << 4
	statusTPIDValid = 1 << 6
	statusLosing    = 1 << 2
	stampSoftware   = 1 << 29
	stampHardware   = 1 << 31
)

// Next implements capture.Source. p.Data lies in the ring, and is valid until the next call: the block that it is in
// goes back to the kernel with the call that finds it used up. Next allocates nothing. It returns capture.ErrIdle after
// Config.Idle without a frame.
func (r *Ring) Next(p *capture.Packet) error {
	for r.left == 0 {
		if r.held {
			r.release()
		}
		if !r.take() {
			if err := r.wait(); err != nil {
				return err
			}
			if !r.take() {
				return capture.ErrIdle
			}
		}
	}
	r.fill(p)
	return nil
}

// take makes the current block ours if the kernel has handed it over.
func (r *Ring) take() bool {
	h := r.header()
	status := atomic.LoadUint32(&h.Block_status)
	if status&unix.TP_STATUS_USER == 0 {
		return false
	}
	r.losing = r.losing || status&statusLosing != 0
	r.held, r.left = true, h.Num_pkts
	r.next = r.block*r.cfg.BlockSize + int(h.Offset_to_first_pkt)
	return true
}

// release gives the block back; frames in it are no longer valid. Under test it is overwritten first, so that a use
// after release shows.
func (r *Ring) release() {
	h := r.header()
	if r.poison {
		block := r.mem[r.block*r.cfg.BlockSize:][:r.cfg.BlockSize]
		from := int(h.Offset_to_first_pkt)
		for i := range block[from:] {
			block[from+i] = 0xdd
		}
	}
	atomic.StoreUint32(&h.Num_pkts, 0) // for Waiting: the kernel writes it anew when it opens the block
	atomic.StoreUint32(&h.Block_status, unix.TP_STATUS_KERNEL)
	r.held = false
	r.block = (r.block + 1) % r.cfg.Blocks
}

// fill describes the next frame of the block. The kernel wrote the offsets in it; they are as good as the kernel.
func (r *Ring) fill(p *capture.Packet) {
	at := unsafe.Add(unsafe.Pointer(unsafe.SliceData(r.mem)), r.next)
	h := (*unix.Tpacket3Hdr)(at)
	r.frame++
	p.At = int64(h.Sec)*1e9 + int64(h.Nsec)
	p.Frame, p.Link, p.Iface, p.OrigLen = r.frame, capture.Ethernet, 0, int(h.Len)
	p.Data = unsafe.Slice((*byte)(unsafe.Add(at, int(h.Mac))), h.Snaplen)
	p.HasVLAN, p.VLAN = false, 0
	if h.Status&statusVLANValid != 0 {
		p.HasVLAN, p.VLAN = true, uint16(h.Hv1.Vlan_tci)&0xfff
	}
	switch {
	case h.Status&(stampHardware|stampSoftware) == 0: // Stamps takes these for the rest
	case h.Status&stampHardware != 0:
		r.stamps.Hardware++
	default:
		r.stamps.Driver++
	}
	r.left--
	r.next += int(h.Next_offset)
}

// Waiting is how many frames lie in the ring that Next has not given out. Where the filter's kept frames and the read
// ones differ by more, the ring had no room for the others. It is exact while no frame arrives.
func (r *Ring) Waiting() (n uint64) {
	for i := range r.cfg.Blocks {
		h := (*unix.TpacketHdrV1)(unsafe.Pointer(&r.mem[i*r.cfg.BlockSize+8]))
		if r.held && i == r.block {
			n += uint64(r.left)
			continue
		}
		n += uint64(atomic.LoadUint32(&h.Num_pkts))
	}
	return n
}

// Stamps says where the times of the frames so far were taken.
func (r *Ring) Stamps() Stamps {
	s := r.stamps
	s.Kernel = r.frame - s.Hardware - s.Driver
	return s
}

// Losing says that the kernel had dropped a frame, since the ring was opened, by the time it handed over the block that is
// read.
func (r *Ring) Losing() bool { return r.losing }

// Read is how many frames were read so far. Frames that the filter kept and that were not read were dropped because
// the ring was full, or are still in it.
func (r *Ring) Read() uint64 { return r.frame }
