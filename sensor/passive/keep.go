package passive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A Report is what the process that keeps watch over a shut interface says of it: what the sensor, without CAP_NET_ADMIN,
// could not know.
type Report struct {
	// Tried is how many frames somebody tried to send, and a layer dropped, since this watch began.
	Tried uint64 `json:"tried"`
	// Open says which layer is missing, and is empty while all of them stand.
	Open string `json:"open"`
}

// Beside the mark of an interface lie the report, and the file that is locked for as long as somebody keeps watch: the kernel takes the lock away from a process that has ended.
const (
	reportSuffix = ".report"
	lockSuffix   = ".watch"
)

// ErrNobody says that nobody keeps watch over a shut interface.
var ErrNobody = errors.New("nobody keeps watch: attempts to send are dropped, and not counted")

// Keep shuts the interface as Shut does, calls ready, and keeps watch over the layers until ctx ends or the interface
// vanishes; the layers stay. With each tick it looks, and writes what the sensor reads by Kept. It needs CAP_NET_ADMIN
// and CAP_BPF, and none with which a frame could be sent.
func Keep(ctx context.Context, iface string, ticks <-chan time.Time, ready func() error) error {
	if err := os.MkdirAll(marks, 0o755); err != nil {
		return err
	}
	lock, err := os.OpenFile(filepath.Join(marks, iface+lockSuffix), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := unix.FcntlFlock(lock.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}); err != nil {
		return fmt.Errorf("keep watch over %s: somebody does: %w", iface, err)
	}
	l, err := shut(iface)
	if err != nil {
		return err
	}
	for first := true; ; first = false {
		if _, err := netlink.LinkByIndex(l.index); err != nil {
			return fmt.Errorf("keep watch over %s: %w", iface, err)
		}
		if err := l.report(iface).write(iface); err != nil {
			return err
		}
		if first {
			if err := ready(); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticks:
		}
	}
}

// report looks at every layer.
func (l *layers) report(iface string) Report {
	var r Report
	errs := []error{IsClean(iface), l.clsact.Watch(), l.nft.Watch()}
	all := []*Egress{l.clsact}
	if l.tcx != nil {
		all, errs = append(all, l.tcx), append(errs, l.tcx.Watch())
	}
	for _, e := range all {
		n, _, err := e.Tried()
		r.Tried += n
		errs = append(errs, err)
	}
	n, err := l.nft.Counted()
	r.Tried += n
	if err := errors.Join(append(errs, err)...); err != nil {
		r.Open = strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	return r
}

// write puts the report where the old one was, whole.
func (r Report) write(iface string) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	path := filepath.Join(marks, iface+reportSuffix)
	if err := os.WriteFile(path+".new", append(text, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// Kept returns the last report on an interface, or an error that wraps ErrNobody where nobody keeps watch. It needs no
// right.
func Kept(iface string) (r Report, err error) {
	nobody := func(err error) (Report, error) { return Report{}, fmt.Errorf("%s: %w (%v)", iface, ErrNobody, err) }
	lock, err := os.Open(filepath.Join(marks, iface+lockSuffix))
	if err != nil {
		return nobody(err)
	}
	defer lock.Close()
	held := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(lock.Fd(), unix.F_OFD_GETLK, &held); err != nil || held.Type == unix.F_UNLCK {
		return nobody(errors.Join(errors.New("its process has ended"), err))
	}
	path := filepath.Join(marks, iface+reportSuffix)
	if err := ofRoot(path); err != nil {
		return nobody(err)
	}
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	return r, err
}
