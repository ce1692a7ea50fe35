package demo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/roje-ot/roje/cmd/roje-lab/script"
)

// A site is the demo's processes and where they are.
type site struct {
	Options
	dir      string
	console  string // URL
	signIn   string
	password string // of the account that the demo itself uses
	running  []*process
}

// reader is the account by which the demo counts alerts.
const reader = "demo-reader"

func (s *site) program(name string) string { return filepath.Join(s.Bin, name) }

func (s *site) data() string { return filepath.Join(s.dir, "collector") }

func (s *site) state() string { return filepath.Join(s.dir, "sensor") }

// startCollector starts the collector on its usual addresses if they are free, else on others.
func (s *site) startCollector(ctx context.Context) error {
	p, err := s.start(ctx, "roje-collector", "serve", "--data", s.data(), "--console", free("127.0.0.1:8470", s.Smoke), "--ingest", free("127.0.0.1:8471", s.Smoke), "--log", "warn")
	if err != nil {
		return err
	}
	lines, err := p.say(ctx, "sign-in")
	if err != nil {
		return fmt.Errorf("start the collector: %w", err)
	}
	for _, line := range lines {
		word, rest, _ := strings.Cut(line, " ")
		rest = strings.TrimSpace(rest)
		switch word {
		case "console":
			s.console = strings.TrimRight(rest, "/")
		case "sign-in":
			s.signIn = rest
		}
	}
	s.password = rand.Text()
	_, err = s.run(ctx, s.password+"\n", "roje-collector", "user", "add", reader, "--role", "viewer", "--data", s.data(), "--password-stdin")
	return err
}

// free returns address where nobody has it, else one with a port that the system picks.
func free(address string, any bool) string {
	if l, err := net.Listen("tcp", address); err == nil && !any {
		l.Close()
		return address
	} else if err == nil {
		l.Close()
	}
	return "127.0.0.1:0"
}

// joinSensor enrols the sensor with a token of the collector.
func (s *site) joinSensor(ctx context.Context) error {
	token, err := s.run(ctx, "", "roje-collector", "token", "--data", s.data(), "--site", "demo-substation")
	if err != nil {
		return err
	}
	word := ""
	for _, w := range strings.Fields(token) {
		if strings.HasPrefix(w, "roje1.") {
			word = w
		}
	}
	if word == "" {
		return errors.New("the collector printed no token")
	}
	if err := os.MkdirAll(s.state(), 0o700); err != nil {
		return err
	}
	_, err = s.run(ctx, "", "roje-sensor", "enrol", "--token", word, "--dir", filepath.Join(s.state(), "enrolment"), "--name", "demo-substation")
	return err
}

// learn lets the sensor learn a normal day.
func (s *site) learn(ctx context.Context, captures ...string) error {
	_, err := s.run(ctx, "", "roje-sensor", append([]string{"replay", "--phase", "learn", "--state", s.state()}, captures...)...)
	return err
}

// startSensor starts the sensor with a configuration, to which it adds where its state is.
func (s *site) startSensor(ctx context.Context, config string) (*process, error) {
	path := filepath.Join(s.dir, "sensor.yaml")
	config = fmt.Sprintf("state: %s\nphase: enforce\n%s%s", quote(s.state()), s.lists(), config)
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		return nil, err
	}
	return s.start(ctx, "roje-sensor", "run", "--config", path)
}

// lists names the point lists of the cast, so that alerts say what points are called.
func (s *site) lists() string {
	at := func(name string) string { return quote(filepath.Join(s.Testdata, script.ListsDir, name)) }
	return fmt.Sprintf("points:\n  - file: %s\n  - file: %s\n  - {file: %s, station: 4}\n  - {file: %s, station: 5}\n",
		at("substation.csv"), at("telecom.csv"), at("rtu-4.xml"), at("rtu-5.xml"))
}

// stop ends what still runs, the last started first.
func (s *site) stop() error {
	var errs []error
	for i := len(s.running) - 1; i >= 0; i-- {
		errs = append(errs, s.running[i].stop())
	}
	return errors.Join(errs...)
}
