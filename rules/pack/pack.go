// Package pack holds the rules that Roje ships: one YAML file per theme, each rule with its tests inside.
package pack

import (
	"embed"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules/engine"
	"github.com/roje-ot/roje/rules/lang"
)

//go:embed *.yaml
var files embed.FS

// Rules loads the shipped rules for these protocols and runs their tests.
func Rules(protos []*protocols.Protocol) ([]*lang.Rule, error) {
	return Load(protos, files, "")
}

// Load reads every *.yaml file at the top of fsys, and refuses all of them where one has an error, an id is used twice,
// or a test fails. Errors name files under dir. For the rules of a site pass os.DirFS(dir).
func Load(protos []*protocols.Protocol, fsys fs.FS, dir string) ([]*lang.Rule, error) {
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return nil, err
	}
	v := lang.NewVocabulary(protos)
	var set []*lang.Rule
	var errs []error
	for _, entry := range entries {
		if entry.IsDir() || !strings.HasSuffix(entry.Name(), ".yaml") {
			continue
		}
		text, err := fs.ReadFile(fsys, entry.Name())
		if err != nil {
			errs = append(errs, err)
			continue
		}
		name := entry.Name()
		if dir != "" {
			name = strings.TrimSuffix(dir, "/") + "/" + name
		}
		loaded, err := v.Load(name, text)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		set = append(set, loaded...)
	}
	errs = append(errs, twice(set)...)
	if len(errs) == 0 {
		errs = engine.Test(set)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return set, nil
}

// twice returns an error for each id that two files use.
func twice(set []*lang.Rule) []error {
	var errs []error
	for i, r := range set {
		if j := slices.IndexFunc(set[:i], func(q *lang.Rule) bool { return q.ID == r.ID }); j >= 0 {
			errs = append(errs, &lang.Error{File: r.File, Line: r.Line, Col: 1, Message: "rule " + r.ID + " is also in " + set[j].File})
		}
	}
	return errs
}
