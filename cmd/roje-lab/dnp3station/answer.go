package dnp3station

import "time"

const (
	selectLife = 10 * time.Second
	needed     = 0x20 // CON bit
)

// Control status codes (Annex A, group 12).
const (
	statusOK       = 0
	statusNoSelect = 2
	statusUnknown  = 4
)

// request is a fragment with what it takes to answer it.
type request struct {
	seq, fc   byte
	master    uint16
	broadcast bool
	heads     []head
	raw       []byte
}

// answer does what a fragment asks for.
func (d *duty) answer(b []byte, dst, src uint16) error {
	r := &request{seq: b[0] & 0x0f, fc: b[1], master: src, broadcast: dst >= BroadcastSilent, raw: b}
	if r.fc == Confirm {
		return d.taken(r, b[0]&0x10 != 0)
	}
	if r.broadcast {
		d.mu.Lock()
		d.iin |= iinBroadcast
		d.mu.Unlock()
	}
	var err error
	if r.heads, err = heads(r.fc, b[2:]); err != nil {
		return d.respond(r, iinParameter)
	}
	do, known := functions[r.fc]
	if !known {
		return d.respond(r, iinFunction)
	}
	if d.Challenges && r.fc >= Select && r.fc <= DirectOperateNR {
		return d.ask(r)
	}
	return do(d, r)
}

// taken is a confirmation: what was sent is forgotten, and the next fragment of a long answer goes out.
func (d *duty) taken(r *request, unsolicited bool) error {
	due := &d.expects
	if unsolicited {
		due = &d.uexpects
	}
	if *due != int(r.seq) {
		return nil
	}
	*due = -1
	d.confirmed()
	if !unsolicited && len(d.more) > 0 {
		return d.next(r.master, (r.seq+1)&0x0f, 0, 0, false)
	}
	return d.report()
}

// functions is what the station does, by application function.
var functions map[byte]func(d *duty, r *request) error

func init() { // not a literal: the functions refer to the table
	functions = map[byte]func(d *duty, r *request) error{
		Read: (*duty).read, Write: (*duty).write,
		Select: (*duty).controls, Operate: (*duty).controls, DirectOperate: (*duty).controls, DirectOperateNR: (*duty).controls,
		Freeze: (*duty).freeze, FreezeNR: (*duty).freeze, FreezeClear: (*duty).freeze, FreezeClearNR: (*duty).freeze,
		FreezeAtTime: (*duty).freeze, FreezeAtTimeNR: (*duty).freeze,
		ColdRestart: (*duty).restarts, WarmRestart: (*duty).restarts,
		InitializeApp: (*duty).accept, StartApp: (*duty).accept, StopApp: (*duty).accept,
		SaveConfig: (*duty).wait, ActivateConfig: (*duty).wait,
		EnableUnsolicited: (*duty).spontaneity, DisableUnsolicited: (*duty).spontaneity, AssignClass: (*duty).accept,
		DelayMeasure: (*duty).wait, RecordTime: (*duty).accept,
		OpenFile: (*duty).fileOpen, CloseFile: (*duty).fileClose, AbortFile: (*duty).fileClose, DeleteFile: (*duty).fileDelete,
		FileInfo: (*duty).fileInfo, AuthenticateFile: (*duty).fileLogin,
		AuthRequest: (*duty).authenticated,
	}
}

// respond sends an answer, unless the request wants none.
func (d *duty) respond(r *request, iin uint16, objects ...Objects) error {
	if r.broadcast || silent[r.fc] {
		return nil
	}
	d.more = objects
	return d.next(r.master, r.seq, 0x80, iin, false)
}

// silent functions have no response.
var silent = map[byte]bool{DirectOperateNR: true, FreezeNR: true, FreezeClearNR: true, FreezeAtTimeNR: true, AuthRequestNR: true}

// next sends the next fragment of an answer; first is the FIR bit. All but the last ask for a confirmation, and so does
// one with events.
func (d *duty) next(master uint16, seq, first byte, iin uint16, events bool) error {
	most := d.MaxFragment
	if most == 0 {
		most = 2048
	}
	var body Objects
	for len(d.more) > 0 && (len(body) == 0 || len(body)+len(d.more[0]) <= most-4) {
		body = append(body, d.more[0]...)
		d.more = d.more[1:]
	}
	control := first | seq
	if len(d.more) == 0 {
		control |= 0x40
	}
	if len(d.more) > 0 || events {
		control |= needed
		d.expects = int(seq)
	}
	iin |= d.indications()
	return d.send(master, d.Address, append([]byte{control, Response, byte(iin), byte(iin >> 8)}, body...))
}

// accept answers without doing more: the lab's stations have no application program to stop.
func (d *duty) accept(r *request) error { return d.respond(r, 0) }

// wait answers with a delay (group 52): of the measurement, or how long the work will take.
func (d *duty) wait(r *request) error {
	return d.respond(r, 0, Count(52, 2, 1, le16(2)...))
}

// restarts says how long it will take, and goes down.
func (d *duty) restarts(r *request) error {
	pause := map[byte]time.Duration{ColdRestart: 8 * time.Second, WarmRestart: 2 * time.Second}[r.fc]
	d.restart(300 * time.Millisecond)
	return d.respond(r, 0, Count(52, 2, 1, le16(uint16(pause.Milliseconds()))...))
}

// spontaneity enables or disables unsolicited responses for the classes named (group 60).
func (d *duty) spontaneity(r *request) error {
	d.mu.Lock()
	for _, h := range r.heads {
		if h.g == 60 && h.v >= 2 && h.v <= 4 {
			d.enabled[h.v-1] = r.fc == EnableUnsolicited
		}
	}
	d.mu.Unlock()
	if err := d.respond(r, 0); err != nil || r.fc == DisableUnsolicited {
		return err
	}
	return d.report()
}

// freeze copies counters to frozen counters.
func (d *duty) freeze(r *request) error {
	d.mu.Lock()
	frozen := d.Points[FrozenCounter]
	for i, p := range d.Points[Counter] {
		if i < len(frozen) {
			frozen[i].Value = p.Value
		}
		if r.fc == FreezeClear || r.fc == FreezeClearNR {
			p.Value = 0
		}
	}
	d.mu.Unlock()
	return d.respond(r, 0)
}
