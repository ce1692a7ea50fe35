package share

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/roje-ot/roje/collector/store"
	"github.com/roje-ot/roje/rules"
)

// A Mask puts pseudonyms in the place of what tells where something is: addresses of all kinds, and the names of sensors
// and sites. The same address is the same pseudonym in everything that a recipient gets, so that he sees that two alerts are
// of one host; another recipient gets others, so that two of them cannot put together what they have. Who does not have the
// operator's secret cannot go back, even by trying all addresses there are.
//
//	IPv4   240.0.0.0/4, which no network uses (RFC 1112 §4): 28 bits of the MAC. Among 1,000 hosts two share a
//	       pseudonym in one of 500 networks
//	IPv6   fd00::/8 (RFC 4193)
//	MAC    02:…, locally administered (IEEE 802c)
//	names  name-…, also those that point lists give
//
// Ports, stations, addresses of points, values and times stay: they are what a finding is about.
type Mask struct {
	key   []byte
	names []string // longest first
}

// mask's secret in the store.
const maskSecret = "pseudonyms"

// shortest is how long a name must be to be looked for in texts: "1" is in every one.
const shortest = 3

// A Source is what masks are made of.
type Source interface {
	Secret(ctx context.Context, s store.Scope, name string) ([]byte, error)
	Sensors(ctx context.Context, s store.Scope) ([]store.Sensor, error)
}

// NewMask is the mask for a recipient. It knows the names of the sensors that there are now.
func NewMask(ctx context.Context, from Source, s store.Scope, recipient string) (*Mask, error) {
	secret, err := from.Secret(ctx, s, maskSecret)
	if err != nil {
		return nil, fmt.Errorf("pseudonyms: %w", err)
	}
	sensors, err := from.Sensors(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("pseudonyms: %w", err)
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("roje pseudonyms for " + recipient))
	m := &Mask{key: mac.Sum(nil)}
	for _, sensor := range sensors {
		for _, name := range []string{sensor.Name, sensor.ID} {
			if utf8.RuneCountInString(name) >= shortest && !slices.Contains(m.names, name) {
				m.names = append(m.names, name)
			}
		}
	}
	slices.SortFunc(m.names, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	return m, nil
}

// Released is r as it leaves: itself, or with pseudonyms if it is one that leaves under them.
func (m *Mask) Released(r store.Released) store.Released {
	if r.Masked {
		r.Masked = false
		m.alert(&r.Alert.Alert)
		r.Alert.Sensor, r.Alert.SensorName, r.Alert.Body = m.name(r.Alert.Sensor), m.name(r.Alert.SensorName), nil
	}
	return r
}

// alert masks everything that an operator's sensor, or its rules, may have put an address or a name into.
func (m *Mask) alert(a *rules.Alert) {
	a.ID = hex.EncodeToString(m.sum("alert", a.ID)[:12]) // made of addresses, so who has all of those could find it
	if a.Incident != "" {
		a.Incident = hex.EncodeToString(m.sum("incident", a.Incident)[:12])
	}
	a.Client, a.Server = m.endpoint(a.Client), m.endpoint(a.Server)
	a.Evidence, a.Frames = nil, nil
	m.points(a)
	for _, text := range []*string{&a.Title, &a.Learned, &a.Observed, &a.Rule} {
		*text = m.Text(*text)
	}
}

// points masks what the site's point lists call points: "breaker Q0, bay E03" says whose it is.
func (m *Mask) points(a *rules.Alert) {
	a.Points = slices.Clone(a.Points)
	for i := range a.Points {
		p := &a.Points[i]
		if utf8.RuneCountInString(p.Name) >= shortest {
			for _, text := range []*string{&a.Title, &a.Learned, &a.Observed} {
				*text = m.replace(*text, p.Name)
			}
		}
		p.Name = m.name(p.Name)
	}
}

// endpoint masks an address with or without its port; what is neither is a name.
func (m *Mask) endpoint(text string) string {
	if text == "" {
		return ""
	}
	masked := m.Text(text)
	if _, err := netip.ParseAddrPort(text); err == nil {
		return masked
	}
	if _, err := netip.ParseAddr(text); err == nil {
		return masked
	}
	if _, err := net.ParseMAC(text); err == nil {
		return masked
	}
	return m.name(text)
}

// addresses finds what may be an address: MAC addresses in their three notations, IPv6, IPv4. The longest counts.
var addresses = longest(`(?i)\b[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}\b|\b[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}\b` +
	`|(?:\b[0-9a-f]{1,4}|:):[0-9a-f:]*(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3})?(?:%[0-9a-z]+)?|[0-9]{1,3}(?:\.[0-9]{1,3}){3}`)

func longest(text string) *regexp.Regexp {
	r := regexp.MustCompile(text)
	r.Longest()
	return r
}

// Text masks the addresses and the names in a text.
func (m *Mask) Text(text string) string {
	text = addresses.ReplaceAllStringFunc(text, m.address)
	for _, name := range m.names {
		text = m.replace(text, name)
	}
	return text
}

// address masks what addresses has found, if it is an address or begins or ends with one.
func (m *Mask) address(text string) string {
	if masked, ok := m.one(text); ok {
		return masked
	}
	// "fe80::1:" ends a part of a sentence, "2001:db8::9:40000" has a port, "1:10.0.0.7" a number before it
	for at := strings.LastIndexByte(text, ':'); at > 0; at = strings.LastIndexByte(text[:at], ':') {
		if masked, ok := m.one(text[:at]); ok {
			return masked + text[at:at+1] + m.Text(text[at+1:])
		}
		if masked, ok := m.one(text[at+1:]); ok {
			return text[:at+1] + masked
		}
	}
	if strings.Contains(text, "::") {
		return netip.AddrFrom16([16]byte(shape(16, m.sum("ip", text)))).String()
	}
	return text
}

// one is the pseudonym of an address.
func (m *Mask) one(text string) (string, bool) {
	if mac, err := net.ParseMAC(text); err == nil {
		return net.HardwareAddr(shape(6, m.sum("mac", mac.String()))).String(), true
	}
	if addr, err := netip.ParseAddr(text); err == nil {
		return m.ip(addr), true
	}
	return "", false
}

func (m *Mask) ip(addr netip.Addr) string {
	addr = addr.Unmap().WithZone("")
	pseudonym, _ := netip.AddrFromSlice(shape(addr.BitLen()/8, m.sum("ip", addr.String())))
	return pseudonym.String()
}

// replace masks a name wherever it stands by itself, in capitals or not.
func (m *Mask) replace(text, name string) string {
	folded, part := strings.ToLower(text), strings.ToLower(name)
	if len(folded) != len(text) { // a letter whose small form has another length: places would not fit
		folded, part = text, name
	}
	var b strings.Builder
	from := 0
	for {
		at := strings.Index(folded[from:], part)
		if at < 0 {
			break
		}
		at += from
		end := at + len(part)
		before, _ := utf8.DecodeLastRuneInString(text[:at])
		after, _ := utf8.DecodeRuneInString(text[end:])
		b.WriteString(text[from:at])
		if wordy(before) || wordy(after) {
			b.WriteString(text[at:end])
		} else {
			b.WriteString(m.name(name))
		}
		from = end
	}
	return b.String() + text[from:]
}

func wordy(r rune) bool { return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r)) }

// name is the pseudonym of a name.
func (m *Mask) name(name string) string {
	if name == "" {
		return ""
	}
	return "name-" + strings.ToLower(base32.StdEncoding.EncodeToString(m.sum("name", strings.ToLower(name))[:10]))
}

func (m *Mask) sum(kind, value string) []byte {
	mac := hmac.New(sha256.New, m.key)
	mac.Write([]byte(kind + "\x00" + value))
	return mac.Sum(nil)
}
