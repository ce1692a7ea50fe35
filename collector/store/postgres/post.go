package postgres

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"time"

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

// A notice is the payload of one NOTIFY, after the name of the process that sends it.
type notice struct {
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
		if len(got.Payload) < len(p.self) || got.Payload[:len(p.self)] == p.self || json.Unmarshal([]byte(got.Payload[len(p.self):]), &n) != nil {
			continue
		}
		changes := make([]news.Scoped, len(n.Changes))
		for i, c := range n.Changes {
			changes[i] = news.Scoped{Operator: n.Operator, Change: c}
		}
		hub.Publish(changes)
	}
}

// send puts the changes of a transaction into its commit: the last ones, as many as one notice holds.
func (p *post) send(t *tx) error {
	if len(t.changes) == 0 {
		return nil
	}
	n := notice{Operator: t.changes[0].Operator}
	from, size := len(t.changes), 200
	for ; from > 0; from-- {
		text, err := json.Marshal(t.changes[from-1].Change)
		if err != nil {
			return err
		}
		if size += len(text) + 1; size > maxNotice {
			break
		}
	}
	for _, c := range t.changes[from:] {
		n.Changes = append(n.Changes, c.Change)
	}
	if from > 0 && len(n.Changes) > 0 {
		n.Changes[0].Missed = true
	}
	text, err := json.Marshal(n)
	if err != nil {
		return err
	}
	t.work.Queue(`SELECT pg_notify('roje', $1)`, p.self+string(text))
	return nil
}
