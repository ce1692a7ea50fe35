package book

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/roje-ot/roje/rules"
)

// ordinary is an alert with all that quick reads.
const ordinary = `{"id":"a1","rule":"r","title":"10.0.0.1 – пише","severity":"high","techniques":["T0836","T0806"],"first":"2026-03-01T08:00:00.25Z","last":"2026-03-01T08:00:01+01:00",` +
	`"count":3,"client":"10.0.0.1:4","server":"10.0.0.2:502","station":7,"proto":"modbus","code":16,"name":"write","learned":"","observed":"x","score":{"impact":0.5,"novelty":1,"confidence":0.25},` +
	`"frames":[1,22],"evidence":{"file":"f","sha256":"00"},"incident":"i"}`

// TestQuick holds what is read quickly, and that what is not as sensors write it is left to encoding/json.
func TestQuick(t *testing.T) {
	for text, want := range map[string]bool{
		ordinary:                             true,
		"{}":                                 true,
		` { "id" : "a" , "count" : 0 } `:     true,
		`{"techniques":[],"frames":[ ]}`:     true,
		`{"score":{}}`:                       true,
		`{"id":"a\u0062"}`:                   false,
		`{"id":"a","id":"b"}`:                false,
		`{"ID":"a"}`:                         false,
		`{"id":null}`:                        false,
		`{"points":[]}`:                      false,
		`{"count":01}`:                       false,
		`{"count":-1}`:                       false,
		`{"count":1e2}`:                      false,
		`{"count":1.0}`:                      false,
		`{"code":65536}`:                     false,
		`{"score":{"impact":.5}}`:            false,
		`{"score":{"impact":1.}}`:            false,
		`{"score":{"impact":00.5}}`:          false,
		`{"severity":"worst"}`:               false,
		`{"first":"2026-03-01 08:00:00Z"}`:   false,
		`{"id":"` + "\xff" + `"}`:            false,
		`{"id":"` + "\n" + `"}`:              false,
		`{"id":"a",}`:                        false,
		`{"id":"a"}}`:                        false,
		`{"id":"a"`:                          false,
		`{"id"`:                              false,
		`{"id":`:                             false,
		`{"techniques":["a",]}`:              false,
		`{"techniques":["a" "b"]}`:           false,
		``:                                   false,
		`null`:                               false,
		`{"evidence":{"file":"f","size":1}}`: false,
	} {
		var a rules.Alert
		if got := quick([]byte(text), &a); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
		agree(t, []byte(text))
	}
}

// agree holds quick to encoding/json.
func agree(t *testing.T, text []byte) {
	t.Helper()
	var got, want rules.Alert
	if !quick(text, &got) {
		return
	}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Errorf("%q is read, and encoding/json says %v", text, err)
	} else if !reflect.DeepEqual(got, want) {
		t.Errorf("%q is read as\n%+v, encoding/json reads\n%+v", text, got, want)
	}
}

func FuzzQuick(f *testing.F) {
	f.Add([]byte(ordinary))
	f.Add([]byte(` {"count" : 12, "score":{"impact":0.5} , "techniques":[ ] }`))
	f.Add([]byte(`{"id":"a\"b"}`))
	f.Fuzz(func(t *testing.T, text []byte) { agree(t, text) })
}

func BenchmarkQuick(b *testing.B) {
	text := []byte(ordinary)
	b.Run("quick", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var a rules.Alert
			if !quick(text, &a) {
				b.Fatal("it is left to encoding/json")
			}
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var a rules.Alert
			if err := json.Unmarshal(text, &a); err != nil {
				b.Fatal(err)
			}
		}
	})
}
