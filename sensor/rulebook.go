package sensor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
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

	Policy  string  // what a centre says, a signed pack; it need not be there. Only with a Key
	Central bool    // Rules is where packs of the collector are put; it need not be there either
	Who     *Bearer // for whom packs must be; nil: for anybody

	at time.Time // a pack that has expired by then is not taken; zero: what is in use stays
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

	Policy   *site.Manifest // of the centre; nil where there is none
	Settings *Settings      // what the policy sets; nil where it sets nothing

	hash       batch.Hash // of the pack
	policyHash batch.Hash
}

// maxRulesFile is more than any pack has.
const maxRulesFile = 16 << 20

// LoadRulebook reads all rules and runs their tests; the error holds all that is wrong with them. It writes nothing.
// Exceptions that are over at now do not apply; a zero now goes by packet time alone.
func LoadRulebook(f RuleFiles, now time.Time) (*Rulebook, error) {
	packed, err := readPack(f.Rules, f.Central)
	if err != nil {
		return nil, err
	}
	policy, err := readPack(f.Policy, true)
	if err != nil {
		return nil, err
	}
	return f.load(packed, policy, now)
}

// readPack reads the file of a pack; nil where path is empty or a folder, or where there is none and none need be.
func readPack(path string, optional bool) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	info, err := os.Stat(path)
	switch {
	case optional && errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("rules: %w", err)
	case info.IsDir():
		return nil, nil
	case info.Size() > maxRulesFile:
		return nil, fmt.Errorf("rules: %s has %d bytes; a pack has at most %d", path, info.Size(), maxRulesFile)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	return append([]byte{}, text...), nil // an empty file is a pack that is none
}

// load is LoadRulebook with the bytes of packs: of rules, nil where f.Rules is a folder or empty; of the policy, if any.
func (f RuleFiles) load(packed, policy []byte, now time.Time) (*Rulebook, error) {
	b := &Rulebook{}
	var word *site.Pack
	var err error
	if policy != nil { // first, as that is cheap to refuse
		if word, err = f.open(policy, site.Policy); err != nil {
			return nil, fmt.Errorf("policy: %w", err)
		}
	}
	switch {
	case packed != nil:
		err = b.addPack(f, packed)
	case f.Central:
		b.All, err = LoadRules("")
	case f.Key != "" && f.Rules != "":
		return nil, fmt.Errorf("rules: %s is a folder of loose files, and rules_key asks for a signed pack; make one with `roje-sensor rules pack sign`", f.Rules)
	default:
		b.All, err = LoadRules(f.Rules)
	}
	b.Rules = b.All
	if err != nil {
		return b, err
	}
	centre, err := b.addPolicy(word)
	if err != nil {
		return nil, err
	}
	var own *site.Overrides
	if f.Site != "" {
		words, err := os.ReadFile(f.Site)
		if err != nil {
			return nil, fmt.Errorf("rules_site: %w", err)
		}
		if own, err = site.Load(lang.NewVocabulary(catalog.All), f.Site, words, b.All); err != nil {
			return nil, err
		}
	}
	b.Site = centre.Over(own)
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
	p, err := f.open(packed, site.Rules)
	if err != nil {
		return fmt.Errorf("rules: %s: %w", f.Rules, err)
	}
	b.Trusted = f.Key != ""
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

// trusts returns nil if the owner of f.Key signed p.
func (f RuleFiles) trusts(p *site.Pack) error {
	key, err := keyfile.Public(f.Key)
	if err != nil {
		return fmt.Errorf("rules_key: %w", err)
	}
	return p.Verify(key)
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

// remember notes that b's packs are in use, so that no older ones are taken again.
func (b *Rulebook) remember(state string) error {
	now := map[string]usedPack{}
	if b.Pack != nil && b.Trusted {
		now[usedName(b.Pack)] = usedPack{b.Pack.Version, b.hash}
	}
	if b.Policy != nil {
		now[usedName(b.Policy)] = usedPack{b.Policy.Version, b.policyHash}
	}
	if len(now) == 0 || state == "" {
		return nil
	}
	used, err := readPacks(state)
	if err != nil {
		return err
	}
	was := maps.Clone(used)
	maps.Copy(used, now)
	if maps.Equal(was, used) {
		return nil
	}
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

// InstallPack puts a pack where f.Rules says, or f.Policy, if it is signed by f.Key's owner, for f.Who, not expired at now,
// not older than what was in use, and all rules pass their tests beside the site's own word; otherwise everything stays as
// it is. A running sensor takes it when it reloads its rules.
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
	rules, policy, place, err := append([]byte{}, packed...), []byte(nil), f.Rules, error(nil)
	if p, bad := site.Open(packed); bad == nil && p.Kind == site.Policy {
		policy, place = rules, f.Policy
		rules, err = readPack(f.Rules, f.Central)
	} else {
		policy, err = readPack(f.Policy, true)
	}
	if err != nil {
		return nil, err
	}
	f.at = now
	b, err := f.load(rules, policy, now)
	if err != nil {
		return nil, err
	}
	if place == "" {
		return nil, errors.New("there is no place for a policy: set rules_key")
	}
	if err := os.MkdirAll(filepath.Dir(place), 0o755); err != nil {
		return nil, err
	}
	return b, replaceFile(place, packed, 0o644)
}
