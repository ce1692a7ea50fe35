package iec104

import (
	"encoding/binary"
	"strconv"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/protocols/wire"
)

// Types 81 to 95 carry the secure authentication of IEC TS 62351-5:2013 in the form of IEC TS 60870-5-7: behind the
// common address no object address but, save in S_KR_NA_1, a segmentation octet, then the fields. Keys, MACs and
// challenge data are never shown; their lengths are.

// A secField is one number of a security ASDU, of 1, 2 or 4 octets.
type secField struct {
	name string
	size int
}

// The fields, with the standard's abbreviations. The error message's time tag lies behind the last that is read.
var (
	csq = secField{"CSQ", 4} // challenge sequence number
	ksq = secField{"KSQ", 4} // key change sequence number
	scs = secField{"SCS", 4} // status change sequence number
	usr = secField{"USR", 2} // user number
	asc = secField{"AID", 2} // association id
	mal = secField{"MAL", 1} // MAC algorithm
	rsc = secField{"RSC", 1} // reason for the challenge
	kwa = secField{"KWA", 1} // key wrap algorithm
	kst = secField{"KST", 1} // key status
	erc = secField{"ERR", 1} // error code
	kcm = secField{"KCM", 1} // key change method
	opr = secField{"OPR", 1} // operation
	url = secField{"URL", 2} // user role
	uei = secField{"UEI", 2} // user role expiry
	cln = secField{"CLN", 2} // challenge data length
	hln = secField{"HLN", 2} // MAC length
	wkl = secField{"WKL", 2} // wrapped key data length
	unl = secField{"UNL", 2} // user name length
	ccl = secField{"CCL", 2} // controlling station challenge data length
	cdl = secField{"CDL", 2} // controlled station challenge data length
	eul = secField{"EUL", 2} // encrypted update key length
)

func sec(f ...secField) []secField { return f }

// The bits of the segmentation octet.
const (
	segFIN = 0x80
	segFIR = 0x40
	segASN = 0x3f
)

// guarded reads a security ASDU behind its common address. An aggressive mode request that fits one segment has a
// whole ASDU inside: its type is noted, and its objects and operation become the message's, since it is they that act.
func (d *decoder) guarded(r *row, b []byte, m *protocols.Message) {
	c := wire.New(b)
	segment := byte(segFIR | segFIN)
	if r.id != 84 {
		segment = c.U8()
	}
	if c.Short {
		m.Faults |= protocols.Short
		return
	}
	d.det.security = b
	if segment&segFIR == 0 {
		return
	}
	if r.id == 83 && segment&segFIN != 0 {
		d.inside(b[c.Pos():], m)
		return
	}
	for _, f := range r.sec {
		v := c.LE(f.size)
		if f.name == "USR" && !c.Short {
			d.det.user, d.det.has = uint16(v), d.det.has|hasUser
		}
	}
	if c.Short && segment&segFIN != 0 {
		m.Faults |= protocols.Short
	}
}

// inside reads the ASDU of an aggressive mode request, which is followed by a sequence number, the user and a MAC.
func (d *decoder) inside(b []byte, m *protocols.Message) {
	z := d.sizes.sizing()
	head := 2 + int(z.cause) + int(z.common)
	if len(b) < head {
		m.Faults |= protocols.Short
		return
	}
	r := rowOf[b[0]]
	d.det.inner, d.det.has = b[0], d.det.has|hasInner
	if r == nil || r.form&(bodyless|segment) != 0 {
		return
	}
	n, run := int(b[1]&0x7f), b[1]&0x80 != 0
	end := z.length(n, r.size, run)
	if end > len(b) {
		m.Faults |= protocols.Short
		return
	}
	m.Op = r.op
	d.objects(r, b[head:end], n, run, m)
	if tail := b[end:]; len(tail) >= 6 {
		d.det.user, d.det.has = binary.LittleEndian.Uint16(tail[4:]), d.det.has|hasUser
	} else {
		m.Faults |= protocols.Short
	}
}

// appendSecurity appends the numbers of a security ASDU as one object; nothing for other messages.
func appendSecurity(dst []byte, m *protocols.Message) []byte {
	det := detailOf(m)
	r := rowOf[det.typ]
	if det.security == nil || r == nil {
		return dst
	}
	c := wire.New(det.security)
	dst = append(dst, '{')
	segment := byte(segFIR | segFIN)
	if r.id != 84 {
		segment = c.U8()
		dst = append(dst, `"fir":`...)
		dst = strconv.AppendBool(dst, segment&segFIR != 0)
		dst = append(dst, `,"fin":`...)
		dst = strconv.AppendBool(dst, segment&segFIN != 0)
		dst = append(dst, `,"asn":`...)
		dst = strconv.AppendUint(dst, uint64(segment&segASN), 10)
	}
	if segment&segFIR == 0 {
		return append(dst, '}')
	}
	for _, f := range r.sec {
		v := c.LE(f.size)
		if c.Short {
			break
		}
		if dst[len(dst)-1] != '{' {
			dst = append(dst, ',')
		}
		dst = append(dst, '"')
		for _, l := range f.name {
			dst = append(dst, byte(l)|0x20)
		}
		dst = append(dst, '"', ':')
		dst = strconv.AppendUint(dst, v, 10)
	}
	return append(dst, '}')
}
