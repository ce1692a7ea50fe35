package oneway

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/rules/batch/fec"
	"github.com/roje-ot/roje/sensor/spool"
)

var key = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, ed25519.SeedSize))

// TestMain seals once, so that the compressor's own channels belong to no test's bubble.
func TestMain(m *testing.M) {
	raw, err := batch.Seal(batch.Header{Sensor: "s1", Operator: "north", Epoch: strings.Repeat("0", 32), Base: 1}, []batch.Record{{Seq: 1, Kind: "x", Body: []byte("1")}}, key)
	if err == nil {
		var e *batch.Envelope
		if e, _, err = batch.Decode(raw); err == nil {
			_, err = e.Records()
		}
	}
	if err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// ear is a carrier that remembers what was sent and when.
type ear struct {
	lossy bool
	fail  error
	heard []string
	began time.Time
}

func (e *ear) send(_ context.Context, b *batch.Envelope) error {
	if e.fail != nil {
		return e.fail
	}
	name := fmt.Sprintf("%s %d-%d at %v", b.Lane, b.From, b.To, time.Since(e.began).Round(time.Second))
	e.heard = append(e.heard, name)
	return nil
}

func (e *ear) close() error  { return nil }
func (e *ear) repeats() bool { return e.lossy }

func openSpool(t *testing.T) *spool.Spool {
	t.Helper()
	sp, err := spool.Open(spool.Config{Dir: t.TempDir()})
	if err == nil {
		err = sp.Bind("north", "s1")
	}
	if err != nil {
		t.Fatal(err)
	}
	return sp
}

func add(t *testing.T, sp *spool.Spool, lane batch.Lane, n int) {
	t.Helper()
	for i := range n {
		if err := sp.Append(spool.Item{Kind: "x", Lane: lane, At: time.Now(), Body: fmt.Appendf(nil, `{"n":%d,"lane":%d}`, i, lane)}); err != nil {
			t.Fatal(err)
		}
	}
}

func settings(t *testing.T, sp *spool.Spool, archive string) Settings {
	return Settings{Config: Config{UDP: "192.0.2.1:1"}, Spool: sp, Key: key, Archive: archive, Now: time.Now, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
}

func waiting(sp *spool.Spool) uint64 {
	stats := sp.Stats()
	return stats.Records()
}

// send runs a sender with e for a time.
func send(t *testing.T, sp *spool.Spool, archive string, e *ear, d time.Duration) *Sender {
	t.Helper()
	s, err := New(settings(t, sp, archive))
	if err != nil {
		t.Fatal(err)
	}
	s.carrier, e.began = e, time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	if err := s.Run(ctx); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSends holds the order of lanes, the repeats in time, and that the spool is empty though nobody answered.
func TestSends(t *testing.T) {
	for name, c := range map[string]struct {
		lossy bool
		want  []string
	}{
		"lossy": {true, []string{"vital 1-1 at 0s", "urgent 1-2 at 0s", "routine 1-3 at 0s", "vital 1-1 at 20s", "urgent 1-2 at 30s", "urgent 1-2 at 5m0s"}},
		"safe":  {false, []string{"vital 1-1 at 0s", "urgent 1-2 at 0s", "routine 1-3 at 0s"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sp := openSpool(t)
				defer sp.Close()
				add(t, sp, batch.Routine, 3)
				add(t, sp, batch.Urgent, 2)
				add(t, sp, batch.Vital, 1)
				e := &ear{lossy: c.lossy}
				s := send(t, sp, t.TempDir(), e, time.Hour)
				if !slices.Equal(e.heard, c.want) {
					t.Errorf("sent\n got %q\nwant %q", e.heard, c.want)
				}
				if n := waiting(sp); n != 0 {
					t.Errorf("%d records stay in the spool", n)
				}
				epoch := sp.Stats().Epoch
				want := []batch.Range{{Epoch: epoch, Lane: 0, From: 1, To: 1}, {Epoch: epoch, Lane: 1, From: 1, To: 2}, {Epoch: epoch, Lane: 2, From: 1, To: 3}}
				if got := s.Sent(); !reflect.DeepEqual(got, want) {
					t.Errorf("Sent() = %v, want %v", got, want)
				}
			})
		})
	}
}

// TestFailureKeepsTheSpool holds that what could not leave stays, is sent once it can, and that an end before the
// repeats does not lose them.
func TestFailureKeepsTheSpool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sp, archive := openSpool(t), t.TempDir()
		defer sp.Close()
		add(t, sp, batch.Urgent, 2)
		e := &ear{lossy: true, fail: errors.New("no cable")}
		if s := send(t, sp, archive, e, time.Minute); s.Failures.Load() == 0 || waiting(sp) != 2 {
			t.Errorf("%d failures, %d records in the spool; want some, and both records", s.Failures.Load(), waiting(sp))
		}
		e.fail = nil
		send(t, sp, archive, e, 10*time.Second)
		if want := []string{"urgent 1-2 at 0s"}; !slices.Equal(e.heard, want) {
			t.Errorf("after the failure: %q, want %q", e.heard, want)
		}
		e.heard = nil
		send(t, sp, archive, e, time.Hour)
		if want := []string{"urgent 1-2 at 30s", "urgent 1-2 at 5m0s"}; !slices.Equal(e.heard, want) {
			t.Errorf("after a new start: %q, want the repeats %q", e.heard, want)
		}
	})
}

// TestUDP holds that datagrams on loopback give the envelope back, and that nothing is read.
func TestUDP(t *testing.T) {
	far, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	e := envelope(t, batch.Urgent, 1, 50)
	u := &udp{address: far.LocalAddr().String(), parity: 0.25, pace: pace{bits: 50e6}}
	defer u.close()
	if err := u.send(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	a, b := fec.NewAssembler(0), make([]byte, 2000)
	for {
		n, err := far.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		m, err := a.Add(b[:n])
		if err != nil {
			t.Fatal(err)
		}
		if m != nil {
			if !bytes.Equal(m, e.Bytes) {
				t.Error("another envelope came than was sent")
			}
			return
		}
	}
}

// TestTCP holds that send returns once the far kernel has the envelope, and that a far side that is gone is an error.
func TestTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &tcp{address: l.Addr().String(), pace: pace{bits: 50e6}}
	defer c.close()
	var want []byte
	for i := range uint64(3) {
		e := envelope(t, batch.Routine, 1+i*50, 50)
		want = append(want, e.Bytes...)
		if err := c.send(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(far, got); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v; the bytes that came are not those that were sent", err)
	}
	l.Close()
	far.(*net.TCPConn).SetLinger(0)
	far.Close()
	if err := c.send(t.Context(), envelope(t, batch.Routine, 500, 50)); err == nil {
		t.Error("the far side was gone, and send said nothing")
	}
}

func envelope(t testing.TB, lane batch.Lane, from uint64, n int) *batch.Envelope {
	t.Helper()
	records := make([]batch.Record, n)
	for i := range records {
		records[i] = batch.Record{Seq: from + uint64(i), Kind: "x", Body: fmt.Appendf(nil, `{"text":"%x"}`, strings.Repeat(fmt.Sprint(i), 20))}
	}
	at := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC).Add(time.Duration(from) * time.Second)
	raw, err := batch.Seal(batch.Header{Sensor: "s1", Operator: "north", Epoch: "000102030405060708090a0b0c0d0e0f", Lane: lane, Base: 1, Sealed: at}, records, key)
	if err != nil {
		t.Fatal(err)
	}
	e, _, err := batch.Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestArchive holds the budget: the least important go first, of a lane the oldest, and what was just put stays.
func TestArchive(t *testing.T) {
	dir := t.TempDir()
	one := int64(len(envelope(t, batch.Routine, 1, 10).Bytes))
	a, err := OpenArchive(dir, 4*one+one/2)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []struct {
		lane batch.Lane
		from uint64
	}{{batch.Urgent, 1}, {batch.Routine, 1}, {batch.Routine, 11}, {batch.Inventory, 1}, {batch.Urgent, 11}, {batch.Routine, 21}} {
		if _, err := a.Put(envelope(t, p.lane, p.from, 10)); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	kept, err := List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range kept {
		got = append(got, fmt.Sprintf("%s %d-%d", e.Lane, e.From, e.To))
	}
	if want := []string{"urgent 1-10", "urgent 11-20", "routine 11-20", "routine 21-30"}; !slices.Equal(got, want) {
		t.Errorf("kept %q, want %q", got, want)
	}
	again, err := OpenArchive(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	if want := []batch.Range{{Epoch: kept[0].Epoch, Lane: 1, From: 1, To: 20}, {Epoch: kept[0].Epoch, Lane: 2, From: 1, To: 30}}; !reflect.DeepEqual(again.Sent(), want) {
		t.Errorf("after a new start: Sent() = %v, want %v", again.Sent(), want)
	}
}

func TestExport(t *testing.T) {
	dir := t.TempDir()
	a, err := OpenArchive(dir, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for _, from := range []uint64{1, 11, 31} { // 21 to 30 are not there
		if _, err := a.Put(envelope(t, batch.Urgent, from, 10)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		w       Wish
		n       int
		missing string
	}{
		{Wish{Lane: batch.Urgent, From: 5, To: 12}, 2, "[]"},
		{Wish{Lane: batch.Urgent, From: 11, To: 40}, 2, "[21-30]"},
		{Wish{Lane: batch.Urgent, From: 35, To: 50}, 1, "[41-50]"},
		{Wish{Lane: batch.Routine, From: 1, To: 2}, 0, "[1-2]"},
		{Wish{Lane: batch.Urgent, From: 1, To: 2, Epoch: "ff"}, 0, "[1-2]"},
	} {
		out := filepath.Join(t.TempDir(), "out")
		n, missing, err := Export(dir, c.w, out)
		if err != nil {
			t.Fatal(err)
		}
		var text []string
		for _, m := range missing {
			text = append(text, fmt.Sprintf("%d-%d", m.From, m.To))
		}
		files, _ := filepath.Glob(filepath.Join(out, "*.batch"))
		if n != c.n || len(files) != n || fmt.Sprint(text) != c.missing {
			t.Errorf("%+v: %d envelopes in %d files, missing %v; want %d, missing %s", c.w, n, len(files), text, c.n, c.missing)
		}
		for _, f := range files {
			raw, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			if e, rest, err := batch.Decode(raw); err != nil || len(rest) > 0 || e.Verify(key.Public().(ed25519.PublicKey)) != nil {
				t.Errorf("%s is not the envelope that was sent: %v", f, err)
			}
		}
	}
	if _, _, err := Export(dir, Wish{From: 3, To: 2}, t.TempDir()); err == nil {
		t.Error("an empty range gave no error")
	}
}

func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pace{bits: 80_000}
		from := time.Now()
		for range 100 {
			if err := p.wait(t.Context(), 1000); err != nil {
				t.Fatal(err)
			}
		}
		if took, want := time.Since(from).Seconds(), 9.9; math.Abs(took-want) > 0.02 {
			t.Errorf("100 kB at 80 kbit/s left in %v s, want %v", took, want)
		}
	})
}

func TestConfigCheck(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		want string // part of the error; "" is none
	}{
		{Config{UDP: "10.0.0.1:9000"}, ""},
		{Config{TCP: "[fd00::1]:9000", RateKbit: 64}, ""},
		{Config{Files: "/out"}, ""},
		{Config{RateKbit: 64}, "name one of"},
		{Config{UDP: "a:1", Files: "/out"}, "2 are named"},
		{Config{UDP: "10.0.0.1"}, "is not host:port"},
		{Config{UDP: "a:1", Parity: 2}, "parity"},
		{Config{TCP: "a:1", Parity: 0.5}, "parity is for udp"},
		{Config{Files: "/out", RateKbit: 5}, "nothing about files"},
		{Config{UDP: "a:1", RateKbit: math.NaN()}, "rate_kbit"},
		{Config{UDP: "a:1", ArchiveBytes: 5}, "archive_bytes"},
	} {
		err := c.cfg.Check()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.cfg, err, c.want)
		}
	}
}
