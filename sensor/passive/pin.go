package passive

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// pins is where the links to the programs at an egress are pinned, which keeps them when the one who attached them has
// ended, or crashed. A variable for tests.
var pins = "/sys/fs/bpf/roje"

// pinOf is the path of an interface's pin in the calling thread's network namespace. A name under bpffs has no dot.
func pinOf(iface string) (string, error) {
	var here unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &here); err != nil {
		return "", err
	}
	return filepath.Join(pins, fmt.Sprintf("%s-%d", strings.ReplaceAll(iface, ".", ":"), here.Ino)), nil
}

// attachTCX puts the program at the head of the interface's egress. A pinned link of an earlier run is taken over, and
// gets the new program without a moment in which there is none. Where nothing can be pinned, Unpinned says why, and the
// program ends with the process.
func (e *Egress) attachTCX(iface string) (err error) {
	path, err := pinOf(iface)
	if err != nil {
		return err
	}
	if e.tcx = adopt(path, e.index); e.tcx != nil {
		e.pin = path
		return e.tcx.Update(e.objs.Drop)
	}
	e.tcx, err = link.AttachTCX(link.TCXOptions{Interface: e.index, Program: e.objs.Drop, Attach: ebpf.AttachTCXEgress, Anchor: link.Head()})
	if err != nil {
		e.tcx = nil
		return err
	}
	if e.Unpinned = pin(e.tcx, path); e.Unpinned == nil {
		e.pin = path
	}
	return nil
}

// adopt returns the link that is pinned there, if it still is one to the interface. A link to an interface that has
// vanished is taken away.
func adopt(path string, index int) link.Link {
	old, err := link.LoadPinnedLink(path, nil)
	if err != nil {
		return nil
	}
	info, err := old.Info()
	if err == nil && info.TCX() != nil && int(info.TCX().Ifindex) == index {
		return old
	}
	old.Unpin()
	old.Close()
	return nil
}

func pin(l link.Link, path string) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(filepath.Dir(pins), &fs); err != nil {
		return err
	}
	if fs.Type != unix.BPF_FS_MAGIC {
		return fmt.Errorf("%s is not mounted", filepath.Dir(pins))
	}
	if err := os.Mkdir(pins, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return l.Pin(path)
}

// pinHolds returns an error if the pin is gone: then the program ends with the process.
func (e *Egress) pinHolds() error {
	if e.pin == "" {
		return nil
	}
	if _, err := os.Lstat(e.pin); errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("the pin %s of the egress program was removed", e.pin)
	}
	return nil
}

// unpin takes away what is pinned for the interface.
func unpin(iface string) error {
	path, err := pinOf(iface)
	if err != nil {
		return err
	}
	if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
