package sensor

import (
	"fmt"
	"io/fs"
	"time"

	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/rules/lang"
	"github.com/roje-ot/roje/rules/site"
	"github.com/roje-ot/roje/rules/strict"
	"github.com/roje-ot/roje/sensor/enrol"
	"github.com/roje-ot/roje/sensor/evidence"
)

// A Bearer is for whom packs must be, to be taken.
type Bearer struct {
	Operator string // "" where the sensor has not joined any
	Names    []string
}

// bearer is the sensor itself. Packs that name somebody are for nobody who has not joined.
func (c *Config) bearer() *Bearer {
	id, err := enrol.Load(c.Enrolment)
	if err != nil {
		return &Bearer{Names: []string{c.Name}}
	}
	return &Bearer{id.Operator, []string{id.Sensor, id.Name}}
}

// Settings is what a centre may set besides what it says about rules. What is not here it may not: what is captured, that
// the sensor is passive, whom it trusts and where it keeps things is the site's own.
type Settings struct {
	// Sending is which evidence is sent to the collector, and how much a day. A site that lets none leave it stays with that.
	Sending *evidence.Sending `yaml:"evidence_to_collector"`
}

// readSettings reads a policy's settings.
func readSettings(text []byte) (*Settings, error) {
	s := new(Settings)
	if err := strict.Decode(text, s); err != nil {
		return nil, fmt.Errorf("%s: %w", site.SettingsFile, err)
	}
	if s.Sending != nil {
		if err := s.Sending.Check(); err != nil {
			return nil, fmt.Errorf("%s: %w", site.SettingsFile, err)
		}
	}
	return s, nil
}

// sending is what counts of what the site and the centre say.
func (s *Settings) sending(own evidence.Sending) evidence.Sending {
	if s == nil || s.Sending == nil || own.Send == evidence.SendNone {
		return own
	}
	return *s.Sending
}

// addPolicy takes a centre's policy: it returns what that says about the rules of b. No pack says nothing.
func (b *Rulebook) addPolicy(p *site.Pack) (centre *site.Overrides, err error) {
	if p == nil {
		return nil, nil
	}
	for _, file := range p.Files {
		text, err := fs.ReadFile(p.FS(), file.Name)
		if err == nil {
			switch file.Name {
			case site.SiteFile:
				centre, err = site.Load(lang.NewVocabulary(catalog.All), p.Name+"/"+file.Name, text, b.All)
			case site.SettingsFile:
				b.Settings, err = readSettings(text)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("policy %s %d: %w", p.Name, p.Version, err)
		}
	}
	b.Policy, b.policyHash = &p.Manifest, p.Hash
	return centre, nil
}

// open reads a pack and, if a key is trusted, holds it to that key, to whom it is for and to what was in use.
func (f RuleFiles) open(packed []byte, kind site.Kind) (*site.Pack, error) {
	p, err := site.Open(packed)
	if err != nil {
		return nil, err
	}
	if p.Kind != kind {
		return nil, fmt.Errorf("pack %s %d is %s, not %s", p.Name, p.Version, p.Kind, kind)
	}
	if f.Key != "" {
		if err := f.trusts(p); err != nil {
			return nil, err
		}
	}
	if f.Who != nil {
		if err := p.For(f.Who.Operator, f.Who.Names, f.at); err != nil {
			return nil, fmt.Errorf("pack %s %d: %w", p.Name, p.Version, err)
		}
	}
	if f.Key == "" {
		return p, nil
	}
	used, err := readPacks(f.State)
	if err != nil {
		return nil, err
	}
	if was, ok := used[usedName(&p.Manifest)]; ok {
		err = p.After(was.Version, was.Hash)
	}
	return p, err
}

// usedName is under what it is remembered that a pack was in use.
func usedName(m *site.Manifest) string {
	if m.Kind == site.Rules {
		return m.Name
	}
	return m.Kind.String() + "/" + m.Name
}

// CheckPolicy returns what is wrong with what a policy says about the built-in rules and those of with: a folder, a pack,
// or nothing. Its signature is not looked at.
func CheckPolicy(with string, packed []byte) error {
	b, err := LoadRulebook(RuleFiles{Rules: with}, time.Time{})
	if err != nil {
		return err
	}
	p, err := RuleFiles{}.open(packed, site.Policy)
	if err == nil {
		_, err = b.addPolicy(p)
	}
	return err
}

// VerifyPack returns what a file is, a pack of rules or a policy, if the owner of the key signed it and it is good. With is
// as in CheckPolicy.
func VerifyPack(path, key, with string) (*site.Manifest, error) {
	packed, err := readPack(path, false)
	if err != nil {
		return nil, err
	}
	p, err := site.Open(packed)
	if err != nil || p.Kind == site.Rules {
		b, err := LoadRulebook(RuleFiles{Rules: path, Key: key}, time.Now())
		if err != nil {
			return nil, err
		}
		return b.Pack, nil
	}
	if err := (RuleFiles{Key: key}).trusts(p); err != nil {
		return nil, err
	}
	return &p.Manifest, CheckPolicy(with, packed)
}
