package chaos

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roje-ot/roje/cmd/chaos/rig"
	"github.com/roje-ot/roje/collector/pki"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/sensor/enrol"
)

// A gate is what stands before the collectors: a balancer that gives each connection to one of them that is there, and a
// proxy that repeats deliveries.
type gate struct {
	t    *testing.T
	hub  *rig.Namespace
	wire *rig.Wire

	mu   sync.Mutex
	ids  map[string]map[int]http.RoundTripper // by sensor and collector
	kept []delivery

	Repeated atomic.Uint64 // deliveries that were made again and answered
	Dropped  atomic.Uint64 // answers that the sensor never got
	turn     atomic.Uint64
}

// A delivery is a request of a sensor.
type delivery struct {
	sensor string
	body   []byte
}

const (
	plainPort  = "8443"
	repeatPort = "8444"
	remembered = 60 // deliveries that may be made again, of all sensors
)

func newGate(t *testing.T, hub *rig.Namespace, caFolder string) *gate {
	g := &gate{t: t, hub: hub, ids: map[string]map[int]http.RoundTripper{}}
	g.wire = rig.NewWire(t, hub.Listen(":"+plainPort), func() (net.Conn, error) { return g.dial(context.Background(), int(g.turn.Add(1))) })
	ca, err := pki.Open(caFolder, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: g, TLSConfig: ca.Server(), ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0)}
	ended := make(chan error, 1)
	listen := hub.Listen(":" + repeatPort)
	go func() { ended <- server.ServeTLS(listen, "", "") }()
	t.Cleanup(func() {
		server.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return g
}

// dial connects to a collector, or to the other one.
func (g *gate) dial(ctx context.Context, first int) (conn net.Conn, err error) {
	for i := range collectors {
		if conn, err = g.hub.Dial(ctx, "tcp", ingestAt((first+i)%collectors)); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// know lets the gate speak for a sensor.
func (g *gate) know(s *site) {
	id, err := enrol.Load(s.enrolment())
	if err != nil {
		g.t.Fatal(err)
	}
	ways := map[int]http.RoundTripper{}
	for i := range collectors {
		ways[i] = &http.Transport{
			TLSClientConfig: id.TLS(time.Now), ForceAttemptHTTP2: true, TLSHandshakeTimeout: time.Minute,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return g.dial(ctx, i) },
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ids[s.id] = ways
}

// ServeHTTP takes a sensor's request to a collector and, now and then, again to both, or an old one with it; and keeps
// some answers from the sensor, which then has to ask again.
func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, batch.MaxBody))
	if err != nil || len(r.TLS.PeerCertificates) == 0 {
		panic(http.ErrAbortHandler)
	}
	d := delivery{r.TLS.PeerCertificates[0].Subject.CommonName, body}
	resp, text, err := g.send(r.Context(), d, r.URL.Path, rand.IntN(collectors))
	if err != nil {
		panic(http.ErrAbortHandler) // there is no collector
	}
	if r.URL.Path == batch.PathBatches {
		switch rand.IntN(4) {
		case 0:
			g.again(r.Context(), d)
		case 1:
			g.again(r.Context(), g.remember(d))
		case 2:
			if resp.StatusCode == http.StatusOK {
				g.Dropped.Add(1)
				panic(http.ErrAbortHandler)
			}
		}
	}
	for _, name := range []string{"Content-Type", "Retry-After"} {
		if v := resp.Header.Get(name); v != "" {
			w.Header().Set(name, v)
		}
	}
	w.WriteHeader(resp.StatusCode)
	w.Write(text)
}

// remember keeps a delivery for later and returns one from before.
func (g *gate) remember(d delivery) delivery {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.kept) < remembered {
		g.kept = append(g.kept, d)
	} else {
		g.kept[rand.IntN(remembered)] = d // so some are old
	}
	return g.kept[rand.IntN(len(g.kept))]
}

// again makes a delivery once more, to both collectors at once. Each must take it as a repeat, or have no time.
func (g *gate) again(ctx context.Context, d delivery) {
	var both sync.WaitGroup
	for i := range collectors {
		both.Go(func() {
			resp, text, err := g.send(ctx, d, batch.PathBatches, i)
			switch {
			case err != nil:
			case resp.StatusCode == http.StatusOK:
				g.Repeated.Add(1)
			case resp.StatusCode < 500 && resp.StatusCode != http.StatusTooManyRequests:
				g.t.Errorf("a repeated delivery of sensor %s: %s: %s", d.sensor, resp.Status, text)
			}
		})
	}
	both.Wait()
}

func (g *gate) send(ctx context.Context, d delivery, path string, to int) (*http.Response, []byte, error) {
	g.mu.Lock()
	way := g.ids[d.sensor][to]
	g.mu.Unlock()
	if way == nil {
		return nil, nil, errors.New("an unknown sensor")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+ingestAt(to)+path, bytes.NewReader(d.body))
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Content-Type", batch.ContentType)
	resp, err := way.RoundTrip(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp, text, err
}

// ingestAt is where a collector takes batches, in the hub.
func ingestAt(n int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(8480+n)) }

// certificates is where a collector keeps its authority.
func certificates(data string) string { return filepath.Join(data, "pki") }
