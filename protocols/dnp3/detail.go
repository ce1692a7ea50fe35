package dnp3

// A Detail is what a message says beyond the nouns of all protocols. The decoder owns it; it is read through
// Protocol.Field.
type Detail struct {
	link      link
	transport uint8 // the octet of the segment that completed the fragment
	app       uint8 // application control octet
	iin       uint16
	hasLink   bool
	hasApp    bool
	hasIIN    bool

	credentials bool // a user name or a password went by in clear
	hasControl  bool
	code        uint8 // control code of the first CROB
	objects     []header
	regs        [numRegs]uint32
	has         uint64 // which of regs mean something
	restAt      int    // Body[restAt:restTo] was not understood
	restTo      int
}

// keepHeaders is how much room for object headers stays with a connection.
const keepHeaders = 256

func (d *Detail) reset() {
	o := d.objects[:0]
	if cap(o) > keepHeaders {
		o = nil
	}
	*d = Detail{}
	d.objects = o
}

func (d *Detail) set(r reg, v uint32) {
	d.regs[r] = v
	d.has |= 1 << r
}

func (d *Detail) get(r reg) (int64, bool) { return int64(d.regs[r]), d.has&(1<<r) != 0 }

// control notes the first control code of the message.
func (d *Detail) control(code uint8) {
	if !d.hasControl {
		d.code, d.hasControl = code, true
	}
}
