package dnp3

import "github.com/roje-ot/roje/protocols"

// Bits of the application control octet, IEEE 1815 4.2.2.3.
const (
	appFir = 0x80
	appFin = 0x40
	appCon = 0x20
	appUns = 0x10
)

// A decoder holds one connection. It implements protocols.Decoder.
type decoder struct {
	detail Detail
	seg    [maxSegment]byte // user data of the frame in hand
	sound  []byte           // the frame that Split has just cut, if all its checks agree; Decode takes it at its word, once
	clear  [2]int           // of each direction: so many bytes from the front of what waits begin no right header, save the first
	done   []byte           // the last fragment that took more than one segment
	peers  []peer
	recent int    // index of the last used peer
	tick   uint64 // counts frames, to tell which peer was used least recently
	held   int    // bytes of unfinished fragments

	server   protocols.Dir // the outstation's end, as far as is known
	serverOK bool
}

func newDecoder(h protocols.Hint) *decoder { return &decoder{server: h.Server, serverOK: h.Known} }

// Lost forgets what is half read from dir.
func (d *decoder) Lost(dir protocols.Dir) {
	d.clear[dir&1] = 0
	for i := range d.peers {
		for j := range d.peers[i].streams {
			if s := &d.peers[i].streams[j]; protocols.Dir(j>>1) == dir {
				d.held -= len(s.buf)
				s.forget()
			}
		}
	}
}

// Decode says what one frame completes.
func (d *decoder) Decode(f protocols.Frame, m *protocols.Message) bool {
	d.detail.reset()
	if cap(d.done) > keepBuffer {
		d.done = nil
	}
	m.Reset()
	m.Proto, m.Dir, m.Raw, m.Detail = Protocol, f.Dir, f.Bytes, &d.detail
	m.Name, m.Op = unknownName, protocols.Session

	sound := len(d.sound) == len(f.Bytes) && len(d.sound) > 0 && &d.sound[0] == &f.Bytes[0]
	d.sound = nil
	l, ok := link{}, sound
	if sound {
		l = headerOf(f.Bytes)
	} else {
		l, ok = headerAt(f.Bytes)
	}
	if !ok {
		m.Faults = protocols.BadChecksum
		if d.serverOK && f.Dir == d.server {
			m.From = protocols.Server
		}
		return true
	}
	d.detail.link, d.detail.hasLink = l, true
	m.Name = l.name()
	m.Faults = l.check()
	d.roles(m, l, l.dir())
	seg, fault := l.userBytes(d.seg[:0], f.Bytes, sound)
	m.Faults |= fault
	p := d.peerOf(uint16(m.Master), uint16(m.Station))
	s := p.stream(f.Dir, l)
	m.Faults |= s.count(l)
	if !l.userData() || m.Faults&(protocols.Short|protocols.BadChecksum|protocols.BadLength) != 0 {
		return true
	}
	frag, fault, v := d.join(s, seg)
	m.Faults |= fault
	d.detail.transport = seg[0]
	switch v {
	case waiting:
		return false
	case unfitted:
		return true
	}
	d.fragment(p, f.At, m, l, frag)
	return true
}

// stream is the one that l belongs to.
func (p *peer) stream(dir protocols.Dir, l link) *stream {
	return &p.streams[int(dir&1)<<1|int(l.ctl>>7)]
}

// roles sets who sent m and who the two are.
func (d *decoder) roles(m *protocols.Message, l link, master bool) {
	m.HasStation, m.HasMaster = true, true
	if master {
		m.From, m.Master, m.Station = protocols.Client, uint32(l.src), uint32(l.dst)
		d.server, d.serverOK = m.Dir.Other(), true
		return
	}
	m.From, m.Master, m.Station = protocols.Server, uint32(l.dst), uint32(l.src)
	d.server, d.serverOK = m.Dir, true
}

// fragment reads a whole application fragment of p that was complete at that time.
func (d *decoder) fragment(p *peer, at int64, m *protocols.Message, l link, frag []byte) {
	t := &d.detail
	var r reader
	r.d, r.m = t, m
	r.c.Reset(frag)
	c := &r.c
	ctl, code := c.U8(), c.U8()
	m.Body = frag
	if c.Short {
		m.Faults |= protocols.Short
		return
	}
	t.app, t.hasApp = ctl, true
	m.HasCode, m.Code = true, uint16(code)
	fn := functionOf(code)
	if fn == nil {
		m.Name, m.Op = unknownName, protocols.Other
		m.Faults |= protocols.BadCode
		t.restAt, t.restTo = c.Pos(), len(frag)
		return
	}
	m.Name, m.Op = fn.name, fn.op
	if code != fnConfirm && fn.answer == l.dir() {
		m.Faults |= protocols.BadDirection // what a station does with it goes by the function
		d.roles(m, l, !fn.answer)
		p = d.peerOf(uint16(m.Master), uint16(m.Station))
	}
	uns := ctl&appUns != 0
	if uns != (code == fnUnsolicited) && code != fnConfirm {
		m.Faults |= protocols.BadHeader
	}
	if fn.answer {
		t.iin = uint16(c.U8()) | uint16(c.U8())<<8
		if c.Short {
			m.Faults |= protocols.Short
			return
		}
		t.hasIIN = true
		if t.iin&iinReserved != 0 {
			m.Faults |= protocols.BadHeader
		}
		m.Status = uint32(t.iin & iinRefusals >> 8 << statusIIN)
	}
	r.objects(fn)
	if len(t.objects) > 0 && code == fnWrite {
		if op := writeOps[t.objects[0].group]; op != protocols.Other {
			m.Op = op
		}
	}
	p.pair(m, fn, ctl, at, l.dst >= firstBroadcast)
}
