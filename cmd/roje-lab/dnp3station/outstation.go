package dnp3station

import (
	"errors"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/roje-ot/roje/cmd/roje-lab/station"
	"github.com/roje-ot/roje/cmd/roje-lab/tally"
)

// Internal indications (clause 4.2.2.6), first octet low.
const (
	iinBroadcast = 1 << 0
	iinClass1    = 1 << 1
	iinNeedTime  = 1 << 4
	iinRestart   = 1 << 7
	iinFunction  = 1 << 8
	iinObject    = 1 << 9
	iinParameter = 1 << 10
)

// Outstation is one station with one link address. Several connections may be served at the same time.
type Outstation struct {
	Address     uint16
	Master      uint16 // where unsolicited responses go
	Points      map[Kind][]*Point
	Files       map[string][]byte
	MaxFragment int // octets of a response; 0 is 2048
	Clock       station.Clock
	Tally       *tally.Tally
	Challenges  bool          // commands are challenged (secure authentication)
	Travel      time.Duration // from operate to the input that follows

	mu      sync.Mutex
	iin     uint16
	queue   []*record // events that nobody has confirmed
	enabled [4]bool   // unsolicited, by class
	duties  map[*duty]bool
}

// record is an event in the buffer.
type record struct {
	kind  Kind
	index int
	at    time.Time
	state Point
	sent  bool
}

// duty is the outstation on one connection.
type duty struct {
	*Outstation
	*wire
	useq      byte // unsolicited sequence
	expects   int  // sequence of the confirmation that is due, -1 for none
	uexpects  int  // the same for unsolicited responses
	more      []Objects
	selected  map[string]time.Time
	selectSeq byte
	files     map[uint32]*openFile
	challenge *challenge
}

// Serve answers on conn until the peer is done.
func (o *Outstation) Serve(conn net.Conn) error { return Gateway{o}.Serve(conn) }

// Gateway is several outstations behind one address, as on a terminal server or a data concentrator.
type Gateway []*Outstation

// Serve answers on conn, for each of the outstations, until the peer is done.
func (g Gateway) Serve(conn net.Conn) error {
	defer conn.Close()
	line := &station.Line{Conn: conn, Clock: g[0].Clock}
	w := newWire(line, g[0].Tally, false, func(a uint16) bool {
		return a >= BroadcastSilent || slices.ContainsFunc(g, func(o *Outstation) bool { return o.Address == a })
	})
	var duties []*duty
	for _, o := range g {
		d := &duty{Outstation: o, wire: w, expects: -1, uexpects: -1, selected: map[string]time.Time{}, files: map[uint32]*openFile{}}
		o.begin(d)
		defer o.end(d)
		duties = append(duties, d)
	}
	for {
		fragment, dst, src, err := w.receive(time.Time{})
		if err != nil {
			return err
		}
		for _, d := range duties {
			if dst != d.Address && dst < BroadcastSilent {
				continue
			}
			if err := d.answer(fragment, dst, src); err != nil {
				return err
			}
		}
	}
}

// begin makes d known, and starts what the station does by itself on a connection.
func (o *Outstation) begin(d *duty) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.duties == nil {
		o.duties, o.iin = map[*duty]bool{}, iinRestart|iinNeedTime
	}
	o.duties[d] = true
	now := o.Clock.Now()
	for _, kind := range []Kind{Binary, DoubleBit, Counter, Analog} {
		for i, p := range o.Points[kind] {
			if p.Every > 0 {
				offset := time.Duration((i*7919+int(kind)*131)%1000) * p.Every / 1000
				d.line.Every(now.Add(offset), p.Every, func() error { o.look(kind, i); return nil })
			}
		}
	}
	if o.iin&iinRestart != 0 { // clause 5.1.1.1.1: a null unsolicited response at start
		d.line.At(now.Add(200*time.Millisecond), func() error { return d.unsolicited(nil) })
	}
}

func (o *Outstation) end(d *duty) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.duties, d)
}

// look brings a measured point up to date and keeps an event if it moved enough.
func (o *Outstation) look(kind Kind, i int) {
	o.mu.Lock()
	p := o.Points[kind][i]
	v := p.Vary(o.Clock.Now())
	moved := max(v-p.told, p.told-v) >= p.Dead
	p.Value = v
	o.mu.Unlock()
	if moved {
		o.event(kind, i)
	}
}

// Move changes a point, from a command or from inside the station, and keeps the event.
func (o *Outstation) Move(kind Kind, i int, v float64) {
	o.mu.Lock()
	o.Points[kind][i].Value = v
	o.mu.Unlock()
	o.event(kind, i)
}

// event keeps an event of a point, and has it sent where its class is enabled.
func (o *Outstation) event(kind Kind, i int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	p := o.Points[kind][i]
	p.told = p.Value
	if p.Class == 0 {
		return
	}
	o.queue = append(o.queue, &record{kind: kind, index: i, at: o.Clock.Now(), state: *p})
	if len(o.queue) > 200 {
		o.queue = o.queue[1:]
	}
	if !o.enabled[p.Class] {
		return
	}
	for _, d := range o.listening() {
		d.line.At(o.Clock.Now().Add(100*time.Millisecond), d.report)
	}
}

// listening gives the connections in a stable order.
func (o *Outstation) listening() []*duty {
	var list []*duty
	for d := range o.duties {
		list = append(list, d)
	}
	slices.SortFunc(list, func(a, b *duty) int {
		return slices.Compare([]byte(a.line.RemoteAddr().String()), []byte(b.line.RemoteAddr().String()))
	})
	return list
}

// pending takes some of the events, by kind and in order, and marks them as sent.
func (o *Outstation) pending(want func(*record) bool) []Objects {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []Objects
	for _, r := range o.queue {
		if !want(r) {
			continue
		}
		r.sent = true
		e := events[r.kind]
		data := append(e.enc(&r.state), le48(r.at)...)
		if last := len(out) - 1; last >= 0 && out[last][0] == e.g && out[last][3] < 255 {
			out[last] = append(append(out[last], byte(r.index), 0), data...)
			out[last][3]++
			continue
		}
		out = append(out, At16(e.g, e.v, uint16(r.index), data...))
	}
	return out
}

// confirmed forgets the events that were sent.
func (o *Outstation) confirmed() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.queue = slices.DeleteFunc(o.queue, func(r *record) bool { return r.sent })
}

// indications are the internal indications of the next response.
func (o *Outstation) indications() uint16 {
	o.mu.Lock()
	defer o.mu.Unlock()
	iin := o.iin
	for _, r := range o.queue {
		iin |= iinClass1 << (r.state.Class - 1)
	}
	o.iin &^= iinBroadcast
	return iin
}

// report sends the events of the enabled classes, unless a confirmation is still due.
func (d *duty) report() error {
	if d.expects >= 0 || d.uexpects >= 0 {
		return nil
	}
	objects := d.pending(func(r *record) bool { return d.enabled[r.state.Class] })
	if len(objects) == 0 {
		return nil
	}
	return d.unsolicited(Join(objects...))
}

// unsolicited sends an unsolicited response and expects its confirmation.
func (d *duty) unsolicited(objects Objects) error {
	iin := d.indications()
	fragment := append([]byte{0xf0 | d.useq, Unsolicited, byte(iin), byte(iin >> 8)}, objects...)
	seq := int(d.useq)
	d.uexpects = seq
	d.useq = (d.useq + 1) & 0x0f
	d.line.At(d.Clock.Now().Add(5*time.Second), func() error { // no confirmation: the events stay for the next poll
		if d.uexpects == seq {
			d.uexpects = -1
		}
		return nil
	})
	return d.send(d.Master, d.Address, fragment)
}

// restart is what follows a cold or warm restart: the connection goes, the next one finds a started station.
func (d *duty) restart(after time.Duration) {
	d.line.At(d.Clock.Now().Add(after), func() error {
		d.mu.Lock()
		d.iin, d.queue, d.enabled = iinRestart|iinNeedTime, nil, [4]bool{}
		d.mu.Unlock()
		return errors.Join(d.line.Close(), os.ErrClosed)
	})
}

// Restart is what a station does by itself after a loss of power, for one: its connections go, and the next ones find a
// started station.
func (o *Outstation) Restart() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, d := range o.listening() {
		d.restart(0)
	}
}

// Drop breaks the connections, as a fault of the network does; the station itself goes on.
func (o *Outstation) Drop() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, d := range o.listening() {
		d.line.At(o.Clock.Now(), func() error { return errors.Join(d.line.Close(), os.ErrClosed) })
	}
}
