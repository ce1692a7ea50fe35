package batch

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/roje-ot/roje/rules"
)

var (
	seed  = bytes.Repeat([]byte{7}, ed25519.SeedSize)
	key   = ed25519.NewKeyFromSeed(seed)
	pub   = key.Public().(ed25519.PublicKey)
	start = time.Date(2026, 3, 1, 8, 0, 0, 123456789, time.UTC)
)

func header() Header {
	return Header{Sensor: "s1", Operator: "north", Epoch: "000102030405060708090a0b0c0d0e0f", Lane: Urgent, Base: 1,
		First: start, Last: start.Add(time.Minute), Sealed: start.Add(time.Hour), Mono: 90 * time.Second, Prev: Hash{1, 2, 3}}
}

func some(from uint64, n int) []Record {
	records := make([]Record, n)
	for i := range records {
		records[i] = Record{Seq: from + uint64(i), Kind: KindAlert, Body: json.RawMessage(fmt.Sprintf(`{"id":"a%d","title":"Zë & <ž>"}`, i))}
	}
	return records
}

func seal(t testing.TB, h Header, records []Record) []byte {
	t.Helper()
	b, err := Seal(h, records, key)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRoundTrip(t *testing.T) {
	for _, n := range []int{1, 2, 1000} {
		b := seal(t, header(), some(41, n))
		stream := append(append([]byte{}, b...), b...)
		e, rest, err := Decode(stream)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(rest, b) || !bytes.Equal(e.Bytes, b) || e.Hash != sha256.Sum256(b) {
			t.Errorf("%d records: the envelope was not cut where it ends", n)
		}
		want := header()
		want.Key, want.From, want.To, want.Codec, want.Raw, want.Sum = KeyID(pub), 41, 40+uint64(n), "zstd", e.Header.Raw, e.Sum
		if e.Header != want {
			t.Errorf("header:\n got %+v\nwant %+v", e.Header, want)
		}
		if err := e.Verify(pub); err != nil {
			t.Error(err)
		}
		got, err := e.Records()
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range some(41, n) {
			var a, b any
			if json.Unmarshal(got[i].Body, &a) != nil || json.Unmarshal(r.Body, &b) != nil || got[i].Seq != r.Seq || got[i].Kind != r.Kind || !reflect.DeepEqual(a, b) {
				t.Fatalf("record %d:\n got %s\nwant %s", i, got[i].Body, r.Body)
			}
		}
	}
}

func TestEveryByteIsSigned(t *testing.T) {
	b := seal(t, header(), some(1, 3))
	other := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, 32)).Public().(ed25519.PublicKey)
	e, _, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Verify(other); !errors.Is(err, ErrSignature) {
		t.Errorf("with another key: got %v, want %v", err, ErrSignature)
	}
	if err := e.Verify(nil); !errors.Is(err, ErrSignature) {
		t.Errorf("with no key: got %v, want %v", err, ErrSignature)
	}
	for i := range b {
		for _, flip := range []byte{1, 0x80} {
			bad := bytes.Clone(b)
			bad[i] ^= flip
			if e, _, err := Decode(bad); err == nil && e.Verify(pub) == nil {
				t.Fatalf("byte %d of %d can be changed", i, len(b))
			}
		}
	}
	for i := range b {
		if _, _, err := Decode(b[:i]); err == nil {
			t.Fatalf("the first %d of %d bytes are an envelope", i, len(b))
		}
	}
}

// forge signs any header over any payload, as a sensor that misbehaves could.
func forge(t testing.TB, raw []byte, change func(map[string]any)) []byte {
	t.Helper()
	payload := encoder().EncodeAll(raw, nil)
	h := header()
	h.Key, h.From, h.To, h.Codec, h.Raw, h.Sum = KeyID(pub), 1, 1, "zstd", len(raw), sha256.Sum256(payload)
	text, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(m)
	}
	if text, err = json.Marshal(m); err != nil {
		t.Fatal(err)
	}
	return form.Sign(text, payload, key)
}

const oneLine = `{"seq":1,"kind":"alert","body":{}}` + "\n"

func TestSkew(t *testing.T) {
	b := forge(t, []byte(`{"seq":1,"kind":"of the future","body":[1],"more":true}`+"\n"), func(m map[string]any) {
		m["colour"], m["lane"] = map[string]any{"r": 1}, 9
	})
	e, _, err := Decode(b)
	if err != nil {
		t.Fatalf("a header with more members: %v", err)
	}
	if r, err := e.Records(); err != nil || len(r) != 1 || r[0].Kind != "of the future" || e.Lane != 9 {
		t.Errorf("records %+v, %v", r, err)
	}
	newer := bytes.Clone(b)
	newer[4] = 2
	if _, _, err := Decode(newer); !errors.Is(err, ErrVersion) || !strings.Contains(err.Error(), "2; this program reads version 1") {
		t.Errorf("version 2: got %v, want %v that names both versions", err, ErrVersion)
	}
}

// TestFormat pins version 1: testdata holds an envelope as it was first written, which every version reads.
func TestFormat(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("testdata", "version1.rojb"))
	if err != nil {
		t.Fatal(err)
	}
	e, rest, err := Decode(b)
	if err != nil || len(rest) != 0 {
		t.Fatalf("%d bytes left, %v", len(rest), err)
	}
	if err := e.Verify(pub); err != nil {
		t.Error(err)
	}
	want := header()
	want.Key, want.From, want.To, want.Codec, want.Raw, want.Sum = KeyID(pub), 5, 7, "zstd", e.Header.Raw, e.Sum
	if e.Header != want {
		t.Errorf("header:\n got %+v\nwant %+v", e.Header, want)
	}
	got, err := e.Records()
	if err != nil || len(got) != 3 || got[2].Seq != 7 || got[2].Kind != KindAlert || !strings.Contains(string(got[2].Body), `"id":"a2"`) {
		t.Errorf("records %+v, %v", got, err)
	}
}

func TestRefused(t *testing.T) {
	bomb := encoder().EncodeAll(make([]byte, 4*MaxRaw), nil)
	var streamed bytes.Buffer // says nothing of its size
	w, err := zstd.NewWriter(&streamed)
	if err != nil {
		t.Fatal(err)
	}
	for range 64 {
		w.Write(make([]byte, MaxRaw/16))
	}
	w.Close()
	set := func(name string, v any) func(map[string]any) { return func(m map[string]any) { m[name] = v } }
	with := func(payload []byte, raw int) []byte {
		h := header()
		h.Key, h.From, h.To, h.Codec, h.Raw, h.Sum = KeyID(pub), 1, 1, "zstd", raw, sha256.Sum256(payload)
		text, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		return form.Sign(text, payload, key)
	}
	long := binary.BigEndian.AppendUint32([]byte("ROJB\x01"), MaxHeader+1)
	for _, c := range []struct {
		name string
		b    []byte
		says string
	}{
		{"nothing", nil, "cut short"},
		{"something else", []byte("GET / HTTP/1.1\r\n"), "does not begin with ROJB"},
		{"a long header", append(long, make([]byte, MaxHeader+100)...), "are more than 16384"},
		{"a header that is no JSON", form.Sign([]byte("{"), nil, key), "header"},
		{"an empty header", form.Sign([]byte("{}"), nil, key), `"" cannot be the name of a sensor`},
		{"a sensor that is a path", forge(t, []byte(oneLine), set("sensor", "../x")), "cannot be the name of a sensor"},
		{"no operator", forge(t, []byte(oneLine), set("operator", "")), "cannot be the name of an operator"},
		{"a short epoch", forge(t, []byte(oneLine), set("epoch", "00")), "32 hex digits"},
		{"lane 16", forge(t, []byte(oneLine), set("lane", 16)), "lane 16"},
		{"base 0", forge(t, []byte(oneLine), set("base", 0)), "cannot be"},
		{"to before from", forge(t, []byte(oneLine), set("to", 0)), "cannot be"},
		{"a number beyond int64", forge(t, []byte(oneLine), func(m map[string]any) { m["from"], m["to"] = uint64(1)<<63, uint64(1)<<63 }), "cannot be"},
		{"too many records", forge(t, []byte(oneLine), set("to", 1+MaxRecords)), "more than 65536"},
		{"another codec", forge(t, []byte(oneLine), set("codec", "br")), `codec "br" is unknown`},
		{"another checksum", forge(t, []byte(oneLine), set("sha256", strings.Repeat("0", 64))), "checksum"},
		{"a checksum that is no hash", forge(t, []byte(oneLine), set("sha256", "zz")), "hex digits"},
		{"a size beyond the limit", forge(t, []byte(oneLine), set("raw", MaxRaw+1)), "is more than"},
		{"a smaller size", forge(t, []byte(oneLine), set("raw", 3)), "unpacks to"},
		{"a bomb", with(bomb, 100), "payload"},
		{"a bomb that hides its size", with(streamed.Bytes(), 100), "payload"},
		{"no zstd", with([]byte("noise"), 5), "payload"},
		{"fewer records", forge(t, []byte(oneLine), set("to", 2)), "1 records, the header says 1 to 2"},
		{"more records", forge(t, []byte(oneLine+strings.Replace(oneLine, "1", "2", 1)), nil), "where 2 was due"},
		{"a hole", forge(t, []byte(strings.Replace(oneLine, "1", "3", 1)), nil), "record 3 where 1 was due"},
		{"a line that is no JSON", forge(t, []byte("{\n"), nil), "record after"},
		{"no kind", forge(t, []byte(`{"seq":1,"body":{}}`), nil), "no kind or no body"},
	} {
		e, _, err := Decode(c.b)
		if err == nil {
			_, err = e.Records()
		}
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want it to say %q", c.name, err, c.says)
		}
	}
}

func TestSealRefuses(t *testing.T) {
	hole := append(some(1, 2), some(4, 1)...)
	nameless := header()
	nameless.Sensor = "S 1"
	big := some(1, 3)
	big[1].Body = json.RawMessage(`"` + strings.Repeat("x", MaxRaw) + `"`)
	broken := some(1, 1)
	broken[0].Body = json.RawMessage(`{`)
	for _, c := range []struct {
		name, says string
		h          Header
		records    []Record
	}{
		{"nothing", "no records", header(), nil},
		{"a hole", "record 4 where 3 was due", header(), hole},
		{"a bad name", "cannot be the name", nameless, some(1, 1)},
		{"too much", "is more than", header(), big},
		{"a body that is no JSON", "record 1", header(), broken},
	} {
		if _, err := Seal(c.h, c.records, key); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want it to say %q", c.name, err, c.says)
		}
	}
}

func TestLaneOf(t *testing.T) {
	for s, want := range map[rules.Severity]Lane{rules.Critical: Urgent, rules.High: Urgent, rules.Medium: Routine, rules.Low: Routine, rules.Notice: Routine} {
		if got := LaneOf(s); got != want {
			t.Errorf("%s: got lane %s, want %s", s, got, want)
		}
	}
}

// FuzzDecode holds that any bytes are an envelope or an error, that what follows an envelope does not matter, and that
// what was read can be sealed again to the same records.
func FuzzDecode(f *testing.F) {
	whole := seal(f, header(), some(1, 4))
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add(forge(f, []byte(oneLine), nil))
	f.Add([]byte("ROJB\x01\x00\x00\x00\x02{}\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, rest, err := Decode(b)
		if err != nil {
			return
		}
		if len(e.Bytes)+len(rest) != len(b) {
			t.Fatalf("%d and %d bytes of %d", len(e.Bytes), len(rest), len(b))
		}
		again, rest, err := Decode(append(bytes.Clone(e.Bytes), "more"...))
		if err != nil || string(rest) != "more" || again.Header != e.Header || again.Hash != e.Hash {
			t.Fatalf("read again: %+v, %v", again, err)
		}
		records, err := e.Records()
		if err != nil {
			return
		}
		sealed, err := Seal(e.Header, records, key)
		if err != nil {
			return // more than a writer may pack
		}
		again, _, err = Decode(sealed)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := again.Records(); err != nil || len(got) != len(records) {
			t.Fatalf("sealed again: %d records of %d, %v", len(got), len(records), err)
		}
	})
}
