package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// most is how many connections a pool has at most, beside the one that listens: N collectors share one server.
const most = 8

// A conn is a connection. One goroutine uses it at a time.
type conn struct {
	*pgx.Conn
	warning string // the server's last, of the statement that runs
}

// run runs statements without arguments.
func (c *conn) run(ctx context.Context, text string) error {
	_, err := c.PgConn().Exec(ctx, text).ReadAll()
	return err
}

// commit ends the transaction. A server that stops waiting for its standby says so by no more than a warning: to us it is
// an error, as what was not replicated must not be acknowledged.
func (c *conn) commit(ctx context.Context) error {
	c.warning = ""
	if err := c.run(ctx, "COMMIT"); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	if c.warning != "" {
		return fmt.Errorf("commit: %s", c.warning)
	}
	return nil
}

// A pool keeps connections for later. It makes them to the one server of the URL that can be written to.
type pool struct {
	config *pgx.ConnConfig
	slots  chan struct{} // one for each connection that is in use

	mu     sync.Mutex
	idle   []*conn
	closed bool
}

func newPool(url string) (*pool, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, errors.New(withoutPassword(err, url))
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
	}
	config.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	for name, value := range map[string]string{
		"application_name": "roje-collector", "synchronous_commit": "on", "client_min_messages": "warning",
		"lock_timeout": "60s", "idle_in_transaction_session_timeout": "120s",
	} {
		if config.RuntimeParams[name] == "" {
			config.RuntimeParams[name] = value
		}
	}
	return &pool{config: config, slots: make(chan struct{}, most)}, nil
}

// withoutPassword is the text of an error without the URL's password.
func withoutPassword(err error, url string) string {
	text := err.Error()
	if at := strings.LastIndex(url, "@"); at >= 0 {
		if _, password, ok := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(url[:at], "postgres://"), "postgresql://"), ":"); ok && password != "" {
			text = strings.ReplaceAll(text, password, "xxxxx")
		}
	}
	return text
}

// connect makes a connection.
func (p *pool) connect(ctx context.Context) (*conn, error) {
	c := &conn{}
	config := p.config.Copy()
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		if n.SeverityUnlocalized == "WARNING" {
			c.warning = n.Message
		}
	}
	var err error
	if c.Conn, err = pgx.ConnectConfig(ctx, config); err != nil {
		return nil, fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	return c, nil
}

// get takes a connection, in the open transaction that begin begins. Connections that have died since they were used are
// found by it, and replaced.
func (p *pool) get(ctx context.Context, begin string) (*conn, error) {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for {
		p.mu.Lock()
		var c *conn
		if n := len(p.idle); n > 0 {
			c, p.idle = p.idle[n-1], p.idle[:n-1]
		}
		closed := p.closed
		p.mu.Unlock()
		fresh := c == nil
		var err error
		if closed {
			err = errors.New("store: closed")
		} else if fresh {
			c, err = p.connect(ctx)
		}
		if err == nil {
			if err = c.run(ctx, begin); err == nil {
				return c, nil
			}
		}
		if c != nil && c.Conn != nil {
			c.Close(context.WithoutCancel(ctx))
		}
		if fresh || closed || ctx.Err() != nil {
			<-p.slots
			return nil, err
		}
	}
}

// put gives a connection back. One that is not fit for another transaction is closed.
func (p *pool) put(c *conn) {
	defer func() { <-p.slots }()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || c.IsClosed() || c.PgConn().TxStatus() != 'I' {
		c.Close(context.Background())
		return
	}
	p.idle = append(p.idle, c)
}

// close closes what is idle now, and the others when they are given back.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, c := range p.idle {
		c.Close(context.Background())
	}
	p.idle = nil
}
