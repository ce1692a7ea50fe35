package flow_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/protocols/iec104"
	"github.com/roje-ot/roje/sensor/flow"
)

// groupWords writes down of each message what it says about its redundancy group.
type groupWords struct {
	flow.Ignore
	said []string
}

func (g *groupWords) Message(c *flow.Conn, m *protocols.Message, _ *flow.PacketInfo) {
	text := m.Name
	for i := range m.Proto.Field {
		switch f := &m.Proto.Field[i]; f.Name {
		case "connections":
			if v, ok := f.Int(m); ok {
				text += fmt.Sprintf(" of %d", v)
			}
		case "active", "switched", "both_started":
			if v, ok := f.Bool(m); v && ok {
				text += " " + f.Name
			}
		}
	}
	g.said = append(g.said, fmt.Sprintf("%d: %s", c.ID, text))
}

// TestRedundancyGroup: of the connections between the same two 104 stations the one that transfers data is known, and a
// switch-over is told, with or without a stop of the other one. Connections of other hosts, or to another port, are of
// another group.
func TestRedundancyGroup(t *testing.T) {
	const startAct, startCon, stopAct, stopCon, testAct = 0x07, 0x0b, 0x13, 0x23, 0x43
	master, station := "10.0.0.1", netip.MustParseAddrPort("10.0.0.9:2404")
	type step struct {
		from  string // the master's end
		u     byte   // the frame; 0 is a command
		flags flow.TCPFlags
	}
	a, b, c := master+":40001", master+":40002", "10.0.0.2:40001"
	begin := func(at string) []step { return []step{{at, startAct, 0}, {at, startCon, 0}, {at, 0, 0}} }
	for _, test := range []struct {
		name  string
		steps []step
		want  []string
	}{
		{"one connection", begin(a), []string{"1: STARTDT act", "1: STARTDT con", "1: C_SC_NA_1"}},
		{"a stand-by is tested", append(begin(a), step{b, testAct, 0}, step{a, testAct, 0}),
			[]string{"1: STARTDT act", "1: STARTDT con", "1: C_SC_NA_1", "2: TESTFR act of 2", "1: TESTFR act of 2 active"}},
		{"stopped, then switched", append(begin(a), append([]step{{a, stopAct, 0}, {a, stopCon, 0}}, begin(b)...)...),
			[]string{"1: STARTDT act", "1: STARTDT con", "1: C_SC_NA_1", "1: STOPDT act", "1: STOPDT con",
				"2: STARTDT act of 2", "2: STARTDT con of 2 active switched", "2: C_SC_NA_1"}},
		{"switched without a stop", append(begin(a), begin(b)...),
			[]string{"1: STARTDT act", "1: STARTDT con", "1: C_SC_NA_1", "2: STARTDT act of 2", "2: STARTDT con of 2 active switched both_started", "2: C_SC_NA_1"}},
		{"switched after a reset", append(append(begin(a), step{b, testAct, 0}, step{a, testAct, flow.RST}), begin(b)...),
			[]string{"1: STARTDT act", "1: STARTDT con", "1: C_SC_NA_1", "2: TESTFR act of 2", "2: STARTDT act", "2: STARTDT con switched", "2: C_SC_NA_1"}},
		{"opened anew", append(append(begin(a), step{a, testAct, flow.RST}), begin(b)...),
			[]string{"1: STARTDT act", "1: STARTDT con", "1: C_SC_NA_1", "2: STARTDT act", "2: STARTDT con", "2: C_SC_NA_1"}},
		{"another master is another group", append(begin(a), begin(c)...),
			[]string{"1: STARTDT act", "1: STARTDT con", "1: C_SC_NA_1", "2: STARTDT act", "2: STARTDT con", "2: C_SC_NA_1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := &groupWords{}
			f := newFeeder(flow.Config{Protocols: []*protocols.Protocol{iec104.Protocol}}, got)
			next := map[string]*[2]uint32{}
			for _, s := range test.steps {
				client := netip.MustParseAddrPort(s.from)
				seq := next[s.from]
				if seq == nil {
					seq = &[2]uint32{1, 1}
					next[s.from] = seq
				}
				payload := []byte{0x68, 4, s.u, 0, 0, 0}
				dir := 0
				switch s.u {
				case 0: // a command is the first I frame of its connection
					payload = []byte{0x68, 14, 0, 0, 0, 0, 45, 1, 6, 3, 0x34, 0x12, 1, 0, 0, 1}
				case startCon, stopCon:
					dir = 1
				}
				from, to := client, station
				if dir == 1 {
					from, to = to, from
				}
				f.frame(tcpFrame(from, to, tcpHeader{seq: seq[dir], ack: seq[1-dir], flags: flow.ACK | s.flags}, payload))
				seq[dir] += uint32(len(payload))
			}
			f.table.Flush()
			if !slices.Equal(got.said, test.want) {
				t.Errorf("got  %q\nwant %q", got.said, test.want)
			}
			if n := f.table.Kins(); n != 0 {
				t.Errorf("%d groups are left", n)
			}
		})
	}
}
