package iec104station

import (
	"errors"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/roje-ot/roje/cmd/roje-lab/station"
	"github.com/roje-ot/roje/cmd/roje-lab/tally"
)

// Outstation is a controlled station. Several connections may be served at the same time, each by its own goroutine.
type Outstation struct {
	CA       uint16
	Points   map[uint32]*Point
	Controls map[uint32]*Control
	Files    map[uint32]*File
	Clock    station.Clock
	Tally    *tally.Tally

	mu       sync.Mutex
	started  map[*duty]bool // connections that transfer data
	restarts bool           // the next started connection is told of an initialisation
}

// duty is the outstation on one connection.
type duty struct {
	*Outstation
	*link
	transfers bool
	selected  map[uint32]time.Time // until when
	reported  map[uint32]float64   // what the peer was told last of measured points
	file      transfer
}

// Serve answers on conn until the peer is done.
func (o *Outstation) Serve(conn net.Conn) error {
	defer conn.Close()
	line := &station.Line{Conn: conn, Clock: o.Clock}
	d := &duty{Outstation: o, link: newLink(line, o.Tally, patient), selected: map[uint32]time.Time{}, reported: map[uint32]float64{}}
	defer o.enlist(d, false)
	for _, ioa := range slices.Sorted(maps.Keys(o.Points)) {
		d.watch(ioa, o.Points[ioa])
	}
	for {
		a, u, err := d.receive(time.Time{})
		if err == nil && u != 0 {
			err = d.control(u)
		}
		if err == nil && a != nil {
			if !d.transfers {
				return errors.New("iec104: data before it was started")
			}
			err = d.answer(a)
		}
		if err != nil {
			return err
		}
	}
}

// enlist says whether d transfers data.
func (o *Outstation) enlist(d *duty, on bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.started == nil {
		o.started = map[*duty]bool{}
	}
	if on {
		o.started[d] = true
	} else {
		delete(o.started, d)
	}
}

// control answers STARTDT and STOPDT.
func (d *duty) control(u byte) error {
	switch u {
	case startAct:
		d.transfers = true
		d.enlist(d, true)
		if err := d.u(startCon); err != nil || !d.restarted(false) {
			return err
		}
		return d.send(&ASDU{Type: 70, Cause: Initialised, CA: d.CA, Objects: []Object{{0, []byte{2}}}})
	case stopAct:
		d.transfers = false
		d.enlist(d, false)
		return d.u(stopCon)
	}
	return errors.New("iec104: unexpected control function")
}

// restarted notes whether the station has restarted since the last started connection was told, and returns what it was.
func (o *Outstation) restarted(now bool) (was bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	was, o.restarts = o.restarts, now
	return was
}

// watch looks at a measured point again and again and reports it where it moved.
func (d *duty) watch(ioa uint32, p *Point) {
	if p.Every == 0 {
		return
	}
	offset := time.Duration(ioa*7919%1000) * p.Every / 1000 // so that points do not all report at once
	d.line.Every(d.Clock.Now().Add(offset), p.Every, func() error {
		d.mu.Lock()
		v := p.Vary(d.Clock.Now())
		p.Value = v
		plain := p.object(ioa)
		kind, object := p.event(ioa, d.Clock.Now())
		d.mu.Unlock()
		before, told := d.reported[ioa]
		if !d.transfers || told && max(v-before, before-v) < p.Dead {
			return nil
		}
		d.reported[ioa] = v
		if p.Cyclic {
			return d.send(d.report(p.Type, Periodic, plain))
		}
		return d.send(d.report(kind, Spontaneous, object))
	})
}

func (d *duty) report(kind, cause byte, objects ...Object) *ASDU {
	return &ASDU{Type: kind, Cause: cause, CA: d.CA, Objects: objects}
}

// tell reports a changed point on every started connection.
func (o *Outstation) tell(ioa uint32, cause byte) {
	o.mu.Lock()
	p, now := o.Points[ioa], o.Clock.Now()
	var to []*duty
	for d := range o.started {
		to = append(to, d)
	}
	o.mu.Unlock()
	slices.SortFunc(to, func(a, b *duty) int {
		return strings.Compare(a.line.RemoteAddr().String(), b.line.RemoteAddr().String())
	})
	for _, d := range to {
		o.mu.Lock()
		kind, object := p.event(ioa, now)
		o.mu.Unlock()
		d.line.At(now, func() error { return d.send(d.report(kind, cause, object)) })
	}
}

// transferring gives the started connections in a stable order.
func (o *Outstation) transferring() []*duty {
	o.mu.Lock()
	defer o.mu.Unlock()
	var list []*duty
	for d := range o.started {
		list = append(list, d)
	}
	slices.SortFunc(list, func(a, b *duty) int {
		return strings.Compare(a.line.RemoteAddr().String(), b.line.RemoteAddr().String())
	})
	return list
}

// Drop breaks the started connections, as a fault of the network does.
func (o *Outstation) Drop() {
	for _, d := range o.transferring() {
		d.line.At(o.Clock.Now(), func() error { return errors.Join(d.line.Close(), errDropped) })
	}
}

// Restart is a station that starts anew without having been told to: its connections break, and the next is told.
func (o *Outstation) Restart() {
	o.restarted(true)
	o.Drop()
}

var errDropped = errors.New("iec104: connection dropped")

// Move changes a point from inside the station, as protection or a local switch does.
func (o *Outstation) Move(ioa uint32, v float64) {
	o.mu.Lock()
	o.Points[ioa].Value = v
	o.mu.Unlock()
	o.tell(ioa, Spontaneous)
}

// Report sends objects as they are on every started connection.
func (o *Outstation) Report(kind, cause byte, sequence bool, objects ...Object) {
	for _, d := range o.transferring() {
		a := d.report(kind, cause, objects...)
		a.SQ = sequence
		d.line.At(o.Clock.Now(), func() error { return d.send(a) })
	}
}
