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
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/sensor/spool"
)

var key = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))

// TestMain packs and unpacks once before any test's bubble of time exists: the packer's channels must not belong to one.
func TestMain(m *testing.M) {
	h := batch.Header{Sensor: "s1", Operator: "north", Epoch: strings.Repeat("00", 16), Base: 1}
	raw, err := batch.Seal(h, []batch.Record{{Seq: 1, Kind: "x", Body: []byte("1")}}, key)
	if err == nil {
		var e *batch.Envelope
		if e, _, err = batch.Decode(raw); err == nil {
			_, err = e.Records()
		}
	}
	if err != nil {
		panic(err)
	}
	m.Run()
}

// A desk plays the collector: it answers each request as the test says, and notes what came when.
type desk struct {
	mu     sync.Mutex
	answer func(n int, got []*batch.Envelope) (int, any, string) // status, body, Retry-After; status 0 is no answer
	came   []visit
}

type visit struct {
	at   time.Time
	body []byte
	got  []*batch.Envelope
}

func (d *desk) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	v := visit{at: time.Now(), body: body}
	for rest := body; len(rest) > 0; {
		e, after, err := batch.Decode(rest)
		if err != nil {
			return nil, err
		}
		v.got, rest = append(v.got, e), after
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.came = append(d.came, v)
	status, answer, after := d.answer(len(d.came), v.got)
	if status == 0 {
		return nil, errors.New("connection reset")
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return nil, err
	}
	h := http.Header{}
	if after != "" {
		h.Set("Retry-After", after)
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(bytes.NewReader(text))}, nil
}

// yes acknowledges all that came.
func yes(got []*batch.Envelope) (int, any, string) {
	a := batch.Answer{Ack: map[batch.Lane]uint64{}, Credit: 4 << 20, Time: time.Now().Add(3 * time.Second)}
	for _, e := range got {
		a.Ack[e.Lane] = e.To
	}
	return http.StatusOK, a, ""
}

func no(status int, code batch.Code, after string) (int, any, string) {
	return status, batch.Refusal{Code: code, Message: "because " + string(code)}, after
}

// run ships, in a bubble of fake time, until check has seen what it waits for.
func run(t *testing.T, d *desk, fill func(*spool.Spool), log io.Writer, check func(*Client, *spool.Spool)) {
	synctest.Test(t, func(t *testing.T) {
		sp, err := spool.Open(spool.Config{Dir: t.TempDir()})
		if err == nil {
			err = sp.Bind("north", "s1")
		}
		if err != nil {
			t.Fatal(err)
		}
		fill(sp)
		c := New(Config{Spool: sp, Key: key, URL: "https://collector:1", HTTP: d, Now: time.Now, Log: slog.New(slog.NewTextHandler(log, nil))})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- c.Run(ctx) }()
		check(c, sp)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := sp.Close(); err != nil {
			t.Error(err)
		}
	})
}

func add(t *testing.T, sp *spool.Spool, lane batch.Lane, n, size int) {
	t.Helper()
	items := make([]spool.Item, n)
	for i := range items {
		items[i] = spool.Item{Kind: "x", Lane: lane, At: time.Now(), Body: []byte(strconv.Quote(strings.Repeat("x", size)))}
	}
	if err := sp.Append(items...); err != nil {
		t.Fatal(err)
	}
}

// empty waits, in fake time, until everything is delivered.
func empty(t *testing.T, sp *spool.Spool) {
	t.Helper()
	for range 100000 {
		synctest.Wait()
		if st := sp.Stats(); st.Records() == 0 {
			return
		}
		time.Sleep(time.Second)
	}
	t.Fatal("the spool did not empty within a day")
}

func TestDelivers(t *testing.T) {
	d := &desk{answer: func(_ int, got []*batch.Envelope) (int, any, string) { return yes(got) }}
	run(t, d, func(sp *spool.Spool) { add(t, sp, batch.Routine, 3, 10); add(t, sp, batch.Urgent, 2, 10) }, io.Discard, func(c *Client, sp *spool.Spool) {
		empty(t, sp)
		add(t, sp, batch.Vital, 1, 10) // wakes it up
		synctest.Wait()
		if st := sp.Stats(); st.Records() != 0 {
			t.Errorf("%d records wait after news", st.Records())
		}
		if c.Envelopes.Load() != 3 || c.Requests.Load() != 2 || c.Failures.Load() != 0 || c.LastAck.Load() == 0 || time.Duration(c.Offset.Load()) != 3*time.Second {
			t.Errorf("%d envelopes in %d requests, %d failures, clock off by %s; want 3 in 2, none, 3s", c.Envelopes.Load(), c.Requests.Load(), c.Failures.Load(), time.Duration(c.Offset.Load()))
		}
	})
	if len(d.came) != 2 || len(d.came[0].got) != 2 || d.came[0].got[0].Lane != batch.Urgent || d.came[0].got[1].Lane != batch.Routine {
		t.Errorf("requests %+v; want the urgent lane before the routine one, then the vital one", d.came)
	}
}

// TestOnlyAnAcknowledgementCounts holds that whatever else happens, the same bytes come again.
func TestOnlyAnAcknowledgementCounts(t *testing.T) {
	bad := []func(got []*batch.Envelope) (int, any, string){
		func([]*batch.Envelope) (int, any, string) { return 0, nil, "" },
		func([]*batch.Envelope) (int, any, string) { return no(503, batch.Busy, "7") },
		func([]*batch.Envelope) (int, any, string) { return no(403, batch.Denied, "") },
		func([]*batch.Envelope) (int, any, string) { return 500, "no refusal", "" },
		func([]*batch.Envelope) (int, any, string) { return 200, "no answer", "" },
		func([]*batch.Envelope) (int, any, string) { return 200, batch.Answer{}, "" },
		func(got []*batch.Envelope) (int, any, string) {
			return 200, batch.Answer{Ack: map[batch.Lane]uint64{got[0].Lane: got[0].To - 1, batch.Evidence: 99}}, ""
		},
	}
	d := &desk{answer: func(n int, got []*batch.Envelope) (int, any, string) {
		if n <= len(bad) {
			return bad[n-1](got)
		}
		return yes(got)
	}}
	var log bytes.Buffer
	run(t, d, func(sp *spool.Spool) { add(t, sp, batch.Urgent, 2, 10) }, &log, func(c *Client, sp *spool.Spool) {
		empty(t, sp)
		if c.Failures.Load() != uint64(len(bad)) {
			t.Errorf("%d failures, want %d", c.Failures.Load(), len(bad))
		}
	})
	if len(d.came) != len(bad)+1 {
		t.Fatalf("%d requests, want %d", len(d.came), len(bad)+1)
	}
	for i, v := range d.came {
		if !bytes.Equal(v.body, d.came[0].body) {
			t.Errorf("request %d is not the first again", i+1)
		}
	}
	if wait := d.came[2].at.Sub(d.came[1].at); wait < 7*time.Second {
		t.Errorf("came back after %s, asked to wait for 7s", wait)
	}
	for _, want := range []string{"connection reset", "because busy", "because denied", "answered 500", "acknowledged nothing", "delivery goes on"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not say %q:\n%s", want, log.String())
		}
	}
}

func TestBacksOff(t *testing.T) {
	const away = 60
	d := &desk{answer: func(n int, got []*batch.Envelope) (int, any, string) {
		if n <= away {
			return 0, nil, ""
		}
		return yes(got)
	}}
	var log bytes.Buffer
	run(t, d, func(sp *spool.Spool) { add(t, sp, batch.Urgent, 2, 10) }, &log, func(_ *Client, sp *spool.Spool) { empty(t, sp) })
	var longest, total time.Duration
	for i := 1; i < len(d.came); i++ {
		wait := d.came[i].at.Sub(d.came[i-1].at)
		if most := backoff(i-1, 5*time.Minute); wait <= 0 || wait > most+time.Millisecond {
			t.Errorf("try %d came after %s, at most %s is due", i+1, wait, most)
		}
		longest, total = max(longest, wait), total+wait
	}
	if len(d.came) != away+1 || longest < time.Minute || total > away*5*time.Minute {
		t.Errorf("%d tries, the longest wait %s, in all %s", len(d.came), longest, total)
	}
	if n := strings.Count(log.String(), "\n"); n != 2 {
		t.Errorf("%d lines for one outage, want 2:\n%s", n, log.String())
	}
}

func TestCredit(t *testing.T) {
	d := &desk{}
	d.answer = func(n int, got []*batch.Envelope) (int, any, string) {
		status, a, _ := yes(got)
		answer := a.(batch.Answer)
		switch n {
		case 1:
			answer.Credit, answer.RetryS = 0, 100
		case 2:
			answer.Credit = 1
		}
		return status, answer, ""
	}
	run(t, d, func(sp *spool.Spool) {
		for range 3 {
			add(t, sp, batch.Urgent, 500, 1000)
			add(t, sp, batch.Routine, 500, 1000)
		}
	}, io.Discard, func(_ *Client, sp *spool.Spool) { empty(t, sp) })
	if wait := d.came[1].at.Sub(d.came[0].at); wait < 100*time.Second {
		t.Errorf("came back after %s, asked to wait for 100s", wait)
	}
	if got := d.came[2].got; len(got) != 1 || got[0].From != got[0].To {
		t.Errorf("with a credit of one byte came %d envelopes, the first of %d records; want one of one", len(got), got[0].To-got[0].From+1)
	}
}

// TestThinLink holds that on a link of 8 kbit/s requests stay small and an urgent alert does not wait for the backlog.
func TestThinLink(t *testing.T) {
	d := &desk{}
	d.answer = func(_ int, got []*batch.Envelope) (int, any, string) {
		size := 0
		for _, e := range got {
			size += len(e.Bytes)
		}
		d.mu.Unlock()
		time.Sleep(time.Duration(size) * time.Millisecond) // 1000 B/s
		d.mu.Lock()
		return yes(got)
	}
	run(t, d, func(sp *spool.Spool) {
		items := make([]spool.Item, 2000)
		for i := range items {
			body := fmt.Appendf(nil, `{"n":%d,"noise":"%x"}`, i, ed25519.Sign(key, []byte(strconv.Itoa(i))))
			items[i] = spool.Item{Kind: "x", Lane: batch.Routine, At: time.Now(), Body: body}
		}
		if err := sp.Append(items...); err != nil {
			t.Fatal(err)
		}
	}, io.Discard, func(_ *Client, sp *spool.Spool) {
		time.Sleep(time.Minute)
		before := time.Now()
		add(t, sp, batch.Urgent, 1, 100)
		for sp.Stats().Waiting[batch.Urgent]+sp.Stats().Sealed[batch.Urgent] > 0 {
			time.Sleep(100 * time.Millisecond)
		}
		if took := time.Since(before); took > 3*leastTarget*time.Millisecond {
			t.Errorf("an urgent alert took %s over a link that carries %d bytes in %s", took, leastTarget, leastTarget*time.Millisecond)
		}
		if st := sp.Stats(); st.Records() == 0 {
			t.Error("the backlog was gone already: this shows nothing")
		}
		empty(t, sp)
	})
	for _, v := range d.came[1:] {
		if len(v.body) > 3*leastTarget {
			t.Errorf("a request of %d bytes", len(v.body))
		}
	}
}

// TestFork holds that a spool whose numbers the collector knows otherwise begins a new epoch and loses nothing.
func TestFork(t *testing.T) {
	d := &desk{answer: func(n int, got []*batch.Envelope) (int, any, string) {
		if n == 1 {
			return no(409, batch.Forked, "")
		}
		return yes(got)
	}}
	run(t, d, func(sp *spool.Spool) { add(t, sp, batch.Urgent, 5, 10) }, io.Discard, func(_ *Client, sp *spool.Spool) { empty(t, sp) })
	if len(d.came) != 2 {
		t.Fatalf("%d requests, want 2", len(d.came))
	}
	was, is := d.came[0].got[0], d.came[1].got[0]
	if is.Epoch == was.Epoch || is.From != was.From || is.To != was.To || is.Base != is.From || is.Prev != (batch.Hash{}) {
		t.Errorf("first %+v, then %+v; want the same records in a new epoch", was.Header, is.Header)
	}
}

// TestOneBadLaneHoldsUpNoOther holds that an envelope that the collector will not read waits alone.
func TestOneBadLaneHoldsUpNoOther(t *testing.T) {
	healed := false
	d := &desk{}
	d.answer = func(_ int, got []*batch.Envelope) (int, any, string) {
		for _, e := range got {
			if e.Lane == batch.Routine && !healed {
				return no(400, batch.Malformed, "")
			}
		}
		return yes(got)
	}
	run(t, d, func(sp *spool.Spool) {
		for lane := range batch.Lane(batch.Lanes) {
			add(t, sp, lane, 3, 10)
		}
	}, io.Discard, func(_ *Client, sp *spool.Spool) {
		time.Sleep(time.Minute)
		st := sp.Stats()
		if st.Records() != 3 || st.Sealed[batch.Routine] != 3 {
			t.Errorf("after a minute %+v; want the routine lane alone to wait", st)
		}
		d.mu.Lock()
		tries := len(d.came)
		healed = true
		d.mu.Unlock()
		if tries > 10 {
			t.Errorf("%d requests in that minute", tries)
		}
		before := time.Now()
		empty(t, sp)
		if took := time.Since(before); took > 6*time.Minute {
			t.Errorf("the lane was tried again after %s", took)
		}
	})
}

func TestRetryAfter(t *testing.T) {
	for text, want := range map[string]time.Duration{"": 0, "x": 0, "-1": 0, "0": 0, "30": 30 * time.Second, "999999": time.Hour} {
		if got := retryAfter(text); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}
