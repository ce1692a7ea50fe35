package script

import (
	"bufio"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/roje-ot/roje/cmd/roje-lab/tally"
	"github.com/roje-ot/roje/testdata/need"
)

// Fields that tshark is asked for, in this order.
const (
	fMalformed = iota
	fLost
	fRetransmitted
	fDisordered
	fMessage
	fTCPTo
	fUDPTo
	fModbus
	fException
	fDNP3
	fPrimary
	fSecondary
	fAPCI
	fUnnumbered
	fType
	fields
)

var fieldNames = [fields]string{"_ws.malformed", "tcp.analysis.lost_segment", "tcp.analysis.retransmission", "tcp.analysis.out_of_order", "_ws.expert.message",
	"tcp.dstport", "udp.dstport", "modbus.func_code", "modbus.exception_code", "dnp3.al.func", "dnp3.ctl.prifunc", "dnp3.ctl.secfunc",
	"iec60870_104.type", "iec60870_104.utype", "iec60870_asdu.typeid"}

// kinds says where a field is counted.
var kinds = map[int][2]string{fException: {"modbus", "exceptions"}, fDNP3: {"dnp3", "al_func"}, fPrimary: {"dnp3", "link_pri"}, fSecondary: {"dnp3", "link_sec"},
	fAPCI: {"iec104", "apci"}, fUnnumbered: {"iec104", "utypes"}, fType: {"iec104", "type_ids"}}

// blind is what tshark 4.0 does not know, by what its line has.
func blind(f []string) bool {
	return f[fPrimary] == "2" // "test link states": it looks for user data in a frame that has none
}

// missed are messages that tshark 4.0 does not see: a Modbus request whose header comes one byte at a time.
var missed = map[string][]string{"modbus/segments.pcap": {"modbus", "request_fc", "2"}}

// notable are remarks of tshark that would mean a fault in what the lab says.
var notable = []string{"checksum", "Checksum", "incorrect", "Unexpected", "Invalid"}

// TestTshark holds that tshark finds nothing malformed, lost, repeated or out of order in what the lab made, and counts
// the messages that the lab says it sent. Only acts that break the rules on purpose may differ.
func TestTshark(t *testing.T) {
	need.Long(t)
	tshark := need.Tool(t, "tshark", "tshark")
	dir, all := shipped(t)
	for _, truth := range all {
		onPurpose := slices.ContainsFunc(truth.Acts, func(p Performed) bool { return p.Malformed })
		t.Run(truth.File, func(t *testing.T) {
			args := []string{"-r", filepath.Join(dir, truth.File), "-d", "tcp.port==1502,mbtcp", "-T", "fields", "-E", "separator=/t", "-E", "aggregator=;"}
			for _, name := range fieldNames {
				args = append(args, "-e", name)
			}
			out, err := exec.Command(tshark, args...).Output()
			if err != nil {
				t.Fatal(err)
			}
			seen := &tally.Tally{}
			lines := bufio.NewScanner(strings.NewReader(string(out)))
			lines.Buffer(nil, 1<<20)
			frame := 0
			for lines.Scan() {
				frame++
				f := strings.Split(lines.Text(), "\t")
				if len(f) != fields {
					t.Fatalf("frame %d: %d fields", frame, len(f))
				}
				count(t, seen, f)
				if onPurpose || blind(f) {
					continue
				}
				for i := fMalformed; i <= fDisordered; i++ {
					if f[i] != "" {
						t.Errorf("frame %d: %s", frame, fieldNames[i])
					}
				}
				for _, word := range notable {
					if strings.Contains(f[fMessage], word) {
						t.Errorf("frame %d: tshark says %q", frame, f[fMessage])
					}
				}
			}
			if frame != truth.Packets {
				t.Errorf("tshark reads %d packets, the lab wrote %d", frame, truth.Packets)
			}
			if m := missed[truth.File]; m != nil {
				code, _ := strconv.Atoi(m[2])
				seen.Add(m[0], m[1], code)
			}
			if got, want := fmt.Sprint(seen.Counts()), fmt.Sprint(truth.Messages); got != want && !onPurpose {
				t.Errorf("tshark counts %s\nthe lab says  %s", got, want)
			}
		})
	}
}

// count adds the messages of one frame.
func count(t *testing.T, seen *tally.Tally, f []string) {
	each := func(field string, add func(code int)) {
		for _, text := range strings.Split(field, ";") {
			if text == "" {
				continue
			}
			code, err := strconv.ParseInt(text, 0, 32)
			if err != nil {
				t.Errorf("tshark says code %q", text)
			}
			add(int(code))
		}
	}
	for i, kind := range kinds {
		each(f[i], func(code int) { seen.Add(kind[0], kind[1], code) })
	}
	direction := "response_fc"
	if slices.Contains([]string{"502", "1502"}, f[fTCPTo]) || f[fUDPTo] == "502" {
		direction = "request_fc"
	}
	each(f[fModbus], func(code int) { seen.Add("modbus", direction, code) })
}
