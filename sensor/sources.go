package sensor

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"

	"github.com/roje-ot/roje/sensor/capture"
)

// openSources opens the interfaces or the recorded files, and whatever of the layers of passivity can be had.
func (d *daemon) openSources() (func() error, error) {
	d.passive = &passivity{}
	if len(d.cfg.Interfaces) == 0 {
		return d.openRecorded()
	}
	var closers []func() error
	closing := func() error {
		var errs []error
		for i := len(closers) - 1; i >= 0; i-- {
			errs = append(errs, closers[i]())
		}
		return errors.Join(errs...)
	}
	for _, name := range d.cfg.Interfaces {
		may := asMuch
		may.early = slices.Contains(d.cfg.Prefilter, name)
		p, opened, err := openPort(name, may, d.passive, d.log)
		closers = append(closers, opened...)
		if err != nil {
			return closing, err
		}
		d.passive.ports = append(d.passive.ports, p)
		r := d.newReader(name, p.tier, p.ring)
		r.port, r.delivery.ends = p, &d.passive.delivery
		d.readers = append(d.readers, r)
	}
	d.passive.seal(d.log)
	for _, p := range d.passive.ports {
		p.uncounted(d.log)
	}
	stop := d.watch()
	return func() error { return errors.Join(stop(), closing()) }, nil
}

func interfaceNames() string {
	all, err := net.Interfaces()
	if err != nil {
		return "none that can be read"
	}
	text := ""
	for i, iface := range all {
		if i > 0 {
			text += ", "
		}
		text += iface.Name
	}
	return text
}

// openRecorded makes one source of all recorded files.
func (d *daemon) openRecorded() (func() error, error) {
	files := &recorded{paths: d.cfg.Replay.Files}
	if err := files.next(); err != nil {
		return nil, err
	}
	r := d.newReader("recorded files", "recorded", files)
	r.pace = d.cfg.Replay.Pace
	d.readers = append(d.readers, r)
	return files.Close, nil
}

// recorded reads capture files one after the other.
type recorded struct {
	paths []string
	file  *capture.File
	frame uint64
}

var _ capture.Source = (*recorded)(nil)

// next opens the next file.
func (f *recorded) next() error {
	if f.file != nil {
		f.file.Close()
		f.file = nil
	}
	if len(f.paths) == 0 {
		return io.EOF
	}
	path := f.paths[0]
	f.paths = f.paths[1:]
	file, err := capture.Open(path)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	f.file = file
	return nil
}

// Next implements capture.Source; frames are numbered on through all files.
func (f *recorded) Next(p *capture.Packet) error {
	for f.file != nil {
		err := f.file.Next(p)
		if err == nil {
			f.frame++
			p.Frame = f.frame
			return nil
		}
		if !errors.Is(err, io.EOF) {
			return err
		}
		if err := f.next(); err != nil {
			return err
		}
	}
	return io.EOF
}

// Close implements capture.Source.
func (f *recorded) Close() error {
	if f.file == nil {
		return nil
	}
	return f.file.Close()
}
