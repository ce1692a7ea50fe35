package sensor

import (
	"errors"
	"log/slog"

	"github.com/roje-ot/roje/sensor/passive"
)

// The configuration's prefilter names interfaces on which what the filter would not keep is dropped in the driver, before
// the host makes packets of it: on links of ten gigabits a second and more that is most of what capturing costs.
//
// It is off unless asked for, since the host does not get what is dropped there: no other program that listens on the
// interface sees it. It wants a driver with native XDP, a kernel from 5.18 on, CAP_NET_ADMIN until the sensor seals
// itself (the unit does not grant it: `systemctl edit roje-sensor`), and an interface without an address. Where one is
// missing the sensor says so and goes on without. Every count is as it would be without, but for what the interface's own
// may say of frames that were dropped: some drivers count them among theirs.

// errDiode says that a port is behind a diode.
var errDiode = errors.New("its frames come through a diode, and not through its driver")

// foresee puts the prefilter before p's filter, and says whether it is there.
func (p *port) foresee(log *slog.Logger) bool {
	err := errors.New("it needs an eBPF filter behind it")
	if _, diode := passive.BehindDiode(p.name); diode {
		err = errDiode
	} else if p.filter != nil {
		p.early, err = p.filter.Prefilter(p.name)
	}
	if err != nil {
		log.Warn("the prefilter cannot be had; going on without", "interface", p.name, "err", err)
	}
	return err == nil
}

// uncounted says it where the kernel counts what its filter does not keep, and a sealed process may not read that: on
// kernels before 5.5, with bpf(2) kept from users.
func (p *port) uncounted(log *slog.Logger) {
	if p.filter == nil {
		return
	}
	if _, err := p.filter.Counts(); err != nil {
		log.Warn("what the filter has not kept is not known: its counts cannot be read", "interface", p.name, "err", err)
	}
}
