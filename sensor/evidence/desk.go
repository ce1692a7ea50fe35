package evidence

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/sensor/capture"
)

// Options are a Desk's settings.
type Options struct {
	Dir    string // where files are written; it is made if need be
	Key    ed25519.PrivateKey
	Ring   Config
	After  time.Duration // how much of what follows an alert is kept; 0 means 10 s
	Frames int           // most frames of one file; 0 means 512
	Budget int64         // bytes of all files; the oldest go. 0 means 1 GiB
	// Ready takes an alert, as it was said last, whose Evidence now is there, on the goroutine that called the Desk.
	Ready func(*rules.Alert)
	// Failed hears at once why the evidence of an alert could not be written; Flush returns the first reason. May be nil.
	Failed func(error)
}

// mostCases is how many alerts can wait for what follows them.
const mostCases = 256

// A Desk keeps recent frames and writes those that alerts stand on. It belongs to one goroutine. A nil Desk does
// nothing.
type Desk struct {
	o       Options
	ring    *Ring
	current uint64 // pair of the packet being judged
	now     int64
	open    []*file
	known   map[string]*rules.Evidence // of alerts that have a file; nil for those that will
	size    int64                      // of all files
	failed  error                      // the first error, of Flush
	labels  rules.Labels               // what the comments call points; may be nil
}

// A file is the evidence of one alert that is not written yet.
type file struct {
	alert rules.Alert
	pair  uint64
	due   int64
}

// NewDesk opens a desk on a folder.
func NewDesk(o Options) (*Desk, error) {
	if o.After == 0 {
		o.After = 10 * time.Second
	}
	if o.Frames == 0 {
		o.Frames = 512
	}
	if o.Budget == 0 {
		o.Budget = 1 << 30
	}
	if err := os.MkdirAll(o.Dir, 0o750); err != nil {
		return nil, fmt.Errorf("evidence: %w", err)
	}
	d := &Desk{o: o, ring: NewRing(o.Ring), known: map[string]*rules.Evidence{}}
	files, err := d.files()
	for _, f := range files {
		d.size += f.Size()
	}
	return d, err
}

// Use makes comments call points what labels say, in what is written from now on; nil is none.
func (d *Desk) Use(labels rules.Labels) {
	if d != nil {
		d.labels = labels
	}
}

// files are the evidence in the folder, the oldest first.
func (d *Desk) files() ([]os.FileInfo, error) {
	entries, err := os.ReadDir(d.o.Dir)
	if err != nil {
		return nil, fmt.Errorf("evidence: %w", err)
	}
	var files []os.FileInfo
	for _, e := range entries {
		if info, err := e.Info(); err == nil && strings.HasSuffix(e.Name(), ".pcapng") {
			files = append(files, info)
		}
	}
	slices.SortFunc(files, func(a, b os.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	return files, nil
}

// Packet takes a packet, before anything judges it.
func (d *Desk) Packet(p *capture.Packet) {
	if d == nil {
		return
	}
	d.current = d.ring.Add(p)
	d.Tick(p.At)
}

// Tick says what time it is: what has waited long enough is written.
func (d *Desk) Tick(now int64) {
	if d == nil {
		return
	}
	d.now = now
	for len(d.open) > 0 && d.open[0].due <= now {
		d.write(d.open[0])
		d.open = d.open[1:]
	}
}

// Event takes what the packet said: the frames of a pair that commands are kept longest.
func (d *Desk) Event(e *rules.Event) {
	if d != nil && e.What == rules.Message && e.Msg.From == protocols.Client {
		switch e.Msg.Op {
		case protocols.Operate, protocols.Write, protocols.Configure, protocols.Restart, protocols.File:
			d.ring.Mark(d.current)
		}
	}
}

// Alert takes an alert that the packet raised, or that is said again. It copies what it needs, and fills in the
// evidence if that is written already.
func (d *Desk) Alert(a *rules.Alert) {
	if d == nil {
		return
	}
	if e, ok := d.known[a.ID]; ok {
		a.Evidence = e
		for _, f := range d.open {
			if f.alert.ID == a.ID {
				f.alert = *a
			}
		}
		return
	}
	if len(d.known) >= 1<<16 {
		clear(d.known) // an alert that is said again after so many has a second file in the place of its first
	}
	d.known[a.ID] = nil
	pair := d.pairOf(a)
	d.ring.Mark(pair)
	if len(d.open) == mostCases {
		d.write(d.open[0])
		d.open = d.open[1:]
	}
	d.open = append(d.open, &file{alert: *a, pair: pair, due: d.now + int64(d.o.After)})
}

// pairOf is the pair of hosts that an alert is about. An alert about what did not come is raised while a packet of
// others is judged, so its hosts say which pair it is; where they do not name two hosts with frames, the packet does.
func (d *Desk) pairOf(a *rules.Alert) uint64 {
	client, err := netip.ParseAddr(a.Client)
	if err != nil {
		return d.current
	}
	server, err := netip.ParseAddr(a.Server)
	if err != nil {
		return d.current
	}
	if key := keyOfHosts(client, server); d.ring.holds(key) {
		return key
	}
	return d.current
}

// Flush writes what waits, and returns the first error since the start.
func (d *Desk) Flush() error {
	if d == nil {
		return nil
	}
	for _, f := range d.open {
		d.write(f)
	}
	d.open = nil
	return d.failed
}

// write makes the file of an alert.
func (d *Desk) write(f *file) {
	err := d.store(f)
	if err == nil {
		return
	}
	err = fmt.Errorf("evidence of alert %s: %w", f.alert.ID, err)
	if d.failed == nil {
		d.failed = err
	}
	if d.o.Failed != nil {
		d.o.Failed(err)
	}
}

func (d *Desk) store(f *file) error {
	frames := d.ring.Frames(f.pair, d.o.Frames)
	if len(frames) == 0 {
		return errors.New("its frames are gone")
	}
	r := read(frames, d.labels)
	r.mask()
	content := seal(encode(fmt.Sprintf("Alert %s, rule %s: %s", f.alert.ID, f.alert.Rule, f.alert.Title), frames, r.said), d.o.Key)
	if err := d.room(int64(len(content))); err != nil {
		return err
	}
	name := filepath.Base(f.alert.ID) + ".pcapng"
	path := filepath.Join(d.o.Dir, name)
	if err := os.WriteFile(path+".part", content, 0o640); err != nil {
		return err
	}
	if err := os.Rename(path+".part", path); err != nil {
		return err
	}
	d.size += int64(len(content))
	sum := sha256.Sum256(content)
	a := f.alert
	a.Evidence = &rules.Evidence{File: name, SHA256: hex.EncodeToString(sum[:])}
	d.known[a.ID] = a.Evidence
	if d.o.Ready != nil {
		d.o.Ready(&a)
	}
	return nil
}

// room lets the oldest files go until n bytes more fit into the budget.
func (d *Desk) room(n int64) error {
	if d.size+n <= d.o.Budget {
		return nil
	}
	files, err := d.files()
	if err != nil {
		return err
	}
	d.size = 0
	for _, f := range files {
		d.size += f.Size()
	}
	for _, f := range files {
		if d.size+n <= d.o.Budget*9/10 {
			break
		}
		if err := os.Remove(filepath.Join(d.o.Dir, f.Name())); err != nil {
			return err
		}
		d.size -= f.Size()
	}
	return nil
}
