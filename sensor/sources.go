package sensor

import (
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/sensor/capture"
	"github.com/roje-ot/roje/sensor/capture/filter"
	"github.com/roje-ot/roje/sensor/capture/ring"
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
	kernel, why := filter.Load(filter.Ports(catalog.All))
	if why == nil {
		closers = append(closers, kernel.Close)
		d.metrics.filter = kernel
	}
	for _, name := range d.cfg.Interfaces {
		if _, err := net.InterfaceByName(name); err != nil {
			return closing, fmt.Errorf("interface %s: no such interface; the host has %s", name, interfaceNames())
		}
		closers = append(closers, d.passive.guard(name, d.log)...)
		r, err := ring.Open(ring.Config{Interface: name, Filter: kernel})
		if err != nil {
			return closing, err
		}
		closers = append(closers, r.Close)
		tier := "kernel filter and ring"
		if why != nil {
			tier = fmt.Sprintf("ring without filter (%v)", why)
		}
		reader := d.newReader(name, tier, r)
		if kernel != nil {
			reader.dropped = func() uint64 {
				counts, err := kernel.Counts()
				if err != nil || counts.Kept < reader.packets.Load() {
					return 0
				}
				return counts.Kept - reader.packets.Load()
			}
		}
		d.readers = append(d.readers, reader)
	}
	d.passive.seal(d.log)
	return closing, nil
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
