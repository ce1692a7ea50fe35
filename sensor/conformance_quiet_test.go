package sensor

import (
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/sensor/flow"
	"github.com/roje-ot/roje/testdata/need"
)

// faultList writes down the messages that have a fault.
type faultList struct {
	flow.Ignore
	faults   []string
	messages int
}

func (l *faultList) Message(_ *flow.Conn, m *protocols.Message, _ *flow.PacketInfo) {
	l.messages++
	if m.Faults != 0 {
		l.faults = append(l.faults, m.Name+" "+m.Faults.String())
	}
}

// TestNormalTrafficIsQuiet: normal 104 traffic raises no fault, save what its stations really do wrong, whatever the
// network does to the packets.
func TestNormalTrafficIsQuiet(t *testing.T) {
	dir := filepath.Join(need.Corpus(t), "captures")
	for path, want := range map[string]string{
		"fkie-cad__ipal_datasets/EnergyDataset/raw/orig.pcap": "",
		"derived/brno_iec104/normal-14-12.pcap":               "F_FR_NA_1 bad_address; F_SC_NA_1 bad_address", // once: the broadcast address is the station's own
		"derived/brno_iec104/normal-17-12.pcap":               "M_DP_TB_1 bad_address",
		"derived/transport/iec104_types.coalesce.pcap":        "S window_exceeded", // more than k of them in one segment
		"derived/transport/iec104_types.loss.pcap":            "",
		"derived/transport/iec104_types.swap.pcap":            "",
		"derived/transport/iec104_types.midstream.pcap":       "",
		"derived/transport/iec104_types.oneway.pcap":          "",
	} {
		got := &faultList{}
		if err := readCapture(t.Context(), filepath.Join(dir, path), flow.New(flow.Config{Protocols: catalog.All}, got)); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		sort.Strings(got.faults)
		if s := strings.Join(got.faults, "; "); s != want || got.messages == 0 {
			t.Errorf("%s: %q in %d messages, want %q", path, s, got.messages, want)
		}
	}
}
