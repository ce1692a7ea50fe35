package book

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/roje-ot/roje/rules"
)

// ordinary is an alert with all that sensors write.
const ordinary = `{"id":"a1","rule":"r","title":"10.0.0.1 – пише","severity":"high","techniques":["T0836","T0806"],"first":"2026-03-01T08:00:00.25Z","last":"2026-03-01T08:00:01+01:00",` +
	`"count":3,"client":"10.0.0.1:4","server":"10.0.0.2:502","station":7,"proto":"modbus","code":16,"name":"write","points":[{"kind":"holding","addr":7,"n":2,"value":-1.5e3,` +
	`"quality":"good","time":"2026-03-01T08:00:00Z","name":"PMP 1"}],"learned":"","observed":"x\n","score":{"impact":0.5,"novelty":1,"confidence":0.25},` +
	`"frames":[1,22],"evidence":{"file":"f","sha256":"00"},"incident":"i","maintenance":"7"}`

// odd are texts that the two versions of encoding/json read otherwise, or might.
var odd = []string{
	"{}", ` { "id" : "a" , "count" : 0 } `, `{"techniques":[],"frames":[ ]}`, `{"score":{}}`, `{"id":"a\u0062"}`, `{"id":"a","id":"b"}`, `{"ID":"a"}`, `{"id":null}`,
	`{"points":[]}`, `{"points":[null]}`, `{"points":null,"severity":null,"first":null,"station":null,"score":null,"evidence":null}`,
	`{"count":01}`, `{"count":-1}`, `{"count":-0}`, `{"count":1e2}`, `{"count":1.0}`, `{"count":"1"}`, `{"code":65536}`, `{"count":18446744073709551616}`,
	`{"score":{"impact":.5}}`, `{"score":{"impact":1.}}`, `{"score":{"impact":1e999}}`, `{"score":{"impact":-0}}`, `{"severity":"worst"}`, `{"severity":1}`,
	`{"first":"2026-03-01 08:00:00Z"}`, `{"first":"2026-03-01T08:00:00,5Z"}`, `{"first":"2026-03-01T8:00:00Z"}`, `{"first":"2026-03-01T08:00:00+25:00"}`, `{"first":""}`,
	`{"id":"` + "\xff" + `"}`, `{"id":"` + "\n" + `"}`, `{"id":"\ud800"}`, `{"id":"a",}`, `{"id":"a"}}`, `{"id":"a"`, `{"id"`, ``, `null`, `[]`, `1`,
	`{"techniques":["a",]}`, `{"techniques":["a" "b"]}`, `{"techniques":[null]}`, `{"frames":[1.5]}`, `{"evidence":{"file":"f","size":1}}`, `{"from the future":{"a":[1,2]}}`, "\ufeff{}",
}

// agree holds read to encoding/json.
func agree(t *testing.T, text []byte) {
	t.Helper()
	var got, want rules.Alert
	err, wanted := read(text, &got), json.Unmarshal(text, &want)
	if (err == nil) != (wanted == nil) {
		t.Errorf("%q: %v, encoding/json says %v", text, err, wanted)
	} else if err == nil && !reflect.DeepEqual(got, want) {
		t.Errorf("%q is read as\n%+v, encoding/json reads\n%+v", text, got, want)
	}
}

// TestRead holds that an alert is what encoding/json says it is.
func TestRead(t *testing.T) {
	for _, text := range append(odd, ordinary) {
		agree(t, []byte(text))
	}
}

func FuzzRead(f *testing.F) {
	for _, text := range append(odd, ordinary) {
		f.Add([]byte(text))
	}
	f.Fuzz(agree)
}

func BenchmarkRead(b *testing.B) {
	for name, read := range map[string]func([]byte, *rules.Alert) error{"read": read, "encoding-json": func(text []byte, a *rules.Alert) error { return json.Unmarshal(text, a) }} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var a rules.Alert
				if err := read([]byte(ordinary), &a); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
