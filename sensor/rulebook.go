package sensor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/rules/batch"
	"github.com/roje-ot/roje/rules/lang"
	"github.com/roje-ot/roje/rules/pack"
	"github.com/roje-ot/roje/rules/site"
	"github.com/roje-ot/roje/sensor/keyfile"
	"github.com/roje-ot/roje/sensor/plant"
)

// RuleFiles says where a sensor's rules come from, beside the built-in pack, which is trusted as part of the program.
// Every member may be empty.
type RuleFiles struct {
	Rules string // folder of rule files, or a signed pack
	Site  string // what the site says about rules: package site
	Key   string // public key, PEM: only a pack that it signed is taken, and none older than one that was in use
	State string // folder that remembers which packs were in use
}

// A Rulebook is what a sensor judges by.
type Rulebook struct {
	All     []*lang.Rule // before the site's own word
	Rules   []*lang.Rule // in force
	Site    *site.Overrides
	Expired []*site.Exception // of the site, over when the rules were loaded
	Pack    *site.Manifest    // nil where there is none
	Trusted bool              // the pack's signature was checked
	Updated []string          // ids of built-in rules in whose place the pack has its own
	Points  *plant.Book       // what points are called; nil where nobody asked

	hash batch.Hash // of the pack
}

// maxRulesFile is more than any pack has.
const maxRulesFile = 16 << 20

// LoadRulebook reads all rules and runs their tests; the error holds all that is wrong with them. It writes nothing.
// Exceptions that are over at now do not apply; a zero now goes by packet time alone.
func LoadRulebook(f RuleFiles, now time.Time) (*Rulebook, error) {
	var text []byte
	if f.Rules != "" {
		info, err := os.Stat(f.Rules)
		if err != nil {
			return nil, fmt.Errorf("rules: %w", err)
		}
		if info.Size() > maxRulesFile && !info.IsDir() {
			return nil, fmt.Errorf("rules: %s has %d bytes; a pack has at most %d", f.Rules, info.Size(), maxRulesFile)
		}
		if !info.IsDir() {
			if text, err = os.ReadFile(f.Rules); err != nil {
				return nil, fmt.Errorf("rules: %w", err)
			}
			return f.load(text, now)
		}
	}
	return f.load(nil, now)
}

// load is LoadRulebook with the bytes of a pack, or nil where f.Rules is a folder or empty.
func (f RuleFiles) load(packed []byte, now time.Time) (*Rulebook, error) {
	b := &Rulebook{}
	var err error
	switch {
	case packed != nil:
		err = b.addPack(f, packed)
	case f.Key != "" && f.Rules != "":
		return nil, fmt.Errorf("rules: %s is a folder of loose files, and rules_key asks for a signed pack; make one with `roje-sensor rules pack sign`", f.Rules)
	default:
		b.All, err = LoadRules(f.Rules)
	}
	if err != nil || f.Site == "" {
		b.Rules = b.All
		return b, err
	}
	words, err := os.ReadFile(f.Site)
	if err != nil {
		return nil, fmt.Errorf("rules_site: %w", err)
	}
	if b.Site, err = site.Load(lang.NewVocabulary(catalog.All), f.Site, words, b.All); err != nil {
		return nil, err
	}
	if !now.IsZero() {
		b.Expired = b.Site.Expired(now)
	}
	b.Rules = b.Site.Apply(b.All, now)
	return b, nil
}

// addPack takes the rules of a pack, in place of built-in ones of the same ids and beside the others.
func (b *Rulebook) addPack(f RuleFiles, packed []byte) error {
	if !site.IsPack(packed) {
		return fmt.Errorf("rules: %s is no pack; name a folder of rule files, or a pack that `roje-sensor rules pack sign` made", f.Rules)
	}
	p, err := site.Open(packed)
	if err != nil {
		return fmt.Errorf("rules: %s: %w", f.Rules, err)
	}
	if f.Key != "" {
		key, err := keyfile.Public(f.Key)
		if err != nil {
			return fmt.Errorf("rules_key: %w", err)
		}
		if err := p.Verify(key); err != nil {
			return fmt.Errorf("rules: %s: %w", f.Rules, err)
		}
		used, err := readPacks(f.State)
		if err != nil {
			return err
		}
		if was, ok := used[p.Name]; ok {
			if err := p.After(was.Version, was.Hash); err != nil {
				return fmt.Errorf("rules: %s: %w", f.Rules, err)
			}
		}
		b.Trusted = true
	}
	more, err := pack.Load(catalog.All, p.FS(), p.Name)
	if err != nil {
		return err
	}
	shipped, err := pack.Rules(catalog.All)
	if err != nil {
		return err
	}
	b.All = slices.DeleteFunc(shipped, func(r *lang.Rule) bool {
		mine := slices.ContainsFunc(more, func(m *lang.Rule) bool { return m.ID == r.ID })
		if mine {
			b.Updated = append(b.Updated, r.ID)
		}
		return mine
	})
	b.All = append(b.All, more...)
	b.Pack, b.hash = &p.Manifest, p.Hash
	return nil
}

// packsFile remembers, in the state folder, the newest pack of each name that was in use.
const packsFile = "rule-packs.json"

// A usedPack is the newest pack of a name that was in use.
type usedPack struct {
	Version uint64     `json:"version"`
	Hash    batch.Hash `json:"sha256"`
}

func readPacks(state string) (map[string]usedPack, error) {
	used := map[string]usedPack{}
	if state == "" {
		return used, nil
	}
	path := filepath.Join(state, packsFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return used, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &used)
	}
	if err != nil {
		return nil, fmt.Errorf("which rule packs were in use is not known: %s: %w; if you remove the file, the next pack is taken whatever its version", path, err)
	}
	return used, nil
}

// remember notes that b's pack is in use, so that no older one is taken again.
func (b *Rulebook) remember(state string) error {
	if b.Pack == nil || !b.Trusted || state == "" {
		return nil
	}
	used, err := readPacks(state)
	if err != nil {
		return err
	}
	now := usedPack{b.Pack.Version, b.hash}
	if used[b.Pack.Name] == now {
		return nil
	}
	used[b.Pack.Name] = now
	text, err := json.Marshal(used)
	if err != nil {
		return err
	}
	return replaceFile(filepath.Join(state, packsFile), append(text, '\n'), 0o600)
}

// replaceFile puts text in the place of path: whoever looks, and whatever happens, finds the old or the new whole.
func replaceFile(path string, text []byte, mode fs.FileMode) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+"-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	_, err = f.Write(text)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// InstallPack puts a pack where f.Rules says, if it is signed by f.Key's owner, not older than what was in use, and all
// its rules pass their tests beside the site's own word; otherwise everything stays as it is. A running sensor takes it
// when it reloads its rules.
func InstallPack(f RuleFiles, packed []byte, now time.Time) (*Rulebook, error) {
	switch {
	case f.Key == "":
		return nil, errors.New("no key is trusted: set rules_key, so that a pack can be told from a forged one")
	case f.Rules == "":
		return nil, errors.New("there is no place for the pack: set rules to the file where it belongs")
	}
	if info, err := os.Stat(f.Rules); err == nil && info.IsDir() {
		return nil, fmt.Errorf("rules: %s is a folder; set rules to the file where the pack belongs", f.Rules)
	}
	b, err := f.load(append([]byte{}, packed...), now)
	if err != nil {
		return nil, err
	}
	return b, replaceFile(f.Rules, packed, 0o644)
}
