package asset

import (
	"fmt"
	"strings"
	"time"
)

// Text says the asset in one line for people.
func (a *Asset) Text() string {
	var b strings.Builder
	for i, addr := range a.Addrs {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(addr.String())
	}
	if len(a.Addrs) == 0 && len(a.MACs) > 0 {
		b.WriteString(a.MACs[0].MAC)
	}
	text := fmt.Sprintf("%s  %-16s %s", a.ID, b.String(), a.Vendor)
	if a.Ident != nil {
		for _, s := range []string{a.Ident.Model, a.Ident.Firmware, a.Ident.Name} {
			if s != "" {
				text += " " + s
			}
		}
	}
	if len(a.Roles) > 0 {
		text += "; " + strings.Join(a.Roles, ", ")
	}
	for _, s := range a.Serves {
		text += fmt.Sprintf("; %s on %s %d", s.Proto, s.Transport, s.Port)
	}
	if len(a.Parts) > 1 {
		text += fmt.Sprintf("; %d stations", len(a.Parts))
	}
	return text + fmt.Sprintf("; heard %s to %s", a.First, a.Last)
}

// History says the parts and the changes, a line each.
func (a *Asset) History() string {
	var b strings.Builder
	for _, p := range a.Parts {
		fmt.Fprintf(&b, "  %s station %d", p.Proto, p.Station)
		if p.Ident != nil {
			fmt.Fprintf(&b, ": %s", strings.Join(strings.Fields(p.Ident.Vendor+" "+p.Ident.Model+" "+p.Ident.Firmware+" "+p.Ident.Serial), " "))
		}
		b.WriteByte('\n')
	}
	for _, c := range a.Changes {
		fmt.Fprintf(&b, "  %s %s: %s -> %s\n", c.At, c.What, or(c.From), or(c.To))
	}
	return b.String()
}

func or(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// String gives the time to the second, UTC.
func (t Time) String() string { return time.Unix(0, int64(t)).UTC().Format("2006-01-02 15:04:05") }
