package cmd

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/roje-ot/roje/collector/ingest"
	"github.com/roje-ot/roje/collector/pki"
	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/collector/store/sqlite"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/sensor/enrol"
	"github.com/roje-ot/roje/sensor/ship"
	"github.com/roje-ot/roje/sensor/spool"
)

// roleVariable makes the test's binary play a part instead of running tests.
const roleVariable = "ROJE_TEST_ROLE"

const operator = "north"

// spoolBudget is small enough for a flood to overflow it, large enough for all urgent alerts of one.
const spoolBudget = 900 << 10

// play is main of a process in a role; it returns the exit code.
func play(role string) int {
	dir := os.Getenv("ROJE_TEST_DIR")
	if dir == "" {
		fmt.Fprintln(os.Stderr, "ROJE_TEST_DIR is not set")
		return 2
	}
	roles := map[string]func(dir string) error{"collector": playCollector, "sensor": playSensor, "enrol": playEnrol}
	play, ok := roles[role]
	if !ok {
		fmt.Fprintf(os.Stderr, "unknown role %q\n", role)
		return 2
	}
	if err := play(dir); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", role, err)
		return 1
	}
	return 0
}

func quiet() *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
}

// playCollector serves ingest over a store in dir. It makes a token when it is asked to on standard input.
func playCollector(dir string) error {
	db, err := sqlite.Open(dir)
	if err != nil {
		return err
	}
	defer db.Close()
	ca, err := pki.Open(filepath.Join(dir, "pki"), time.Now)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := ingest.Server(ingest.New(ingest.Config{Store: db, CA: ca, Now: time.Now, Log: quiet()}), "127.0.0.1")
	go server.ServeTLS(l, "", "")
	fmt.Println("listening", l.Addr())
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var address string
		if _, err := fmt.Sscanf(in.Text(), "token %s", &address); err != nil {
			return fmt.Errorf("unknown order %q", in.Text())
		}
		scope, err := store.For(operator)
		if err != nil {
			return err
		}
		text, kept, err := ca.NewToken(scope, "Test site", "test", address, 0)
		if err != nil {
			return err
		}
		if err := db.CreateToken(context.Background(), scope, kept); err != nil {
			return err
		}
		fmt.Println("token", text)
	}
	return server.Close()
}

// The sensor's folders are beside each other, whichever role made them.
func sensorDir(dir, name string) string {
	return filepath.Join(filepath.Dir(dir), "sensor-state", name)
}

func playEnrol(dir string) error {
	id, err := enrol.Enrol(context.Background(), enrol.Options{Token: os.Args[1], Dir: sensorDir(dir, "enrolment"), Name: "test", Now: time.Now})
	if err != nil {
		return err
	}
	fmt.Println("enrolled", id.Sensor)
	return nil
}

// A recorder keeps the latest requests, to send them again.
type recorder struct {
	next http.RoundTripper
	mu   sync.Mutex
	kept [][]byte
}

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := req.GetBody()
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	if r.kept = append(r.kept, text); len(r.kept) > 20 {
		r.kept = r.kept[1:]
	}
	r.mu.Unlock()
	return r.next.RoundTrip(req)
}

// playSensor appends what it is asked for on standard input, and ships.
func playSensor(dir string) error {
	sp, err := spool.Open(spool.Config{Dir: sensorDir(dir, "spool"), Budget: spoolBudget})
	if err != nil {
		return err
	}
	defer sp.Close()
	id, err := enrol.Load(sensorDir(dir, "enrolment"))
	if err != nil {
		return err
	}
	client, err := ship.Connect(id, sp, time.Now, quiet())
	if err != nil {
		return err
	}
	client.Longest = time.Second
	tape := &recorder{next: client.HTTP}
	client.HTTP = tape
	go client.Run(context.Background())
	say("ready")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var first, n int
		switch line := in.Text(); {
		case line == "waiting":
			st := sp.Stats()
			say("waiting %d", st.Records())
			if st.Records() > 0 {
				time.Sleep(20 * time.Millisecond) // the asker asks again at once; it decides nothing
			}
		case line == "repeat":
			n, err := repeat(client, tape)
			if err != nil {
				return err
			}
			say("repeated %d", n)
		default:
			if _, err := fmt.Sscanf(line, "append %d %d", &first, &n); err != nil {
				return fmt.Errorf("unknown order %q", line)
			}
			if err := appendAlerts(sp, first, n); err != nil {
				return err
			}
			say("appended %d %d", first, n)
		}
	}
	return nil
}

// repeat sends the kept requests again, in disorder, and returns how many were answered. Each must be taken as a repeat.
func repeat(client *ship.Client, tape *recorder) (n int, err error) {
	tape.mu.Lock()
	kept := append([][]byte(nil), tape.kept...)
	tape.mu.Unlock()
	for i := range kept {
		body := kept[len(kept)-1-i]
		req, err := http.NewRequest(http.MethodPost, client.URL+batch.PathBatches, bytes.NewReader(body))
		if err != nil {
			return n, err
		}
		resp, err := tape.next.RoundTrip(req)
		if err != nil {
			return n, nil // the network is being cut: that is the point
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK && resp.StatusCode < 500 && resp.StatusCode != http.StatusTooManyRequests {
			return n, fmt.Errorf("a repeated request: %s: %s", resp.Status, text)
		}
		if resp.StatusCode == http.StatusOK {
			n++
		}
	}
	return n, nil
}

var saying sync.Mutex

// say writes a line to whoever started this process, whole. It has reached them when say returns, whatever happens then.
func say(format string, args ...any) {
	saying.Lock()
	defer saying.Unlock()
	fmt.Printf(format+"\n", args...)
}

// appendAlerts appends alerts by several goroutines at a time, in runs of different lengths, and says of each run that
// it is on disk: its first alert, the step from one to the next, and how many.
func appendAlerts(sp *spool.Spool, first, n int) error {
	var wg sync.WaitGroup
	errs := make([]error, 4)
	for w := range errs {
		wg.Go(func() {
			for i := first + w; i < first+n && errs[w] == nil; {
				var items []spool.Item
				from := i
				for k := 0; k <= i%7 && i < first+n; k++ {
					a := alertOf(i)
					body, err := json.Marshal(a)
					if err != nil {
						errs[w] = err
						return
					}
					items = append(items, spool.Item{Kind: batch.KindAlert, Lane: batch.LaneOf(a.Severity), At: a.Last, Body: body})
					i += len(errs)
				}
				if errs[w] = sp.Append(items...); errs[w] == nil {
					say("disk %d %d %d", from, len(errs), len(items))
				}
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// alertOf is alert n: one in ten is urgent.
func alertOf(n int) rules.Alert {
	a := rules.Alert{
		ID: fmt.Sprintf("alert-%06d", n), Rule: "modbus-write", Title: fmt.Sprintf("Host 10.0.0.%d wrote register %d of 10.0.1.1, which it never did before", n%250, n),
		Severity: rules.Medium, First: time.Unix(int64(n), 0).UTC(), Last: time.Unix(int64(n), 0).UTC(), Count: 1,
		Client: fmt.Sprintf("10.0.0.%d:40000", n%250), Server: "10.0.1.1:502", Proto: "modbus",
	}
	if n%10 == 0 {
		a.Severity = rules.High
	}
	return a
}
