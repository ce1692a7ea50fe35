package asset

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/roje-ot/roje/rules"
)

// FileName is the file in the state folder: one asset per line, as --assets writes them. It is replaced as a whole, so
// that it can be read while the sensor runs.
const FileName = "assets.jsonl"

// saveEvery is after how much packet time a registry is saved though only counts and times have changed.
const saveEvery = 10 * 60 * 1e9

// Open reads the registry of the state folder dir; an empty dir means memory alone. A file that is no use is set aside
// under another name, and the warning that then comes with a usable, empty Registry must be shown to somebody.
func Open(dir string) (r *Registry, warning, err error) {
	r = New()
	if dir == "" {
		return r, nil, nil
	}
	path := filepath.Join(dir, FileName)
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.path = path
		return r, nil, nil
	case err != nil:
		return nil, nil, fmt.Errorf("read assets: %w", err)
	}
	if bad := r.read(text); bad != nil {
		r = New()
		if err := os.Rename(path, path+".broken"); err != nil {
			return nil, nil, fmt.Errorf("set the broken assets aside: %w", err)
		}
		warning = fmt.Errorf("assets are broken and were set aside as %s.broken: %w", path, bad)
	}
	r.path = path
	return r, warning, nil
}

// Look reads the registry of a state folder and changes nothing there.
func Look(dir string) (*Registry, error) {
	text, err := os.ReadFile(filepath.Join(dir, FileName))
	if err != nil {
		return nil, fmt.Errorf("read assets: %w", err)
	}
	r := New()
	if err := r.read(text); err != nil {
		return nil, fmt.Errorf("assets %s: %w", filepath.Join(dir, FileName), err)
	}
	return r, nil
}

func (r *Registry) read(text []byte) error {
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, len(text)+1)
	for n := 1; lines.Scan(); n++ {
		d := &device{}
		dec := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&d.Asset); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		if err := r.restore(d); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	return lines.Err()
}

// restore puts a stored device back.
func (r *Registry) restore(d *device) error {
	if d.ID == "" || r.byID[d.ID] != nil {
		return fmt.Errorf("id %q is missing or there twice", d.ID)
	}
	if len(r.byID) >= maxAssets {
		return fmt.Errorf("more than %d assets", maxAssets)
	}
	d.roles = rolesOf(d.Roles)
	d.Ident, d.Roles = nil, nil // follow from the rest
	for _, addr := range d.Addrs {
		if r.byAddr[addr] != nil {
			return fmt.Errorf("address %s is there twice", addr)
		}
		r.byAddr[addr] = d
	}
	for i := range d.MACs {
		mac, err := parseMAC(d.MACs[i].MAC)
		if err != nil {
			return err
		}
		if d.MACs[i].By == byARP && r.owner[mac] == nil {
			r.owner[mac] = d
		}
	}
	r.byID[d.ID] = d
	r.last = max(r.last, int64(d.Last))
	r.saved = r.last
	return nil
}

func parseMAC(s string) (m rules.MAC, err error) {
	n, err := fmt.Sscanf(s, "%02x:%02x:%02x:%02x:%02x:%02x", &m[0], &m[1], &m[2], &m[3], &m[4], &m[5])
	if err != nil || n != len(m) || len(s) != 17 {
		return m, fmt.Errorf("%q is not a link-layer address", s)
	}
	return m, nil
}

// Snapshot takes what is to be saved, on the goroutine that owns r. The function it returns writes it and may run on
// another goroutine, one at a time and in order. It does nothing where nothing worth a write has changed.
func (r *Registry) Snapshot() func() error {
	if r.path == "" || !r.changed && r.last-r.saved < saveEvery {
		return func() error { return nil }
	}
	r.changed, r.saved = false, r.last
	all, path := r.Assets(), r.path
	return func() error { return save(path, all) }
}

// Save writes what has changed.
func (r *Registry) Save() error { return r.Snapshot()() }

// save replaces the file, or leaves the old one.
func save(path string, all []*Asset) error {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	for _, a := range all {
		if err := enc.Encode(a); err != nil {
			return fmt.Errorf("write assets: %w", err)
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("write assets: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), FileName+".*")
	if err != nil {
		return fmt.Errorf("write assets: %w", err)
	}
	_, err = f.Write(text.Bytes())
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write assets: %w", err), os.Remove(f.Name()))
	}
	return nil
}

// Find returns the device of an address; nil where there is none. What it returns is r's own.
func (r *Registry) Find(addr netip.Addr) *Asset {
	if d := r.byAddr[addr.Unmap()]; d != nil {
		return &d.Asset
	}
	return nil
}
