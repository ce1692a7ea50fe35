package sensor

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync"
	"time"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/sensor/passive"
)

// lookEvery is how often the ports are looked at.
const lookEvery = time.Second

// watch starts to look after the ports, and returns what stops it.
func (d *daemon) watch() func() error {
	ctx, stop := context.WithCancel(context.Background())
	var done sync.WaitGroup
	for _, r := range d.readers {
		if r.port != nil {
			done.Go(func() { d.watchPort(ctx, r) })
		}
	}
	done.Go(func() { d.watchOwn(ctx) })
	return func() error {
		stop()
		done.Wait()
		return nil
	}
}

// watchOwn keeps the ends of the sensor's own delivery.
func (d *daemon) watchOwn(ctx context.Context) {
	ticker := time.NewTicker(time.Minute)
	defer ticker.Stop()
	for {
		d.findOwn()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (d *daemon) watchPort(ctx context.Context, r *reader) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			r.port.look(d.log)
			d.passive.kept[r.port].look(r.port, d.log)
			for _, f := range r.port.findings(now, r.account().Seen) {
				d.raise(r.port.name, now, f)
			}
			for _, f := range d.passive.kept[r.port].findings(r.port) {
				d.raise(r.port.name, now, f)
			}
			r.port.publish()
		}
	}
}

// A finding is something that a port's own figures say.
type finding struct {
	rule     string
	severity rules.Severity
	title    string // with the port's name for %s
	observed string
	count    uint64
}

// findings compares what the port says now with what was said of it before. seen is how many frames have come in.
func (p *port) findings(now time.Time, seen uint64) (all []finding) {
	if sent := p.nic().Sent; sent > p.sent {
		all = append(all, finding{"sensor-port-sent", rules.Critical,
			"The port %s, which must never send, has sent: something on the sensor's host got past every layer, and devices may have heard it",
			fmt.Sprintf("%d frames by the port's own count", sent-p.sent), sent - p.sent})
		p.sent = sent
	}
	if tried := p.attempts(); tried > p.tried {
		all = append(all, triedToSend(tried-p.tried))
		p.tried = tried
	}
	if p.egress != nil {
		if err := p.egress.Watch(); err != nil && !p.open {
			p.open = true
			all = append(all, finding{"sensor-port-open", rules.High,
				"The kernel no longer drops what is sent on the port %s: somebody with rights on the sensor's host has taken that away", err.Error(), 1})
		}
	}
	if p.shut {
		switch err := passive.IsShut(p.now); {
		case err == nil:
			p.open = false
		case !p.open && p.state != "gone":
			p.open = true
			all = append(all, finding{"sensor-port-open", rules.High,
				"What keeps the port %s shut is no longer there: somebody with rights on the sensor's host has taken it away", err.Error(), 1})
		}
	}
	began, ended, since := p.quiet.look(now, seen)
	if began {
		all = append(all, finding{"sensor-port-silent", rules.High,
			"Nothing comes in any more at the port %s, which used to be busy: what happens on that network is not watched",
			"link " + p.state + ", last frame " + since.UTC().Format(time.RFC3339), 1})
	}
	if ended {
		all = append(all, finding{"sensor-port-heard", rules.Notice,
			"Frames come in again at the port %s; what happened meanwhile was not watched", "silent since " + since.UTC().Format(time.RFC3339), 1})
	}
	return all
}

// triedToSend is the finding that n frames met what drops.
func triedToSend(n uint64) finding {
	return finding{"sensor-port-tried", rules.High,
		"Something on the sensor's host has tried to send on the port %s; the kernel dropped it, and nobody should have tried",
		fmt.Sprintf("%d frames dropped at egress", n), n}
}

// attempts sums what both layers at the egress have dropped: a frame meets one of them.
func (p *port) attempts() (n uint64) {
	if p.egress != nil {
		n, _, _ = p.egress.Tried()
	}
	if p.nft != nil {
		n += p.nft.Tried()
	}
	return max(n, p.tried)
}

// raise makes an alert of a finding and puts it on its way, as those of the rules are.
func (d *daemon) raise(port string, now time.Time, f finding) {
	at := now.UTC()
	sum := sha256.Sum256([]byte(d.cfg.Name + "\x00" + f.rule + "\x00" + port + "\x00" + at.Format(time.RFC3339Nano)))
	alert := &rules.Alert{
		ID: hex.EncodeToString(sum[:8]), Rule: f.rule, Title: fmt.Sprintf(f.title, port) + ".", Severity: f.severity, Techniques: []string{},
		First: at, Last: at, Count: f.count, Observed: f.observed, Score: rules.Score{Impact: 1, Novelty: 1, Confidence: 1},
	}
	d.mu.Lock()
	d.box.alert(alert)
	d.mu.Unlock()
	d.log.Error(alert.Title, "interface", port, "rule", f.rule, "observed", f.observed)
}

// A view is what others than the watcher may know of a port.
type view struct {
	name, state string
	open        bool // a layer at its egress was found missing
	nic         nic
	tried       uint64
}

func (p *port) publish() {
	p.shown.Store(&view{name: p.now, state: p.state, open: p.open, nic: p.nic(), tried: p.tried})
}

func (p *port) view() view {
	if v := p.shown.Load(); v != nil {
		return *v
	}
	return view{name: p.name, state: "up"}
}
