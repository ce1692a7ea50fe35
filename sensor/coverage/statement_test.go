package coverage

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/roje-ot/roje/rules/batch/proof"
	"github.com/roje-ot/roje/sensor/capture"
	"github.com/roje-ot/roje/testdata/need"
)

// TestCorpus holds the sums of links, sources and the table against each other over every capture of the corpus, while
// it goes by and at its end, and the statement against itself.
func TestCorpus(t *testing.T) {
	need.Long(t)
	dir := need.Corpus(t)
	var files []string
	if err := filepath.WalkDir(filepath.Join(dir, "captures"), func(path string, e os.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			files = append(files, path)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	var total Sums
	links := 0
	for _, path := range files {
		b := newBench(t, Config{})
		f, err := capture.Open(path)
		if err != nil {
			t.Logf("%s: %v", path, err)
			continue
		}
		var p capture.Packet
		for {
			if err := f.Next(&p); err != nil {
				if !errors.Is(err, io.EOF) {
					t.Logf("%s: %v", path, err)
				}
				break
			}
			b.table.Packet(&p)
			if p.Frame%1000 == 0 {
				b.src.Look()
				b.book.Tick(p.At)
				if s := b.src.Total(); !s.Exact() {
					t.Fatalf("%s: at frame %d: %+v", path, p.Frame, s)
				}
			}
		}
		f.Close()
		b.table.Flush()
		got, want := b.src.Total(), b.table.Coverage().Total
		if got.Waiting != 0 || got.Packets != int64(want.Packets) || got.Seen != int64(want.Seen) || got.Decoded != int64(want.Decoded) ||
			got.Skipped != int64(want.Skipped) || got.Gaps != int64(want.Gaps) || got.GapBytes != int64(want.GapBytes) || got.Resyncs != int64(want.Resyncs) ||
			got.Messages != int64(want.Messages) || got.Unpaired != int64(want.Unpaired) || got.Repeated != int64(want.Repeated) || got.Copies != int64(want.Copies) {
			t.Errorf("%s: the book has %+v, the table %+v", path, got, want)
		}
		day := b.book.Statement("s", "v", time.Unix(0, start).Add(time.Hour))
		if err := day.Check(); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		total.Add(&got)
		links += len(day.Links)
	}
	if len(files) < 400 {
		t.Errorf("%d captures", len(files))
	}
	t.Logf("%d captures, %d links: %d bytes seen = %d decoded + %d skipped (%d unframed, %d TLS, %d other)", len(files), links, total.Seen, total.Decoded, total.Skipped,
		total.Unframed, total.TLS, total.Other)
}

// TestDays plays three days with a restart, and holds each statement against itself and its signature against a flipped
// bit.
func TestDays(t *testing.T) {
	b := newBench(t, Config{})
	k := newTalk("10.0.0.1:40000", "10.0.0.2:502")
	poll := func(n int) {
		for _, f := range k.poll(uint16(n)) {
			b.packet(f)
		}
	}
	b.until(10, poll)
	at := time.Unix(0, start)
	b.src.Frames(map[string]uint64{"decoded": 20, "filtered": 3})
	b.book.Runs(at.Add(time.Minute))
	path := filepath.Join(t.TempDir(), "c.json")
	if err := b.book.Snapshot(path)(); err != nil {
		t.Fatal(err)
	}
	frames := b.frame
	b = newBench(t, Config{})
	b.book = New(Config{}, nil)
	b.src = b.book.Source("span", b.table)
	if err := b.book.Load(path); err != nil {
		t.Fatal(err)
	}
	b.book.Begin(at.Add(time.Hour))
	b.until(10, poll)
	b.src.Frames(map[string]uint64{"decoded": 20})
	next := Midnight(at).AddDate(0, 0, 2).Add(time.Hour)
	b.book.Runs(next)
	over := b.book.Days("s", "v", next)
	if len(over) != 2 || len(b.book.Days("s", "v", next)) != 0 {
		t.Fatalf("%d days", len(over))
	}
	for i, s := range over {
		if err := s.Check(); err != nil {
			t.Errorf("day %d: %v", i, err)
		}
	}
	first := over[0]
	if first.Total.Packets != int64(frames+b.frame) || first.Sources[0].Frames["decoded"] != 40 || first.Sources[0].Frames["filtered"] != 3 {
		t.Errorf("%+v %+v", first.Total, first.Sources)
	}
	if len(first.Watched) != 2 || len(first.Not) != 2 || first.Not[1].To.Sub(first.Not[1].From) != 59*time.Minute || first.Not[1].Why == "" {
		t.Errorf("watched %v, not %v", first.Watched, first.Not)
	}
	if second := over[1]; len(second.Watched) != 1 || len(second.Not) != 0 || len(second.Links) != 0 {
		t.Errorf("%+v", second)
	}

	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	text, err := proof.Sign(first, key)
	if err != nil {
		t.Fatal(err)
	}
	got, seal, err := proof.Verify(text)
	if err != nil || got.Sensor != "s" || !bytes.Equal(seal.Key, key.Public().(ed25519.PublicKey)) {
		t.Fatalf("%+v %v", got, err)
	}
	schema, err := jsonschema.NewCompiler().Compile(filepath.Join(need.Root(t), "docs", "schema", "statement.json"))
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err == nil {
		err = schema.Validate(v)
	}
	if err != nil {
		t.Errorf("the published schema: %v\n%s", err, text)
	}
	var wide bytes.Buffer
	wide.Write(bytes.ReplaceAll(text, []byte(`,"`), []byte(",\n \"")))
	if _, _, err := proof.Verify(wide.Bytes()); err != nil {
		t.Errorf("with other space: %v", err)
	}
	for i := range text {
		bad := bytes.Clone(text)
		bad[i] ^= 1
		if _, _, err := proof.Verify(bad); err == nil && !sameJSON(t, bad, text) {
			t.Fatalf("a flipped bit of byte %d is not seen: %s", i, bad[max(0, i-20):i+20])
		}
	}
	first.Total.Seen++
	if text, err = proof.Sign(first, key); err != nil {
		t.Fatal(err)
	}
	if _, _, err := proof.Verify(text); !errors.Is(err, proof.ErrFalse) {
		t.Errorf("sums that do not add up: %v", err)
	}
}

// sameJSON says whether two texts mean the same: a flipped bit can be in the case of a member of the seal, or in the
// unused bits of base64.
func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	var x, y Statement
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

func TestConfig(t *testing.T) {
	if err := (Config{OneSided: time.Second, Learn: time.Second}).Check(); err == nil || !strings.Contains(err.Error(), "one_sided is 1s") || !strings.Contains(err.Error(), "learn") {
		t.Error(err)
	}
	if err := (Config{}).Check(); err != nil {
		t.Error(err)
	}
}
