package postgres

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/news"
)

const (
	maxNotice = 7900 // bytes; the server takes less than 8000
	firstWait = 100 * time.Millisecond
	longWait  = 5 * time.Second
)

// A post carries changes between the collectors of a database. Those of its own process do not travel by it.
type post struct {
	self string // tells this process's notices from others
	stop func()
}

// A notice is the payload of one NOTIFY.
type notice struct {
	From     string         `json:"f"`
	Operator string         `json:"o"`
	Changes  []store.Change `json:"c"`
}

// start listens until stop, which waits for the listener's end.
func (p *post) start(ctx context.Context, from *pool, hub *news.Hub) error {
	p.self = rand.Text()
	c, err := listen(ctx, from)
	if err != nil {
		return err
	}
	running, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	p.stop = func() { cancel(); <-done }
	go func() {
		defer close(done)
		for wait := firstWait; ; {
			if c != nil {
				p.read(running, c, hub)
				c.Close(context.Background())
				hub.Missed() // what others did until it listens again
				wait = firstWait
			}
			select {
			case <-running.Done():
				return
			case <-time.After(wait):
				wait = min(2*wait, longWait)
			}
			if c, err = listen(running, from); err != nil {
				c = nil
			} else {
				hub.Missed()
			}
		}
	}()
	return nil
}

func listen(ctx context.Context, from *pool) (*conn, error) {
	c, err := from.connect(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.run(ctx, "LISTEN roje"); err != nil {
		c.Close(context.WithoutCancel(ctx))
		return nil, err
	}
	return c, nil
}

// read publishes what others send, until the connection ends.
func (p *post) read(ctx context.Context, c *conn, hub *news.Hub) {
	for {
		got, err := c.WaitForNotification(ctx)
		if err != nil {
			return
		}
		var n notice
		if json.Unmarshal([]byte(got.Payload), &n) != nil || n.From == p.self {
			continue
		}
		changes := make([]news.Scoped, len(n.Changes))
		for i, c := range n.Changes {
			changes[i] = news.Scoped{Operator: n.Operator, Change: c}
		}
		hub.Publish(changes)
	}
}

// send puts the changes of a transaction into its commit: the last ones, as many as a reader can have waiting.
func (p *post) send(t *tx) error {
	if len(t.changes) == 0 {
		return nil
	}
	all := t.changes
	if drop := len(all) - news.Backlog; drop > 0 {
		all = append([]news.Scoped(nil), all[drop:]...)
		all[0].Missed = true
	}
	var notices pgx.Batch
	n := notice{From: p.self, Operator: all[0].Operator}
	size := 0
	flush := func() error {
		text, err := json.Marshal(n)
		notices.Queue("SELECT pg_notify('roje', $1)", string(text))
		n.Changes, size = nil, 0
		return err
	}
	for _, c := range all {
		text, err := json.Marshal(c.Change)
		if err != nil {
			return err
		}
		if size += len(text) + 1; size > maxNotice-200 && len(n.Changes) > 0 {
			if err := flush(); err != nil {
				return err
			}
			size = len(text) + 1
		}
		n.Changes = append(n.Changes, c.Change)
	}
	if err := flush(); err != nil {
		return err
	}
	return t.SendBatch(t.ctx, &notices).Close()
}
