package plant

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"

	"github.com/roje-ot/roje/protocols/catalog"

	"github.com/roje-ot/roje/rules/strict"
)

// A File is a point list or a device profile as a configuration names it. What the file itself says goes before what
// stands here.
type File struct {
	Path     string            `yaml:"file"`
	Protocol string            `yaml:"protocol"` // iec104, modbus or dnp3, where the headings do not tell; a device profile is of DNP3
	Assets   []string          `yaml:"assets"`   // IP addresses of the station, where the file has none; empty: any station of that number
	Station  *uint32           `yaml:"station"`  // common address, unit id or outstation address, where the file has none; absent: any
	Columns  map[string]string `yaml:"columns"`  // headings of this file, by column, where they are none of those that are known

	addrs []netip.Addr
}

const (
	maxFile      = 16 << 20
	maxPoints    = 200000
	maxName      = 200
	maxRegisters = 256 // that one point takes
	maxFaults    = 100 // that are told one by one
)

// Check returns all that is wrong with f and can be known without opening it.
func (f *File) Check() error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("points: %s: "+format, append([]any{cmp.Or(f.Path, "an entry without file:")}, args...)...))
	}
	if f.Path == "" {
		bad("name a point list (CSV) or a DNP3 device profile (XML)")
	}
	if f.Protocol != "" {
		if p, ok := catalog.Named(f.Protocol); !ok || types[p] == nil {
			bad("%w", strict.Unknown("protocol", f.Protocol, protocolNames()))
		}
	}
	f.addrs = nil
	for _, word := range f.Assets {
		a, err := netip.ParseAddr(word)
		if err != nil {
			bad("asset %q is no IP address", word)
		}
		f.addrs = append(f.addrs, a.Unmap())
	}
	if f.Station != nil && *f.Station > 65535 {
		bad("station is %d; it is at most 65535", *f.Station)
	}
	if err := checkColumns(f.Columns); err != nil {
		bad("%w", err)
	}
	return errors.Join(errs...)
}

// A reading is one file being read.
type reading struct {
	File
	book   *Book
	faults []error
	more   int // faults that are not told
}

// fault notes what is wrong at a place of the file.
func (l *reading) fault(line, column int, format string, args ...any) {
	if len(l.faults) >= maxFaults {
		l.more++
		return
	}
	l.faults = append(l.faults, fmt.Errorf("%s:%d:%d: %w", l.Path, line, column, fmt.Errorf(format, args...)))
}

// add keeps p; false says that there are too many.
func (l *reading) add(p *Point) bool {
	if len(l.book.Points) >= maxPoints {
		l.fault(p.Line, 1, "there are more than %d points in all lists; nothing behind this was read", maxPoints)
		return false
	}
	l.book.Points = append(l.book.Points, p)
	return true
}

// Load reads lists and profiles. The error holds all that is wrong with them, each with its file, line and column; then
// the book is nil. No files give an empty book.
func Load(files []File) (*Book, error) {
	b := &Book{Unread: map[string][]string{}, stations: map[scope]*station{}}
	var errs []error
	sum := sha256.New()
	for _, f := range files {
		if err := f.Check(); err != nil {
			errs = append(errs, err)
			continue
		}
		text, err := readFile(f.Path)
		if err != nil {
			errs = append(errs, fmt.Errorf("points: %w", err))
			continue
		}
		fmt.Fprintf(sum, "%q %q %q %q %d\n", f.Path, f.Protocol, f.Assets, f.Columns, len(text))
		if f.Station != nil {
			fmt.Fprintln(sum, *f.Station)
		}
		sum.Write(text)
		errs = append(errs, b.read(f, text)...)
	}
	sum.Sum(b.sum[:0])
	errs = append(errs, b.link()...)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return b, nil
}

// readFile reads a file of at most maxFile bytes.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("%s: the file has more than %d bytes", path, maxFile)
	}
	return text, nil
}

// read reads the text of a file into b.
func (b *Book) read(f File, text []byte) []error {
	l := &reading{File: f, book: b}
	if looksXML(text) {
		l.readProfile(text)
	} else {
		l.readCSV(text)
	}
	if l.more > 0 {
		l.faults = append(l.faults, fmt.Errorf("%s: and %d more", f.Path, l.more))
	}
	return l.faults
}

func looksXML(text []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(bytes.TrimPrefix(text, []byte("\ufeff")), " \t\r\n"), []byte("<"))
}

// link finds points that are listed twice, and the other ends of commands and indications.
func (b *Book) link() []error {
	l := &reading{}
	for _, p := range b.Points {
		l.Path = p.File
		if twin := b.put(p); twin != nil {
			l.fault(p.Line, 1, "%s %d of %s is also on line %d of %s (%s)", kindName(p.Proto, p.Kind), p.Addr, p.Where(), twin.Line, twin.File, twin.Name)
		}
	}
	for _, p := range b.Points {
		l.Path = p.File
		b.pair(l, p, p.follows, false)
		b.pair(l, p, p.told, true)
	}
	for _, s := range b.stations {
		slices.SortFunc(s.points, func(x, y *Point) int { return cmp.Or(cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.Addr, y.Addr)) })
	}
	if l.more > 0 {
		l.faults = append(l.faults, fmt.Errorf("and %d more", l.more))
	}
	return l.faults
}

// pair notes which indication follows which command, as p's row says: t is the indication, or with back the command.
func (b *Book) pair(l *reading, p *Point, t *target, back bool) {
	if t == nil {
		return
	}
	other := b.other(p, t, back)
	word := map[bool]string{false: "indication", true: "command"}[back]
	switch {
	case other == nil:
		l.fault(p.Line, t.column, "%s %d of %q is not in any list of %s", word, t.addr, p.Name, p.Where())
		return
	case p.commands() == back:
		l.fault(p.Line, t.column, "%q has a column %s, but its type is %s", p.Name, word, whatIs(p))
		return
	}
	command, indication := p, other
	if back {
		command, indication = other, p
	}
	for _, s := range b.of(p) {
		s.pairs = append(s.pairs, pairing{command, indication})
	}
}

// whatIs is the type of p, or what it is at all.
func whatIs(p *Point) string {
	if p.Type != nil {
		return p.Type.Name
	}
	return kindName(p.Proto, p.Kind)
}
