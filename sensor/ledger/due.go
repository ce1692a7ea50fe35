package ledger

import (
	"net/netip"

	"github.com/roje-ot/roje/rules"
)

// expire closes what has waited long enough, and finds the next deadline. An action that is due without an answer is
// kept until its connection shows that none was missed.
func (l *Ledger) expire() {
	l.next = 1<<63 - 1
	all := l.order
	live := l.order[:0]
	for _, a := range all {
		if !a.closed && a.deadline <= l.now {
			switch {
			case a.done() || a.gap || a.datagram:
				l.close(a, a.settled(UnknownGap))
			case a.overdue:
				l.close(a, UnknownGap)
			default:
				a.overdue, a.deadline = true, l.now+unproven
				l.due[a.conn] = append(l.due[a.conn], a)
			}
		}
		if a.closed {
			continue
		}
		l.next = min(l.next, a.deadline)
		live = append(live, a)
	}
	clear(all[len(live):])
	l.order = live
}

// prove settles what is due on a connection that a message came on.
func (l *Ledger) prove(conn uint64, unseen bool) {
	list := l.due[conn]
	delete(l.due, conn)
	for _, a := range list {
		a.overdue = false
		a.gap = a.gap || unseen
		l.close(a, a.settled(Timeout))
	}
}

// undue takes a from among those that wait for proof.
func (l *Ledger) undue(a *action) {
	if !a.overdue {
		return
	}
	a.overdue = false
	if list := without(l.due[a.conn], a); len(list) > 0 {
		l.due[a.conn] = list
	} else {
		delete(l.due, a.conn)
	}
}

// lost marks every open action of e's connection: an answer, or a request, may have been among the lost bytes.
func (l *Ledger) lost(e *rules.Event, server bool) {
	conn := e.Flow.Conn
	l.lossAt = l.now
	if len(l.holed) < maxHoled {
		l.holed[e.Flow.Server] = struct{}{}
	}
	if !server {
		l.remember(conn)
	}
	if l.count == 0 {
		return
	}
	for _, a := range l.order {
		if !a.closed && a.conn == conn {
			a.gap, a.deaf = true, a.deaf || !server
		}
	}
	if len(l.due) > 0 {
		l.prove(conn, true)
	}
}

// lossy says whether something of a station may never have been seen.
func (l *Ledger) lossy(server netip.AddrPort) bool {
	_, ok := l.holed[server]
	return ok || len(l.holed) >= maxHoled
}

// remember notes a loss of a master's bytes.
func (l *Ledger) remember(conn uint64) {
	if _, known := l.losses[conn]; !known && len(l.losses) >= maxLosses {
		for c, at := range l.losses {
			if l.now-at >= doubtful {
				delete(l.losses, c)
			}
		}
		for c := range l.losses {
			if len(l.losses) < maxLosses {
				break
			}
			delete(l.losses, c) // all are recent: forget one of them rather than grow
		}
	}
	l.losses[conn] = l.now
}
