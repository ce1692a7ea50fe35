package catalog_test

import (
	"regexp"
	"testing"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/protocols/catalog"
)

var word = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// TestRows: what the sensor, the rule language and docs/protocols.md take from a protocol is there and makes sense.
func TestRows(t *testing.T) {
	names, ports := map[string]bool{}, map[uint16]string{}
	for _, p := range catalog.All {
		if !word.MatchString(p.Name) || names[p.Name] || p.Title == "" {
			t.Errorf("%q: want a word of its own for a name, and a title", p.Name)
		}
		names[p.Name] = true
		if p.New == nil || p.Probe == nil || p.AppendStatus == nil {
			t.Errorf("%s: New, Probe or AppendStatus is missing", p.Name)
		}
		for _, port := range p.TCP {
			if other := ports[port]; other != "" {
				t.Errorf("TCP port %d belongs to %s and to %s", port, other, p.Name)
			}
			ports[port] = p.Name
		}
		for i, c := range p.Codes {
			if c.Name == "" || c.Depth == "" {
				t.Errorf("%s: code %d has no name, or does not say what of it is decoded", p.Name, c.Code)
			}
			if i > 0 && c.Code <= p.Codes[i-1].Code {
				t.Errorf("%s: code %d stands behind %d", p.Name, c.Code, p.Codes[i-1].Code)
			}
			if found, ok := p.Code(c.Code); !ok || found.Code != c.Code {
				t.Errorf("%s: code %d is not found", p.Name, c.Code)
			}
		}
		fields := map[string]bool{}
		for _, f := range p.Field {
			readers := 0
			for _, is := range []bool{f.Int != nil, f.Bool != nil, f.Text != nil, f.JSON != nil} {
				if is {
					readers++
				}
			}
			if !word.MatchString(f.Name) || f.Doc == "" || fields[f.Name] || readers != 1 {
				t.Errorf("%s.%s: want a word of its own, a line of doc, and one way to read it", p.Name, f.Name)
			}
			fields[f.Name] = true
		}
		if found, ok := catalog.Named(p.Name); !ok || found != p {
			t.Errorf("%s is not found by its name", p.Name)
		}
	}
	if _, ok := catalog.Named("no such protocol"); ok {
		t.Error("a protocol that does not exist was found")
	}
}

// FuzzDecoders gives any bytes, in pieces and in both directions, to every decoder in the catalog, and holds it to the
// contract of protocols.Decoder: Split never claims what is not there and takes all that is the last, no byte is read
// past the end (each slice has no room behind it), no more waits than two of the longest frames, and a message can be
// written down.
func FuzzDecoders(f *testing.F) {
	f.Add([]byte{0, 1, 0, 0, 0, 6, 1, 3, 0, 0, 0, 1}, uint8(5))
	f.Add([]byte{0x68, 4, 7, 0, 0, 0, 0x68, 4, 0x0b, 0, 0, 0}, uint8(1))
	f.Add([]byte{5, 0x64, 5, 0xc9, 1, 0, 2, 0, 0, 0}, uint8(3))
	f.Fuzz(func(t *testing.T, b []byte, size uint8) {
		for _, p := range catalog.All {
			for _, hint := range []protocols.Hint{{}, {Server: 1, Known: true}, {Server: 1, Known: true, Datagram: true}} {
				feed(t, p, hint, b, int(size)+1)
			}
			if guess := p.Probe(b, true); guess == protocols.Maybe {
				t.Errorf("%s: maybe, where no byte follows", p.Name)
			}
		}
	})
}

// mostWaiting is how many bytes a decoder may let wait: the longest frame, of 1106 bytes, and what bears it out.
const mostWaiting = 2 << 10

// feed gives b to a new decoder of p: to one end and then to the other, in pieces of so many bytes, with a loss between.
func feed(t *testing.T, p *protocols.Protocol, hint protocols.Hint, b []byte, size int) {
	d := p.New(hint)
	var m protocols.Message
	var text []byte
	for _, dir := range []protocols.Dir{0, 1, 0} {
		var held []byte
		for rest := b; len(rest) > 0; {
			n := min(size, len(rest))
			held = append(held, rest[:n]...)
			rest = rest[n:]
			last := len(rest) == 0 || hint.Datagram
			for len(held) > 0 {
				skip, n := d.Split(dir, held[:len(held):len(held)], last)
				if skip < 0 || n < 0 || skip+n > len(held) || last && skip+n == 0 {
					t.Fatalf("%s: Split of %d bytes, last %v, says %d and %d", p.Name, len(held), last, skip, n)
				}
				end := skip + n
				if n > 0 && d.Decode(protocols.Frame{Dir: dir, At: 1, Bytes: held[skip:end:end]}, &m) {
					text = m.AppendText(text[:0])
					text = m.AppendJSON(text)
				}
				held = held[end:]
				if n == 0 && !last {
					if len(held) > mostWaiting {
						t.Fatalf("%s: %d bytes wait", p.Name, len(held))
					}
					break
				}
			}
		}
		d.Lost(dir)
	}
}
