package recall

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules/engine"
	"github.com/roje-ot/roje/sensor/events"
)

// FileName is the file in the state folder.
const FileName = "rules.state"

const (
	magic   = "RJRM"
	version = 1
	maxHead = 1 << 20
	maxPart = 64 << 20 // more than an engine writes of one rule
)

// A head says how to read the parts, and what they are worth.
type head struct {
	Seed    uint64          `json:"seed"`
	Sources []string        `json:"sources,omitempty"` // interfaces that were watched
	Events  json.RawMessage `json:"events"`            // as of events.Coder
	Parts   int             `json:"parts"`
}

// A Store is the file of one sensor.
type Store struct {
	path    string
	protos  []*protocols.Protocol
	sources []string

	mu    sync.Mutex // one at a time saves; it guards the rest
	coder *events.Coder
	part  []byte // room
}

// New makes the store in the state folder dir of a sensor that watches these interfaces. It touches nothing.
func New(dir string, sources []string, protos []*protocols.Protocol) *Store {
	return &Store{path: filepath.Join(dir, FileName), protos: protos, sources: slices.Sorted(slices.Values(sources)), coder: events.NewCoder(protos)}
}

// A Warning says that the file was of no use, and that the rules begin anew.
type Warning struct {
	Kept string // where the broken file is
	Err  error  // what is wrong with it
}

func (w *Warning) Error() string { return fmt.Sprintf("%s: %v", w.Kept, w.Err) }

func (w *Warning) Unwrap() error { return w.Err }

// Load returns an engine that fresh has made with a seed and that remembers what the file says, and what that is; nil where
// there is no file. A file that is of no use is set aside: the warning comes with an engine that remembers nothing.
func (s *Store) Load(fresh func(seed uint64) *engine.Engine) (*engine.Engine, *engine.Restored, *Warning, error) {
	g, said, err := s.read(fresh)
	var system *fs.PathError
	switch {
	case err == nil:
		return g, said, nil, nil
	case errors.Is(err, fs.ErrNotExist):
		return fresh(engine.NewSeed()), nil, nil, nil
	case errors.As(err, &system):
		return nil, nil, nil, fmt.Errorf("read what the rules remember: %w", err)
	}
	kept := s.path + ".broken"
	if err := os.Rename(s.path, kept); err != nil {
		return nil, nil, nil, fmt.Errorf("set what the rules remember aside: %w", err)
	}
	return fresh(engine.NewSeed()), nil, &Warning{kept, err}, nil
}

func (s *Store) read(fresh func(seed uint64) *engine.Engine) (*engine.Engine, *engine.Restored, error) {
	f, err := os.Open(s.path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	var start [len(magic) + 1]byte
	if _, err := io.ReadFull(f, start[:]); err != nil {
		return nil, nil, fmt.Errorf("cut short: %w", err)
	}
	if string(start[:len(magic)]) != magic {
		return nil, nil, errors.New("it does not begin as such a file does")
	}
	if v := start[len(magic)]; v != version {
		return nil, nil, fmt.Errorf("it has version %d; this program reads %d", v, version)
	}
	z, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, nil, err
	}
	defer z.Close()
	r := bufio.NewReader(z)
	text, err := piece(r, nil, maxHead)
	if err != nil {
		return nil, nil, err
	}
	var h head
	if err := json.Unmarshal(text, &h); err != nil {
		return nil, nil, fmt.Errorf("its head: %w", err)
	}
	coder, err := events.ReadCoder(s.protos, h.Events)
	if err != nil {
		return nil, nil, err
	}
	g := fresh(h.Seed)
	memory := g.Restore()
	var part []byte
	for n := range h.Parts {
		if part, err = piece(r, part, maxPart); err == nil {
			coder.Begin()
			err = memory.Part(part, coder)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("part %d of %d: %w", n+1, h.Parts, err)
		}
	}
	if _, err := r.ReadByte(); !errors.Is(err, io.EOF) {
		return nil, nil, errors.New("more follows than it says")
	}
	said := memory.Done(len(s.sources) > 0 && slices.Equal(s.sources, h.Sources))
	return g, &said, nil
}

// piece reads what has its length in front, into room.
func piece(r *bufio.Reader, room []byte, most uint64) ([]byte, error) {
	n, err := binary.ReadUvarint(r)
	switch {
	case err != nil:
		return nil, fmt.Errorf("cut short: %w", err)
	case n > most:
		return nil, fmt.Errorf("a piece of %d bytes", n)
	}
	room = slices.Grow(room[:0], int(n))[:n]
	if _, err := io.ReadFull(r, room); err != nil {
		return nil, fmt.Errorf("cut short: %w", err)
	}
	return room, nil
}

// Save writes what an engine remembers. with calls its argument with the engine in force, which is then not used otherwise;
// it is called once for each part, so that judging goes on in between. Where the engine is exchanged meanwhile nothing is
// changed: the next time is soon.
func (s *Store) Save(with func(func(*engine.Engine))) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := os.OpenFile(s.path+".part", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("save what the rules remember: %w", err)
	}
	whole, err := s.write(f, with)
	if err == nil && whole {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil && whole {
		err = os.Rename(s.path+".part", s.path)
	}
	if err != nil {
		return fmt.Errorf("save what the rules remember: %w", err)
	}
	return nil
}

// write writes the file, and says whether that is all of one engine.
func (s *Store) write(f *os.File, with func(func(*engine.Engine))) (whole bool, err error) {
	if _, err := f.Write(append([]byte(magic), version)); err != nil {
		return false, err
	}
	z, err := zstd.NewWriter(f, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(1<<20))
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, z.Close()) }()
	put := func(b []byte) error {
		if _, err := z.Write(binary.AppendUvarint(nil, uint64(len(b)))); err != nil {
			return err
		}
		_, err := z.Write(b)
		return err
	}
	h := head{Sources: s.sources}
	if h.Events, err = s.coder.Head(); err != nil {
		return false, err
	}
	var of *engine.Engine
	with(func(g *engine.Engine) { of, h.Seed, h.Parts = g, g.Seed(), g.Parts() })
	text, err := json.Marshal(h)
	if err == nil {
		err = put(text)
	}
	for n := 0; n < h.Parts && err == nil; n++ {
		same := false
		s.coder.Begin()
		with(func(g *engine.Engine) {
			if same = g == of; same {
				s.part = g.AppendPart(s.part[:0], n, s.coder)
			}
		})
		if !same {
			return false, nil
		}
		err = put(s.part)
	}
	if cap(s.part) > 1<<20 {
		s.part = nil // of a flood; an ordinary part is small
	}
	return true, err
}
