package baseline

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"

	"go.etcd.io/bbolt"
)

// A Version is what was approved after one decision. The versions are a chain: each holds the hash of the one before,
// so that none can be changed or taken out without it showing.
type Version struct {
	N     int       `json:"n"` // from 1
	At    time.Time `json:"at"`
	Who   string    `json:"who"`
	Why   string    `json:"why,omitempty"`
	Items int       `json:"items"`           // that are approved
	Whole bool      `json:"whole,omitempty"` // measured values are among them; absent in versions of before
	Sum   string    `json:"sha256"`          // of them in the form of Export
	Prev  string    `json:"prev,omitempty"`  // hash of the version before
	Hash  string    `json:"hash"`            // of all the rest
}

// keptTexts is of how many versions the items are kept at most, to go back to, and maxTexts how many bytes they take: full
// tables leave so much room in the file. Those of the latest are always kept, and the chain itself is kept whole.
const (
	keptTexts = 20
	maxTexts  = 24 << 20
)

var (
	versionBucket = []byte("version")      // number, big-endian -> JSON of Version
	textBucket    = []byte("version_text") // number -> its items, gzip
)

// Versions returns the chain, oldest first, and an error that names the first version that does not fit.
func (b *Baseline) Versions() ([]Version, error) {
	prev := ""
	for i, v := range b.versions {
		if v.N != i+1 || v.Prev != prev || v.Hash != v.hash() {
			return slices.Clone(b.versions), fmt.Errorf("version %d does not fit the one before it: the chain was changed", i+1)
		}
		prev = v.Hash
	}
	return slices.Clone(b.versions), nil
}

func (v Version) hash() string {
	v.Hash = ""
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings, numbers and a time
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// approved returns the approved items, sorted by key.
func (b *Baseline) approved() []*Item {
	return slices.DeleteFunc(b.Items(), func(it *Item) bool { return it.State != Approved })
}

// Seal makes a version of what is approved now, as after an import.
func (b *Baseline) Seal(who, why string, at time.Time) { b.version(who, why, at) }

// version adds to the chain what is approved now, unless that is what the last version holds.
func (b *Baseline) version(who, why string, at time.Time) {
	var text bytes.Buffer
	items := b.approved()
	for _, it := range items {
		it.Seen, it.Pause, it.Engineered = nil, 0, "" // that is no decision
	}
	if err := WriteItems(&text, items); err != nil {
		panic(err) // a buffer takes everything, and an Item is plain
	}
	sum := sha256.Sum256(text.Bytes())
	v := Version{N: len(b.versions) + 1, At: at.UTC(), Who: who, Why: why, Items: len(items), Whole: true, Sum: hex.EncodeToString(sum[:])}
	if n := len(b.versions); n > 0 {
		if v.Prev = b.versions[n-1].Hash; b.versions[n-1].Sum == v.Sum {
			return
		}
	}
	v.Hash = v.hash()
	b.versions = append(b.versions, v)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := z.Write(text.Bytes())
	if errors.Join(err, z.Close()) != nil {
		panic(err) // a buffer takes everything
	}
	if b.texts == nil {
		b.texts = map[int][]byte{}
	}
	b.texts[v.N] = packed.Bytes()
}

// itemsOf returns the items of a version.
func (b *Baseline) itemsOf(n int) ([]*Item, error) {
	if n < 1 || n > len(b.versions) {
		return nil, fmt.Errorf("there is no version %d; there are %d", n, len(b.versions))
	}
	packed := b.texts[n]
	if packed == nil && b.db != nil {
		err := b.db.View(func(tx *bbolt.Tx) error {
			if bucket := tx.Bucket(textBucket); bucket != nil {
				packed = slices.Clone(bucket.Get(number(n)))
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("read version %d: %w", n, err)
		}
	}
	if packed == nil {
		return nil, fmt.Errorf("the items of version %d are no longer kept: those of the latest %d are, as far as %d MB hold them", n, keptTexts, maxTexts>>20)
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("read version %d: %w", n, err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		return nil, fmt.Errorf("read version %d: %w", n, err)
	}
	if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != b.versions[n-1].Sum {
		return nil, fmt.Errorf("the items of version %d are not those that were approved", n)
	}
	items, err := readItems(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("read version %d: %w", n, err)
	}
	return items, nil
}

// RollBack makes what was approved in version n approved again, and nothing else; of one host alone if it is valid.
// What is no longer approved waits again. That is a new version.
func (b *Baseline) RollBack(n int, host netip.Addr, who, why string, at time.Time) error {
	items, err := b.itemsOf(n)
	if err != nil {
		return err
	}
	b.withdraw(host)
	if b.versions[n-1].Whole { // a version of before says nothing of values: what is approved of them stays
		b.courses.Withdraw(host)
	}
	what := fmt.Sprintf("back to version %d", n)
	back := map[string]bool{}
	for _, it := range items {
		if host.IsValid() {
			if !it.names(host) {
				continue
			}
		}
		if err := b.load(it); err != nil {
			return fmt.Errorf("version %d: %w", n, err)
		}
		back[it.Key()] = true
	}
	if host.IsValid() {
		what += " for " + host.String()
	}
	if why != "" {
		what += ": " + why
	}
	for key, sp := range b.spans { // what is approved again waits no more
		if left := sp.pending.without(sp.approved); len(left) == 0 && len(sp.pending) > 0 {
			sp.each(key, func(it *Item, m *mark) {
				if m == &sp.fresh {
					b.gone = append(b.gone, it.Key())
				}
			})
			b.runs -= len(sp.runs)
			sp.pending, sp.fresh, sp.runs = nil, mark{}, nil
		} else {
			sp.pending = left
		}
	}
	b.each(func(it *Item, m *mark) { m.dirty = m.dirty || back[it.Key()] })
	b.recount()
	b.version(who, what, at)
	return nil
}

// Relearn takes the approval from all that is known of a host and learns it anew, in any phase, until it is approved
// again. The versions before keep what was.
func (b *Baseline) Relearn(host netip.Addr, who, why string, at time.Time) error {
	h := b.hosts[host]
	if h == nil || h.state == "" {
		return fmt.Errorf("nothing was learned of %s", host)
	}
	b.withdraw(host)
	b.courses.Forget(host)
	h.again, h.dirty = true, true
	b.recount()
	if why == "" {
		why = "learn " + host.String() + " anew"
	}
	b.version(who, why, at)
	return nil
}

// withdraw makes approved items wait again, with what was seen of them forgotten; those of one host if it is valid.
func (b *Baseline) withdraw(host netip.Addr) {
	b.each(func(it *Item, m *mark) {
		if it.Kind == "points" || m.state != Approved || host.IsValid() && !it.names(host) {
			return
		}
		*m = mark{state: Pending, count: m.count, first: m.first, last: m.last, dirty: true, support: support{hour: m.hour}}
	})
	b.settle()
	for key, s := range b.spans {
		if len(s.approved) == 0 || host.IsValid() && s.server.addr != host {
			continue
		}
		s.each(key, func(it *Item, m *mark) {
			if m == &s.mark {
				b.gone = append(b.gone, it.Key())
			}
		})
		for _, r := range s.approved {
			s.pending.add(r.lo, r.hi)
		}
		fresh := s.fresh
		if fresh.state == "" {
			fresh = mark{state: Pending, count: s.count, first: s.first, last: s.last}
		}
		fresh.dirty = true
		s.approved, s.mark, s.fresh = nil, mark{}, fresh
	}
}

func number(n int) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

// readVersions loads the chain.
func (b *Baseline) readVersions(tx *bbolt.Tx) error {
	bucket := tx.Bucket(versionBucket)
	if bucket == nil {
		return nil
	}
	return bucket.ForEach(func(_, value []byte) error {
		var v Version
		if err := json.Unmarshal(value, &v); err != nil {
			return &brokenError{fmt.Errorf("a version: %w", err)}
		}
		b.versions = append(b.versions, v)
		return nil
	})
}

// storeVersions writes new versions and lets go of the items of old ones.
func storeVersions(tx *bbolt.Tx, versions []Version, texts map[int][]byte) error {
	if len(texts) == 0 {
		return nil
	}
	chain, err := tx.CreateBucketIfNotExists(versionBucket)
	if err != nil {
		return err
	}
	kept, err := tx.CreateBucketIfNotExists(textBucket)
	if err != nil {
		return err
	}
	for _, v := range versions {
		text, isNew := texts[v.N]
		if !isNew {
			continue
		}
		value, err := json.Marshal(v)
		if err != nil {
			return err
		}
		if err := errors.Join(chain.Put(number(v.N), value), kept.Put(number(v.N), text)); err != nil {
			return err
		}
	}
	var old [][]byte
	size, n := 0, 0
	for c, key, text := kept.Cursor(), []byte(nil), []byte(nil); ; {
		if n == 0 {
			key, text = c.Last()
		} else {
			key, text = c.Prev()
		}
		if key == nil {
			break
		}
		size, n = size+len(text), n+1
		if n > keptTexts || n > 1 && size > maxTexts {
			old = append(old, slices.Clone(key))
		}
	}
	for _, key := range old {
		if err := kept.Delete(key); err != nil {
			return err
		}
	}
	return nil
}
