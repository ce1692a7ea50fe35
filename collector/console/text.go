package console

import (
	"embed"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

//go:embed text/*.json
var textFiles embed.FS

// words are the texts of one language.
type words struct {
	code  string
	texts map[string]string
}

// Code is the language's code.
func (w words) Code() string { return w.code }

// Name is the language's name in itself.
func (w words) Name() string { return w.texts["language"] }

// catalogue holds every language, English first.
var catalogue = readCatalogue()

func readCatalogue() []words {
	entries, err := textFiles.ReadDir("text")
	if err != nil {
		panic(err) // the folder is embedded
	}
	var out []words
	for _, e := range entries {
		raw, err := textFiles.ReadFile("text/" + e.Name())
		if err != nil {
			panic(err) // so is the file
		}
		w := words{code: strings.TrimSuffix(e.Name(), path.Ext(e.Name()))}
		if err := json.Unmarshal(raw, &w.texts); err != nil {
			panic(fmt.Sprintf("text/%s: %v", e.Name(), err)) // a test reads all of them
		}
		out = append(out, w)
	}
	slices.SortFunc(out, func(a, b words) int {
		if (a.code == "en") != (b.code == "en") {
			if a.code == "en" {
				return -1
			}
			return 1
		}
		return strings.Compare(a.code, b.code)
	})
	return out
}

// text falls back to English, and to the key itself.
func (w words) text(key string, args ...any) string {
	text, ok := w.texts[key]
	if !ok {
		text, ok = catalogue[0].texts[key]
	}
	if !ok {
		return key
	}
	if len(args) == 0 {
		return text
	}
	return fmt.Sprintf(text, args...)
}

// choose picks the language: the one a user set, or the one a browser likes best (RFC 9110 §12.5.4), or English.
func choose(set, accept string) words {
	if i := find(set); i >= 0 {
		return catalogue[i]
	}
	best, weight := 0, 0.0
	for _, part := range strings.Split(accept, ",") {
		tag, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		q := 1.0
		if text, ok := strings.CutPrefix(strings.TrimSpace(params), "q="); ok {
			v, err := strconv.ParseFloat(text, 64)
			if err != nil {
				continue
			}
			q = v
		}
		base, _, _ := strings.Cut(strings.ToLower(tag), "-")
		if i := find(near(base)); i >= 0 && q > weight {
			best, weight = i, q
		}
	}
	return catalogue[best]
}

func find(code string) int {
	return slices.IndexFunc(catalogue, func(w words) bool { return w.code == code })
}

// near maps a language to the one here that its readers read.
func near(base string) string {
	switch base {
	case "bs", "hr", "sh", "cnr":
		return "sr"
	}
	return base
}
