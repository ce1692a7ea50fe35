// Package strict reads the YAML that people write: a key or a word that nobody knows is an error with its line, its
// column and a hint, and all errors of a text are reported at once.
package strict

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Decode reads the YAML document text into the struct that into points to. Keys that no yaml tag of the struct names
// are errors: "line 3, column 1: unknown key "colector"; did you mean "collector"?". An empty text leaves into as it is.
func Decode(text []byte, into any) error {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if len(doc.Content) == 0 {
		return nil
	}
	root := doc.Content[0]
	if err := errors.Join(unknownKeys(root, reflect.TypeOf(into).Elem())...); err != nil {
		return err
	}
	var mismatch *yaml.TypeError
	if err := root.Decode(into); errors.As(err, &mismatch) {
		return errors.New(strings.Join(mismatch.Errors, "\n"))
	} else if err != nil {
		return err
	}
	return nil
}

// unknownKeys walks node beside the type that it will be decoded into.
func unknownKeys(node *yaml.Node, t reflect.Type) []error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	var errs []error
	switch {
	case node.Kind == yaml.SequenceNode && t.Kind() == reflect.Slice:
		for _, item := range node.Content {
			errs = append(errs, unknownKeys(item, t.Elem())...)
		}
	case node.Kind == yaml.MappingNode && t.Kind() == reflect.Map:
		for i := 1; i < len(node.Content); i += 2 {
			errs = append(errs, unknownKeys(node.Content[i], t.Elem())...)
		}
	case node.Kind == yaml.MappingNode && t.Kind() == reflect.Struct:
		fields := keys(t)
		for i := 0; i+1 < len(node.Content); i += 2 {
			key := node.Content[i]
			if field, ok := fields[key.Value]; ok {
				errs = append(errs, unknownKeys(node.Content[i+1], field)...)
				continue
			}
			names := make([]string, 0, len(fields))
			for name := range fields {
				names = append(names, name)
			}
			errs = append(errs, fmt.Errorf("line %d, column %d: %w", key.Line, key.Column, Unknown("key", key.Value, names)))
		}
	}
	return errs
}

// keys are the yaml names of a struct's fields.
func keys(t reflect.Type) map[string]reflect.Type {
	out := map[string]reflect.Type{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name == "" {
			name = strings.ToLower(f.Name)
		}
		if f.IsExported() && name != "-" {
			out[name] = f.Type
		}
	}
	return out
}
