package sensor

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/roje-ot/roje/testdata/need"
)

// truthFile is what tshark counted in one capture of the corpus, in up to three passes.
type truthFile struct {
	Path    string
	Derived string `json:"derived_from"` // the capture that this one was made from
	pass
	OutOfOrder *pass `json:"ooo"`
	NoSequence *pass `json:"noseq"`
	TCP        struct {
		Retransmission int `json:"retransmission"`
		OutOfOrder     int `json:"out_of_order"`
		LostSegment    int `json:"lost_segment"`
	} `json:"tcp"`
}

// pass is one pass of tshark: numbers of messages by code.
type pass struct {
	Modbus *struct {
		Func       map[string]int `json:"func_codes"`
		Exceptions map[string]int `json:"exception_codes"`
		MEI        map[string]int `json:"mei"`
		Diagnostic map[string]int `json:"diagnostic"`
	} `json:"modbus"`
	DNP3 *struct {
		Func      map[string]int `json:"al_func"`
		Primary   map[string]int `json:"link_pri"`
		Secondary map[string]int `json:"link_sec"`
	} `json:"dnp3"`
	IEC104 *struct {
		Types      map[string]int `json:"type_ids"`
		Unnumbered map[string]int `json:"utypes"`
		S          int            `json:"s"`
	} `json:"iec104"`
}

// tally is how many messages there are of each kind: "modbus 3", "dnp3 primary 9", "iec104 unnumbered 16".
type tally map[string]int

func (t tally) add(prefix string, counts map[string]int) {
	for code, n := range counts {
		if n != 0 {
			t[prefix+code] += n
		}
	}
}

func (p *pass) tally() tally {
	t := tally{}
	if m := p.Modbus; m != nil {
		t.add("modbus ", m.Func)
		t.add("modbus exception ", m.Exceptions)
		t.add("modbus encapsulated ", m.MEI)
		t.add("modbus diagnostic ", m.Diagnostic)
	}
	if d := p.DNP3; d != nil {
		t.add("dnp3 ", d.Func)
		t.add("dnp3 primary ", d.Primary)
		t.add("dnp3 secondary ", d.Secondary)
		for code := range d.Primary {
			if kind := "dnp3 primary " + code; !slices.Contains(slices.Collect(maps.Values(codeless)), kind) {
				delete(t, kind) // a frame with user data is a segment of a message, and no message of its own
			}
		}
	}
	if a := p.IEC104; a != nil {
		t.add("iec104 ", a.Types)
		t.add("iec104 unnumbered ", a.Unnumbered)
		t.add("iec104 ", map[string]int{"supervisory": a.S})
	}
	return t
}

// passes are the tallies of all passes that were made.
func (f *truthFile) passes() []tally {
	all := []tally{f.tally()}
	for _, p := range []*pass{f.OutOfOrder, f.NoSequence} {
		if p != nil {
			all = append(all, p.tally())
		}
	}
	return all
}

// source is the capture in which f's messages were first recorded.
func (f *truthFile) source() string {
	if f.Derived != "" {
		return f.Derived
	}
	return f.Path
}

// clean says whether the capture's TCP is without loss and disorder: then all passes agree.
func (f *truthFile) clean() bool {
	return f.TCP.Retransmission+f.TCP.OutOfOrder+f.TCP.LostSegment == 0
}

// ours says whether any pass found a protocol of ours.
func (f *truthFile) ours() bool { return len(f.protocols()) > 0 }

// protocols are those of ours of which any pass found a frame.
func (f *truthFile) protocols() map[string]bool {
	found := map[string]bool{}
	for _, p := range []*pass{&f.pass, f.OutOfOrder, f.NoSequence} {
		if p == nil {
			continue
		}
		for proto, is := range map[string]bool{"modbus": p.Modbus != nil, "dnp3": p.DNP3 != nil, "iec104": p.IEC104 != nil} {
			if is {
				found[proto] = true
			}
		}
	}
	return found
}

// readTruth returns the folder of the corpus' captures and what is known of each.
func readTruth(t testing.TB) (dir string, files []truthFile) {
	t.Helper()
	dir = need.Corpus(t)
	text, err := os.ReadFile(filepath.Join(dir, "truth.json"))
	if err != nil {
		t.Fatal(err)
	}
	var truth struct{ Files []truthFile }
	if err := json.Unmarshal(text, &truth); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "captures"), truth.Files
}
