package sensor

import (
	"encoding/json"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/sensor/spool"
)

// outboxRoom is how many records wait for the disk before a reader has to. A slow disk then fills the ring, and the
// kernel counts what it drops.
const outboxRoom = 4096

// An outbox takes records from the readers and puts them into the spool, many in one commit.
type outbox struct {
	spool  *spool.Spool
	lines  *Lines
	log    *slog.Logger
	items  chan spool.Item
	barren chan chan struct{} // asks for everything so far to be on disk
	done   sync.WaitGroup

	raised  atomic.Uint64
	unsaved atomic.Uint64 // records that the disk would not take
}

func newOutbox(sp *spool.Spool, lines *Lines, log *slog.Logger) *outbox {
	b := &outbox{spool: sp, lines: lines, log: log, items: make(chan spool.Item, outboxRoom), barren: make(chan chan struct{})}
	b.done.Go(b.write)
	return b
}

// alert is the engine's Emit. It is called under the daemon's lock.
func (b *outbox) alert(a *rules.Alert) {
	b.raised.Add(1)
	b.lines.Write(a)
	b.lines.Flush()
	b.json(batch.KindAlert, batch.LaneOf(a.Severity), a.Last, a)
}

func (b *outbox) json(kind string, lane batch.Lane, at time.Time, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		b.log.Error("record is not written", "kind", kind, "err", err)
		return
	}
	b.items <- spool.Item{Kind: kind, Lane: lane, At: at.UTC(), Body: body}
}

// write commits what waits, together.
func (b *outbox) write() {
	var group []spool.Item
	for {
		select {
		case item, ok := <-b.items:
			if !ok {
				return
			}
			group = append(group[:0], item)
			for len(group) < outboxRoom {
				select {
				case item, ok := <-b.items:
					if ok {
						group = append(group, item)
						continue
					}
				default:
				}
				break
			}
			b.commit(group)
		case asked := <-b.barren:
			for len(b.items) > 0 {
				b.commit([]spool.Item{<-b.items})
			}
			close(asked)
		}
	}
}

// commit tries until the disk takes the group: an alert is never let go of because of a full disk that somebody is
// about to clear. While it waits the readers wait too, and what they miss is counted by the kernel.
func (b *outbox) commit(group []spool.Item) {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 10*time.Second) {
		err := b.spool.Append(group...)
		if err == nil {
			b.unsaved.Store(0)
			return
		}
		b.unsaved.Store(uint64(len(group)))
		b.log.Error("records wait for the disk", "records", len(group), "err", err)
		time.Sleep(wait)
	}
}

// flush returns when everything handed over so far is on disk.
func (b *outbox) flush() {
	asked := make(chan struct{})
	b.barren <- asked
	<-asked
}

func (b *outbox) close() error {
	close(b.items)
	b.done.Wait()
	return b.lines.Close()
}
