// Package maintenance knows when work is done on a plant, on which hosts and links, by whom and why. While it goes on,
// what is seen there is not learned, alerts up to medium severity are kept back in a list of their own, and graver ones
// are raised and name it. Every window has an end.
package maintenance

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// A Window is one piece of work.
type Window struct {
	ID    string    `json:"id" yaml:"-"` // made of the rest
	Who   string    `json:"who" yaml:"who"`
	Why   string    `json:"why" yaml:"why"`
	From  time.Time `json:"from" yaml:"from"`
	Until time.Time `json:"until" yaml:"until"`
	Hosts []string  `json:"hosts,omitempty" yaml:"hosts"` // addresses or prefixes: all that they say or are told
	Links []string  `json:"links,omitempty" yaml:"links"` // "10.0.0.10 > 10.0.0.1": what this client says to this server, and back

	Withheld uint64 `json:"withheld,omitempty" yaml:"-"` // alerts kept back
	Raised   uint64 `json:"raised,omitempty" yaml:"-"`   // alerts raised all the same
	Begun    bool   `json:"begun,omitempty" yaml:"-"`    // its begin was said
	Over     bool   `json:"over,omitempty" yaml:"-"`     // its end was said
	Ended    bool   `json:"ended,omitempty" yaml:"-"`    // by a command
	Config   bool   `json:"config,omitempty" yaml:"-"`   // it stands in the configuration

	hosts []netip.Prefix
	links [][2]netip.Addr
}

// Longest is how long a window may be: work that takes longer is a change, and belongs in the baseline.
const Longest = 31 * 24 * time.Hour

// Prepare checks what a person has written and makes w ready to use.
func (w *Window) Prepare() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("maintenance: "+format, args...)) }
	if w.Who == "" || w.Why == "" {
		bad("say who works and why")
	}
	switch length := w.Until.Sub(w.From); {
	case w.From.IsZero() || w.Until.IsZero():
		bad("say from when until when")
	case length <= 0:
		bad("it ends at %s, before it begins", w.Until.Format(time.RFC3339))
	case length > Longest:
		bad("it takes longer than %d days", int(Longest.Hours()/24))
	}
	if len(w.Hosts)+len(w.Links) == 0 {
		bad("say where: name hosts or links")
	}
	w.hosts, w.links = nil, nil
	for _, text := range w.Hosts {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			var a netip.Addr
			if a, err = netip.ParseAddr(text); err == nil {
				p = netip.PrefixFrom(a, a.BitLen())
			}
		}
		if err != nil {
			bad("%q is neither an address nor a prefix", text)
		}
		w.hosts = append(w.hosts, p)
	}
	for _, text := range w.Links {
		client, server, ok := strings.Cut(text, ">")
		c, errC := netip.ParseAddr(strings.TrimSpace(client))
		s, errS := netip.ParseAddr(strings.TrimSpace(server))
		if !ok || errC != nil || errS != nil {
			bad(`%q is no link; write "CLIENT > SERVER"`, text)
		}
		w.links = append(w.links, [2]netip.Addr{c, s})
	}
	w.From, w.Until = w.From.UTC(), w.Until.UTC()
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%d\x00%q\x00%q", w.Who, w.Why, w.From.UnixNano(), w.Hosts, w.Links))
	w.ID = hex.EncodeToString(sum[:4])
	return errors.Join(errs...)
}

// at tells whether work goes on at a time, Unix nanoseconds.
func (w *Window) at(t int64) bool { return !w.Over && w.From.UnixNano() <= t && t < w.Until.UnixNano() }

// covers tells whether work is done on either host, or on their link.
func (w *Window) covers(client, server netip.Addr) bool {
	for _, p := range w.hosts {
		if p.Contains(client) || p.Contains(server) {
			return true
		}
	}
	for _, l := range w.links {
		if l[0] == client && l[1] == server {
			return true
		}
	}
	return false
}

// Where says what work is done on.
func (w *Window) Where() string {
	return strings.Join(append(append([]string{}, w.Hosts...), w.Links...), ", ")
}

// String names the window in an alert or a record.
func (w *Window) String() string {
	return fmt.Sprintf("%s by %s until %s: %s", w.ID, w.Who, w.Until.Format("2006-01-02 15:04"), w.Why)
}
