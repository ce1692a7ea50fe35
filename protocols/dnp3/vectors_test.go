package dnp3

import (
	"encoding/binary"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/roje-ot/roje/protocols"
)

var update = flag.Bool("update", false, "write the golden lines of testdata/*.txt")

// A wireFrame is one frame and the end that sent it: the master's is 1, the outstation's 0.
type wireFrame struct {
	dir protocols.Dir
	b   []byte
}

// A vector is one case of testdata/*.txt: annotated frames and what they say.
type vector struct {
	title  string
	lines  []string // as in the file, up to "--"
	frames []wireFrame
	golden string
}

// seal puts the checks into a frame given as the 8 header bytes and the user data; LEN is set.
func seal(header, data []byte) []byte {
	b := append([]byte(nil), header...)
	b[2] = byte(minLength + len(data))
	b = binary.LittleEndian.AppendUint16(b, crc(b))
	for len(data) > 0 {
		n := min(len(data), blockLen)
		b = append(b, data[:n]...)
		b = binary.LittleEndian.AppendUint16(b, crc(data[:n]))
		data = data[n:]
	}
	return b
}

// vectors reads one file of vectors.
func vectors(t testing.TB, path string) (head []string, vs []*vector) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var v *vector
	var raw []byte
	golden := false
	flush := func() {
		if v != nil && len(raw) > 0 {
			v.frames[len(v.frames)-1].b = seal(raw[:8], raw[8:])
		}
		raw = nil
	}
	for _, line := range strings.Split(strings.TrimRight(string(b), "\n"), "\n") {
		switch {
		case strings.HasPrefix(line, "== "):
			v, golden = &vector{title: line[3:]}, false
			vs = append(vs, v)
			continue
		case v == nil:
			head = append(head, line)
			continue
		case golden:
			v.golden += line + "\n"
			continue
		case line == "--":
			flush()
			golden = true
			continue
		}
		v.lines = append(v.lines, line)
		switch body, _, _ := strings.Cut(line, ";"); {
		case line == "> frame" || line == "< frame":
			flush()
			v.frames = append(v.frames, wireFrame{dir: protocols.Dir(strings.Count(line, ">"))})
		default:
			body = strings.NewReplacer("LEN", "00", "CRC", "", " ", "").Replace(body)
			bytes, err := hex.DecodeString(body)
			if err != nil {
				t.Fatalf("%s: %q: %v", path, line, err)
			}
			raw = append(raw, bytes...)
		}
	}
	return head, vs
}

// vectorFiles returns the paths of testdata/*.txt.
func vectorFiles(t testing.TB) []string {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	return paths
}

// decodeAll returns the texts of the messages that the frames give, one second apart.
func decodeAll(d protocols.Decoder, frames []wireFrame) (texts []string) {
	var m protocols.Message
	for i, f := range frames {
		if d.Decode(protocols.Frame{Dir: f.dir, At: int64(i+1) * 1e9, Bytes: f.b}, &m) {
			texts = append(texts, string(m.AppendText(nil)))
		}
	}
	return texts
}

func TestVectors(t *testing.T) {
	for _, path := range vectorFiles(t) {
		head, vs := vectors(t, path)
		out := strings.Join(head, "\n") + "\n"
		for _, v := range vs {
			got := strings.Join(decodeAll(newDecoder(protocols.Hint{}), v.frames), "\n") + "\n"
			if want := strings.TrimRight(v.golden, "\n") + "\n"; got != want && !*update {
				t.Errorf("%s: %s\n got:\n%s want:\n%s", path, v.title, got, want)
			}
			out += fmt.Sprintf("\n== %s\n%s\n--\n%s", v.title, strings.TrimRight(strings.Join(v.lines, "\n"), "\n"), got)
		}
		if *update {
			out = strings.ReplaceAll(out, "\n\n\n", "\n\n")
			if err := os.WriteFile(path, []byte(out), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestNoSecrets holds that nothing which the file and authentication vectors carry in secret stands in what is written.
func TestNoSecrets(t *testing.T) {
	secrets := []string{"secret", "bob", "eve", "deadbeef", "aabbccdd", "1122334455"}
	for _, name := range []string{"file", "auth"} {
		_, vs := vectors(t, filepath.Join("testdata", name+".txt"))
		for _, v := range vs {
			for _, text := range decodeAll(newDecoder(protocols.Hint{}), v.frames) {
				for _, s := range secrets {
					if strings.Contains(text, s) {
						t.Errorf("%s: %s: %q stands in %s", name, v.title, s, text)
					}
				}
			}
		}
	}
}
