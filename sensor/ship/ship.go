// Package ship carries what is in the spool to the collector, over HTTPS with mutual TLS.
//
// Run sends one request at a time, the most important lanes first, and grows or shrinks what a request carries by how
// long the last one took, so that on a thin link an urgent alert never waits behind a large batch for long. It believes an
// acknowledgement and nothing else: until the collector says that records are committed, they stay in the spool and the
// same bytes are sent again. A lane whose envelope the collector will not have is put aside for a while, so that it holds
// up no other. When the collector is away it backs off with full jitter; where the collector says when to
// come again, not before that.
package ship

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/sensor/spool"
)

// How much a request carries, in bytes of envelopes, and how long it should take.
const (
	leastTarget = 16 << 10
	mostTarget  = 1 << 20
	shrink      = 6 // how much smaller records become in an envelope, at least, as a rule

	slowRequest = 8 * time.Second
	fastRequest = 2 * time.Second
)

// Spool is what Run needs of a spool.Spool.
type Spool interface {
	Next(lane batch.Lane, limit spool.Limit, key ed25519.PrivateKey, at spool.Stamp) ([]byte, error)
	Ack(epoch string, lane batch.Lane, seq uint64) error
	Renew() error
	Wake() <-chan struct{}
}

var _ Spool = (*spool.Spool)(nil)

// Config is what a Client works with.
type Config struct {
	Spool   Spool
	Key     ed25519.PrivateKey
	URL     string            // https://host:port
	HTTP    http.RoundTripper // with the sensor's certificate; its TLS trusts the collector's CA alone
	Now     func() time.Time
	Log     *slog.Logger
	Asked   func([]batch.Ask)                      // hears what evidence the collector asks for, with every answer. May be nil
	Policy  func(revision uint64)                  // hears with every answer which packs there are for the sensor: batch.Offers. May be nil
	Renew   func(context.Context, time.Time) error // called before a request; it renews the certificate if that is due. May be nil
	Longest time.Duration                          // between two tries; 0 is 5 minutes
}

// A Client ships. Its counters may be read at any time.
type Client struct {
	Config
	Counters
	began  time.Time
	target int
	away   string                 // why the collector could not be reached the last time, "" where it could
	alone  time.Time              // until then each lane goes alone, to find the one that is refused
	aside  [batch.Lanes]time.Time // until then a lane stays behind
}

// Counters tell how delivery goes.
type Counters struct {
	Requests  atomic.Uint64 // answered with an acknowledgement
	Failures  atomic.Uint64 // not answered, or refused
	Envelopes atomic.Uint64 // acknowledged
	Bytes     atomic.Uint64 // acknowledged
	Wanted    atomic.Uint64 // runs of numbers that the collector misses, by its last answer
	LastAck   atomic.Int64  // Unix nanoseconds by the sensor's clock, 0 before the first
	Offset    atomic.Int64  // nanoseconds that the collector's clock is ahead, as measured last
	Credit    atomic.Int64  // bytes that the next request may carry, by the last answer
}

// New makes a client.
func New(cfg Config) *Client {
	if cfg.Longest <= 0 {
		cfg.Longest = 5 * time.Minute
	}
	c := &Client{Config: cfg, began: cfg.Now(), target: leastTarget}
	c.Credit.Store(mostTarget)
	return c
}

// Run ships until ctx ends, and returns nil then.
func (c *Client) Run(ctx context.Context) error {
	for failures := 0; ctx.Err() == nil; {
		if c.Renew != nil {
			if err := c.Renew(ctx, c.Now()); err != nil {
				c.Log.Warn("certificate is not renewed", "err", err)
			}
		}
		wait, sent, err := c.once(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			c.Failures.Add(1)
			wait = max(wait, jitter(backoff(failures, c.Longest)))
			failures++
			c.report(err)
		default:
			failures = 0
			if sent {
				c.report(nil)
			}
		}
		switch {
		case wait > 0:
			sleep(ctx, wait)
		case !sent:
			c.idle(ctx)
		}
	}
	return nil
}

// report logs a change between reachable and not, or from one reason to another.
func (c *Client) report(err error) {
	why := ""
	if err != nil {
		why = err.Error()
	}
	switch {
	case why == c.away:
	case err != nil:
		c.Log.Warn("delivery waits", "err", err)
	default:
		c.Log.Info("delivery goes on")
	}
	c.away = why
}

// backoff is the longest wait after so many failures.
func backoff(failures int, longest time.Duration) time.Duration {
	return min(longest, 500*time.Millisecond<<min(failures, 20))
}

// jitter is anything up to d: sensors that lost their collector together come back apart.
func jitter(d time.Duration) time.Duration { return rand.N(d) + time.Millisecond }

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// idle waits for news, or until a lane that was put aside is due.
func (c *Client) idle(ctx context.Context) {
	var due <-chan time.Time
	if wait := c.asideFor(); wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		due = t.C
	}
	select {
	case <-c.Spool.Wake():
	case <-due:
	case <-ctx.Done():
	}
}

// asideFor is how long it is until the next lane that was put aside is due; 0 where none is.
func (c *Client) asideFor() (wait time.Duration) {
	for _, until := range c.aside {
		if d := until.Sub(c.Now()); d > 0 && (wait == 0 || d < wait) {
			wait = d
		}
	}
	return wait
}

// blame acts on a refusal of what was sent, not of who sent it.
func (c *Client) blame(l load, no *Refused) {
	switch no.Code {
	case batch.Malformed, batch.TooLarge, batch.Foreign, batch.Unsigned:
	default:
		return
	}
	until := c.Now().Add(c.Longest)
	if len(l.lanes) > 1 {
		c.alone = until
		return
	}
	c.aside[l.lanes[0].Lane] = until
}

// once sends what is due, if anything is. wait is how long to leave the collector alone.
func (c *Client) once(ctx context.Context) (wait time.Duration, sent bool, err error) {
	load, err := c.load()
	if err != nil || len(load.lanes) == 0 {
		return 0, false, err
	}
	limit := time.Minute + time.Duration(len(load.body)/100)*time.Second // 100 B/s is the thinnest link worth having
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	from := c.Now()
	answer, wait, err := c.send(ctx, load.body)
	if err != nil {
		var no *Refused
		if errors.As(err, &no) {
			c.blame(load, no)
		} else {
			c.pace(slowRequest + 1)
		}
		return wait, true, err
	}
	took := c.Now().Sub(from)
	c.pace(took)
	c.Offset.Store(int64(answer.Time.Sub(from.Add(took / 2))))
	return c.settle(load, answer)
}

// A load is one request's envelopes.
type load struct {
	body  []byte
	lanes []*batch.Envelope
}

// load takes what is due from the lanes, the most important first, until the target is reached. Evidence goes alone.
func (c *Client) load() (load, error) {
	var l load
	most := min(c.target, int(max(c.Credit.Load(), 1)))
	for lane := range batch.Lane(batch.Lanes) {
		now := c.Now()
		if len(l.body) >= most || len(l.body) > 0 && (lane == batch.Evidence || now.Before(c.alone)) {
			break
		}
		if now.Before(c.aside[lane]) {
			continue
		}
		raw, err := c.Spool.Next(lane, spool.Limit{Bytes: shrink * (most - len(l.body))}, c.Key, spool.Stamp{Wall: now, Mono: now.Sub(c.began)})
		if err != nil {
			return l, err
		}
		if raw == nil || len(l.body) > 0 && len(l.body)+len(raw) > batch.MaxBody {
			continue
		}
		e, _, err := batch.Decode(raw)
		if err != nil {
			return l, fmt.Errorf("spool: %s lane: %w", lane, err)
		}
		l.body = append(l.body, raw...)
		l.lanes = append(l.lanes, e)
	}
	return l, nil
}

// pace makes requests larger when one went fast, smaller when it went slowly.
func (c *Client) pace(took time.Duration) {
	switch {
	case took < fastRequest:
		c.target = min(c.target*2, mostTarget)
	case took > slowRequest:
		c.target = max(c.target/2, leastTarget)
	}
}

// A Refused is an answer that is not an acknowledgement.
type Refused struct {
	Status int
	batch.Refusal
}

func (r *Refused) Error() string {
	if r.Message == "" {
		return fmt.Sprintf("the collector answered %d", r.Status)
	}
	return "the collector refuses: " + r.Message
}

// send posts a body. A fork is answered by a new epoch, so that what waits is not stuck behind it.
func (c *Client) send(ctx context.Context, body []byte) (*batch.Answer, time.Duration, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL+batch.PathBatches, bytes.NewReader(body))
	if err != nil {
		return nil, 0, err
	}
	req.Header.Set("Content-Type", batch.ContentType)
	resp, err := c.HTTP.RoundTrip(req)
	if err != nil {
		return nil, 0, fmt.Errorf("reach the collector at %s: %w", c.URL, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, 0, fmt.Errorf("answer of the collector: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		no := &Refused{Status: resp.StatusCode}
		if json.Unmarshal(text, &no.Refusal) != nil {
			no.Refusal = batch.Refusal{}
		}
		if no.Code == batch.Forked {
			if err := c.Spool.Renew(); err != nil {
				return nil, 0, errors.Join(no, err)
			}
		}
		return nil, retryAfter(resp.Header.Get("Retry-After")), no
	}
	answer := new(batch.Answer)
	if err := json.Unmarshal(text, answer); err != nil {
		return nil, 0, fmt.Errorf("answer of the collector: %w", err)
	}
	return answer, 0, nil
}

// retryAfter reads the header's seconds, at most an hour.
func retryAfter(text string) time.Duration {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0
	}
	return min(time.Duration(n)*time.Second, time.Hour)
}

// settle takes an answer: what is acknowledged leaves the spool.
func (c *Client) settle(l load, a *batch.Answer) (wait time.Duration, sent bool, err error) {
	if c.Asked != nil { // before the spool can look empty, and after it was emptied
		c.Asked(a.Evidence)
		defer func() { c.Asked(a.Evidence) }()
	}
	acked := 0
	for _, e := range l.lanes {
		if seq, ok := a.Ack[e.Lane]; ok && seq >= e.To {
			if err := c.Spool.Ack(e.Epoch, e.Lane, seq); err != nil {
				return 0, true, err
			}
			acked++
			c.Envelopes.Add(1)
			c.Bytes.Add(uint64(len(e.Bytes)))
		}
	}
	if c.Policy != nil {
		c.Policy(a.Policy)
	}
	c.Wanted.Store(uint64(len(a.Want)))
	c.Credit.Store(a.Credit)
	if acked == 0 {
		return 0, true, errors.New("the collector answered, but acknowledged nothing")
	}
	c.Requests.Add(1)
	c.LastAck.Store(c.Now().UnixNano())
	if a.RetryS > 0 {
		wait = min(time.Duration(a.RetryS*float64(time.Second)), time.Hour)
	}
	if a.Credit <= 0 {
		wait = max(wait, jitter(10*time.Second))
	}
	return wait, true, nil
}
