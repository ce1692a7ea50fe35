package sensor

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/rules/lang"
	"github.com/roje-ot/roje/rules/suricata"
)

// TestImportedRules holds rules that were taken over from Suricata's keywords to what they mean, on messages that the
// decoders read: each fires on as many messages of the lab's captures as a plain look at them finds.
func TestImportedRules(t *testing.T) {
	dir, all := labTruth(t)
	field := func(m *protocols.Message, name string) int64 {
		for i := range m.Proto.Field {
			if f := &m.Proto.Field[i]; f.Name == name && f.Int != nil {
				if v, ok := f.Int(m); ok {
					return v
				}
			}
		}
		return -1
	}
	asks := func(codes ...uint16) func(*protocols.Message) bool {
		return func(m *protocols.Message) bool {
			for _, c := range codes {
				if m.Proto.Name == "modbus" && m.From == protocols.Client && m.HasCode && m.Code == c {
					return true
				}
			}
			return false
		}
	}
	reaches := func(of func(*protocols.Message) bool, lo, hi int64) func(*protocols.Message) bool {
		return func(m *protocols.Message) bool {
			first := field(m, "addr")
			return of(m) && first >= 0 && first <= hi && first+max(field(m, "count"), 1)-1 >= lo
		}
	}
	dnp3 := func(code uint16) func(*protocols.Message) bool {
		return func(m *protocols.Message) bool { return m.Proto.Name == "dnp3" && m.HasCode && m.Code == code }
	}
	for _, c := range []struct {
		options string
		means   func(*protocols.Message) bool
	}{
		{"modbus: function 8", asks(8)},
		{"modbus: function 3", asks(3)},
		{"modbus: access write", asks(5, 6, 15, 16, 21, 22, 23)},
		{"modbus: access write holding", asks(6, 16, 22, 23)},
		{"modbus: access read holding, address 3", reaches(asks(3), 2, 2)},
		{"modbus: access write holding, address >5", reaches(asks(6, 16, 22), 5, 65535)},
		{"modbus: access write coils, address 2<>6", reaches(asks(5, 15), 2, 4)},
		{"modbus: access write coils, address 4, value 1", func(m *protocols.Message) bool {
			for i := range m.Points {
				if p := &m.Points[i]; asks(5, 15)(m) && p.Addr == 3 && p.Has&protocols.HasValue != 0 && p.Value == 1 {
					return true
				}
			}
			return false
		}},
		{"modbus: unit 2", func(m *protocols.Message) bool {
			return m.Proto.Name == "modbus" && m.From == protocols.Client && m.HasStation && m.Station == 2
		}},
		{"modbus: function assigned", func(m *protocols.Message) bool {
			sub, mei := field(m, "sub"), field(m, "mei")
			return asks(1, 2, 3, 4, 5, 6, 7, 11, 12, 15, 16, 17, 20, 21, 22, 23, 24)(m) ||
				asks(8)(m) && sub >= 0 && (sub < 5 || sub > 9 && sub < 19 || sub == 20) || asks(43)(m) && (mei == 13 || mei == 14)
		}},
		{"dnp3_func: read", dnp3(1)},
		{"dnp3_func: direct_operate", dnp3(5)},
		{"dnp3_func: unsolicited_response", dnp3(130)},
		{"dnp3_ind: device_restart", func(m *protocols.Message) bool {
			return m.Proto.Name == "dnp3" && m.From == protocols.Server && field(m, "iin1") >= 0 && field(m, "iin1")&0x80 != 0
		}},
		{"dnp3_obj: 12,1", func(m *protocols.Message) bool {
			return m.Proto.Name == "dnp3" && field(m, "group") == 12 && field(m, "var") == 1
		}},
	} {
		head := "tcp any any -> any any"
		made, err := suricata.Import([]byte(fmt.Sprintf(`alert %s (msg:"m"; %s; sid:1;)`, head, c.options)), suricata.Options{Protocols: catalog.All})
		if err != nil || len(made.Taken) != 1 {
			t.Fatalf("%s: %v %v", c.options, err, made.Left)
		}
		set, err := lang.NewVocabulary(catalog.All).Load("m.yaml", made.YAML)
		if err != nil {
			t.Fatal(err)
		}
		fired, meant, other := uint64(0), uint64(0), uint64(0)
		for _, capture := range all {
			if !relevant(capture.File) {
				continue
			}
			_, alerts, _ := keep(t, Replaying{Captures: []string{filepath.Join(dir, capture.File)}, Phase: rules.Off, Warn: io.Discard}, set, func(e *rules.Event) {
				switch {
				case e.What != rules.Message:
				case e.Flow.Transport == rules.TCP && c.means(e.Msg):
					meant++
				default:
					other++
				}
			})
			for _, text := range alerts {
				fired += countOf(t, text)
			}
		}
		if fired != meant || meant == 0 || other == 0 {
			t.Errorf("%s: fires on %d messages; %d are meant, %d others are there", c.options, fired, meant, other)
		}
	}
}

// relevant tells the captures in which there is something of everything.
func relevant(file string) bool {
	for _, word := range []string{"modbus-write-all", "modbus-diagnostics", "modbus-function-scan", "modbus-broadcast", "modbus-rogue", "dnp3-cold-restart", "dnp3-rogue", "dnp3-broadcast"} {
		if strings.Contains(file, word) {
			return true
		}
	}
	return false
}

// countOf returns how many events an alert stands for.
func countOf(t *testing.T, text string) uint64 {
	t.Helper()
	var a rules.Alert
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		t.Fatal(err)
	}
	return a.Count
}
