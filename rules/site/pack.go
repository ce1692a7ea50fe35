package site

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/roje-ot/roje/rules/batch"
)

// Limits of a pack.
const (
	maxPack  = 8 << 20
	maxFiles = 200
)

// PackExt is what the name of a pack's file ends with.
const PackExt = ".rojepack"

// packForm is the shape of a pack: its manifest, then its files one after the other, then the signature.
var packForm = batch.Form{Magic: "ROJP", Version: 1, MaxHeader: 256 << 10, MaxPayload: maxPack}

// A Manifest says what is in a pack, and for whom it is. A pack has one form only: the files stand in the order of their
// names.
type Manifest struct {
	Name    string    `json:"name"`    // of the pack: lower case letters, digits, '-' and '_'
	Version uint64    `json:"version"` // grows with each pack of this name; at least 1
	Created time.Time `json:"created"` // UTC, whole seconds
	Key     string    `json:"key"`     // batch.KeyID of the key that signed
	Terms
	Files []File `json:"files"`
}

// A File is one rule file of a pack.
type File struct {
	Name   string     `json:"name"` // "modbus.yaml", without a folder
	Size   int        `json:"size"`
	SHA256 batch.Hash `json:"sha256"`
}

// A Pack is one that was read. Nothing in it is to be believed before Verify.
type Pack struct {
	Manifest
	Hash batch.Hash // of the whole file

	bytes []byte
	files map[string][]byte
}

// Seal makes a pack of the *.yaml files at the top of fsys and signs it. What the files say is not looked at.
func Seal(name string, version uint64, created time.Time, terms Terms, fsys fs.FS, key ed25519.PrivateKey) ([]byte, error) {
	m := Manifest{Name: name, Version: version, Created: created.UTC().Truncate(time.Second), Key: batch.KeyID(key.Public().(ed25519.PublicKey)), Terms: terms}
	m.Expires = m.Expires.UTC().Truncate(time.Second)
	entries, err := fs.ReadDir(fsys, ".") // sorted by name
	if err != nil {
		return nil, err
	}
	var payload []byte
	for _, entry := range entries {
		if entry.IsDir() || !strings.HasSuffix(entry.Name(), ".yaml") {
			continue
		}
		text, err := fs.ReadFile(fsys, entry.Name())
		if err != nil {
			return nil, err
		}
		m.Files = append(m.Files, File{entry.Name(), len(text), sha256.Sum256(text)})
		payload = append(payload, text...)
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	if len(payload) > maxPack {
		return nil, fmt.Errorf("pack: %d bytes of rules are more than %d", len(payload), maxPack)
	}
	head, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	return packForm.Sign(head, payload, key), nil
}

// check says what in m cannot be.
func (m *Manifest) check() error {
	if err := batch.CheckName("a pack", m.Name); err != nil {
		return fmt.Errorf("pack: %w", err)
	}
	switch {
	case m.Version == 0 || m.Version > 1<<62:
		return fmt.Errorf("pack: %d is no version; the first is 1", m.Version)
	case len(m.Files) == 0:
		return errors.New("pack: no *.yaml file")
	}
	if err := m.Terms.check(); err != nil {
		return fmt.Errorf("pack: %w", err)
	}
	switch {
	case len(m.Files) > maxFiles:
		return fmt.Errorf("pack: %d files are more than %d", len(m.Files), maxFiles)
	}
	for i, f := range m.Files {
		switch {
		case f.Name != path.Base(f.Name) || strings.ContainsAny(f.Name, "\\\x00") || !strings.HasSuffix(f.Name, ".yaml") || len(f.Name) > 255:
			return fmt.Errorf("pack: %q is no name of a rule file", f.Name)
		case i > 0 && m.Files[i-1].Name >= f.Name:
			return fmt.Errorf("pack: %q stands behind %q", f.Name, m.Files[i-1].Name)
		case f.Size < 0 || f.Size > maxPack:
			return fmt.Errorf("pack: %s cannot have %d bytes", f.Name, f.Size)
		case m.Kind == Policy && !slices.Contains(policyFiles, f.Name):
			return fmt.Errorf("pack: %s has no place in a policy, which has %s", f.Name, strings.Join(policyFiles, ", "))
		}
	}
	return nil
}

// IsPack tells whether b begins like a pack.
func IsPack(b []byte) bool { return bytes.HasPrefix(b, []byte(packForm.Magic)) }

// Open reads a pack. It checks lengths, the manifest and the hash of each file; whether to believe it is Verify's.
func Open(b []byte) (*Pack, error) {
	head, payload, n, err := packForm.Cut(b)
	if err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	if n != len(b) {
		return nil, fmt.Errorf("pack: %d bytes behind its end", len(b)-n)
	}
	p := &Pack{Hash: sha256.Sum256(b), bytes: b, files: map[string][]byte{}}
	dec := json.NewDecoder(bytes.NewReader(head))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p.Manifest); err != nil {
		return nil, fmt.Errorf("pack: manifest: %w", err)
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	if again, err := json.Marshal(p.Manifest); err != nil || !bytes.Equal(again, head) {
		return nil, errors.New("pack: the manifest is not in its one form")
	}
	for _, f := range p.Files {
		if f.Size > len(payload) {
			return nil, fmt.Errorf("pack: %s is cut short", f.Name)
		}
		text := payload[:f.Size]
		if payload = payload[f.Size:]; sha256.Sum256(text) != f.SHA256 {
			return nil, fmt.Errorf("pack: %s does not fit its hash", f.Name)
		}
		p.files[f.Name] = text
	}
	if len(payload) > 0 {
		return nil, fmt.Errorf("pack: %d bytes belong to no file", len(payload))
	}
	return p, nil
}

// Verify returns nil if the owner of pub signed the pack.
func (p *Pack) Verify(pub ed25519.PublicKey) error {
	if packForm.Verify(p.bytes, pub) {
		return nil
	}
	want := "no key"
	if len(pub) == ed25519.PublicKeySize {
		want = batch.KeyID(pub)
	}
	return fmt.Errorf("pack %s %d: %w: it says that key %s signed it; trusted is %s", p.Name, p.Version, batch.ErrSignature, p.Key, want)
}

// After returns nil if p may follow a pack of the same name with this version and hash: it is newer, or the very same.
func (p *Pack) After(version uint64, hash batch.Hash) error {
	switch {
	case p.Version < version:
		return fmt.Errorf("pack %s %d is %w than %d, which was in use: going back is refused; sign it again with a version above %d", p.Name, p.Version, ErrOlder, version, version)
	case p.Version == version && p.Hash != hash:
		return fmt.Errorf("pack %s %d is not the pack %s %d that was in use (%w); give it a version of its own", p.Name, p.Version, p.Name, version, ErrReplayed)
	}
	return nil
}
