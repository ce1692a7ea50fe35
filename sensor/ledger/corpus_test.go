package ledger_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/sensor/ledger"
	"github.com/roje-ot/roje/sensor/ledger/ledgertest"
	"github.com/roje-ot/roje/testdata/need"
)

// counts is how many commands there are of each kind: "dnp3 4", "iec104 45", "modbus 5".
type counts map[string]int

// commandsOf picks the commands out of one pass of the truth.
func commandsOf(pass map[string]json.RawMessage) counts {
	out := counts{}
	pick := func(proto, table, suffix string, codes ...int) {
		var p map[string]json.RawMessage
		var n map[string]int
		if json.Unmarshal(pass[proto], &p) != nil || json.Unmarshal(p[table], &n) != nil {
			return
		}
		for _, code := range codes {
			if c := n[strconv.Itoa(code)+suffix]; c > 0 {
				out[proto+" "+strconv.Itoa(code)] = c
			}
		}
	}
	pick("dnp3", "al_func", "", 3, 4, 5, 6)
	pick("iec104", "type_cause", "/6", 45, 46, 47, 48, 49, 50, 51, 58, 59, 60, 61, 62, 63, 64)
	pick("modbus", "request_fc", "", 5, 6, 15, 16, 22, 23)
	return out
}

// kindOf names the kind of e if it is one of those commands.
func kindOf(e *rules.Event) string {
	m := e.Msg
	if e.What != rules.Message || !m.HasCode {
		return ""
	}
	kind := m.Proto.Name + " " + strconv.Itoa(int(m.Code))
	if slices.Contains([]string{"dnp3 3", "dnp3 4", "dnp3 5", "dnp3 6"}, kind) {
		return kind
	}
	if m.Proto.Name == "modbus" && m.From == 0 && slices.Contains([]uint16{5, 6, 15, 16, 22, 23}, m.Code) {
		return kind
	}
	if m.Proto.Name == "iec104" && (m.Code >= 45 && m.Code <= 51 || m.Code >= 58 && m.Code <= 64) {
		for i := range m.Proto.Field {
			if f := &m.Proto.Field[i]; f.Name == "cot" {
				if cot, ok := f.Int(m); ok && cot == 6 {
					return kind
				}
			}
		}
	}
	return ""
}

// TestCorpus holds that every command of the corpus is in exactly one record: the commands that the records stand for
// are as many as tshark counts, kind by kind between the least and the greatest of its passes, and as many as there are
// command messages.
func TestCorpus(t *testing.T) {
	dir := need.Corpus(t)
	text, err := os.ReadFile(filepath.Join(dir, "truth.json"))
	if err != nil {
		t.Fatal(err)
	}
	var truth struct{ Files []map[string]json.RawMessage }
	if err := json.Unmarshal(text, &truth); err != nil {
		t.Fatal(err)
	}
	total, inRecords, captures, records := counts{}, 0, 0, 0
	outcomes := map[string]int{}
	for _, f := range truth.Files {
		passes := []counts{commandsOf(f)}
		for _, name := range []string{"ooo", "noseq"} {
			var pass map[string]json.RawMessage
			if json.Unmarshal(f[name], &pass) == nil && pass != nil {
				passes = append(passes, commandsOf(pass))
			}
		}
		kinds := counts{}
		for _, p := range passes {
			maps.Copy(kinds, p)
		}
		if len(kinds) == 0 {
			continue
		}
		captures++
		var path string
		if err := json.Unmarshal(f["path"], &path); err != nil {
			t.Fatal(err)
		}
		seen := counts{}
		other := 0
		tap := ledgertest.New(ledger.Config{}, func(e *rules.Event) {
			if kind := kindOf(e); kind != "" {
				seen[kind]++
			} else if e.What == rules.Message && e.Msg.HasCode && e.Msg.From == 0 && e.Msg.Proto.Name == "modbus" && e.Msg.Op.String() == "write" {
				other++ // file records, and other writes that the list does not name
			}
		})
		got := tap.File(t, filepath.Join(dir, "captures", path))
		sum := 0
		for _, r := range got {
			sum += ledger.Commands(r)
			outcomes[r.Proto+" "+string(r.Outcome)]++
			if len(r.Frames) == 0 {
				t.Errorf("%s: a record without a frame: %+v", path, r)
			}
		}
		records += len(got)
		want := other
		for _, n := range seen {
			want += n
		}
		if sum != want {
			t.Errorf("%s: the records stand for %d commands, there are %d", path, sum, want)
		}
		inRecords += sum - other
		for kind := range kinds {
			least, greatest := passes[0][kind], passes[0][kind]
			for _, p := range passes[1:] {
				least, greatest = min(least, p[kind]), max(greatest, p[kind])
			}
			if n := seen[kind]; n < least || n > greatest {
				t.Errorf("%s: %d commands of %s, truth %d..%d", path, n, kind, least, greatest)
			}
			proto, _, _ := strings.Cut(kind, " ")
			total[proto] += greatest
		}
	}
	if captures == 0 {
		t.Fatal("no capture of the corpus has commands")
	}
	t.Logf("%d captures with commands, by tshark's greatest counts %v; %d commands in %d records", captures, total, inRecords, records)
	for _, o := range slices.Sorted(maps.Keys(outcomes)) {
		t.Logf("%-24s %6d", o, outcomes[o])
	}
}
