package script

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Generate makes every capture below dir, then the point lists, acts.json and README.md; with only, it makes just the captures whose name
// contains that. One line per capture goes to progress.
func Generate(dir string, seed uint64, only string, progress io.Writer) error {
	var all []Truth
	for _, t := range Takes() {
		if !strings.Contains(t.File, only) {
			continue
		}
		truth, err := t.Make(dir, seed+t.salt())
		if err != nil {
			return err
		}
		fmt.Fprintf(progress, "%-44s %7d packets\n", truth.File, truth.Packets)
		all = append(all, truth)
	}
	if only != "" {
		return nil
	}
	if err := writeLists(dir); err != nil {
		return err
	}
	if err := writeTruth(filepath.Join(dir, "acts.json"), seed, all); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "README.md"), []byte(readme(seed, all)), 0o644)
}

// File is the shape of acts.json.
type File struct {
	Command  string  `json:"command"`
	Captures []Truth `json:"captures"`
}

func command(seed uint64) string {
	return fmt.Sprintf("go run ./cmd/roje-lab capture --out testdata --seed %d", seed)
}

func writeTruth(path string, seed uint64, all []Truth) error {
	b, err := json.MarshalIndent(File{command(seed), all}, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

func readme(seed uint64, all []Truth) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Captures made by roje-lab

Every capture here was made by `+"`%s`"+` (also `+"`make generate`"+`), in virtual time, by the masters and
outstations of `+"`cmd/roje-lab`"+`. The same seed gives the same bytes. No real network was recorded: addresses are private
(RFC 1918) or for documentation (RFC 5737), MACs from the documentation range (RFC 7042).

`+"`acts.json`"+` holds what is true of each capture because the lab made it: the acts of attack with start, end, actor, victims, the
detections of the catalogue that should see them and their ATT&CK for ICS v19 techniques, and how many messages of
each kind were sent, counted where they were encoded. What an act malforms on purpose is sent as bytes and not counted.

`+"`points/`"+` holds the point lists of the same stations, as their engineers would hand them over: docs/points.md.

| capture | what it shows | packets | sha256 |
|---|---|---|---|
`, command(seed))
	for _, t := range all {
		fmt.Fprintf(&b, "| %s | %s | %d | `%s` |\n", t.File, t.About, t.Packets, t.SHA256)
	}
	return b.String()
}

// salt makes each capture's randomness its own, whatever others there are.
func (t Take) salt() uint64 {
	h := fnv.New32a()
	h.Write([]byte(t.File))
	return uint64(h.Sum32())
}
