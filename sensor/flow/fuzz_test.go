package flow_test

import (
	"encoding/binary"
	"testing"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/protocols/catalog"
	"github.com/roje-ot/roje/sensor/capture"
	"github.com/roje-ot/roje/sensor/flow"
)

// checkLaws fails t where the account of a Table, which must be flushed, has a hole.
func checkLaws(t *testing.T, table *flow.Table, got *recorder, packets int) {
	t.Helper()
	v := table.Coverage()
	sum := uint64(0)
	for _, n := range v.Buckets {
		sum += n
	}
	open, held := table.Conns()
	if v.Packets != uint64(packets) || sum != v.Packets || open != 0 || held != 0 || v.Connections != uint64(len(got.closed)) {
		t.Errorf("%d packets given, %d taken, %d in buckets %v; %d connections, %d closed, %d open, %d bytes held", packets, v.Packets, sum, v.Buckets, v.Connections, len(got.closed), open, held)
	}
	if len(got.lawless) > 0 {
		t.Error(got.lawless)
	}
}

// FuzzLayers: any bytes on any link layer are survived, and in one bucket.
func FuzzLayers(f *testing.F) {
	f.Add(uint16(1), tcpFrame(alice, bob, tcpHeader{seq: 1, flags: flow.PSH}, framed("hi")))
	f.Add(uint16(1), udpFrame(alice6, bob6, framed("hi")))
	f.Add(uint16(1), ether(0x8847, []byte{0, 2, 1, 64, 0, 0, 0, 0}))
	f.Add(uint16(113), make([]byte, 60))
	f.Add(uint16(239), []byte{2, 0, 0, 1, 4, 0, 9, 0})
	f.Fuzz(func(t *testing.T, link uint16, b []byte) {
		var got recorder
		table := flow.New(flow.Config{Protocols: []*protocols.Protocol{fake}}, &got)
		p := capture.Packet{Link: capture.LinkType(link), Data: b, OrigLen: len(b)}
		for i := range 3 { // the same again is a repetition, cut short is another packet
			p.At = int64(i) * 1e9
			p.Data = b[:len(b)-len(b)*(i/2)/3]
			table.Packet(&p)
		}
		table.Flush()
		checkLaws(t, table, &got, 3)
	})
}

// FuzzStream reads its input as the segments of one session: what the network may do to it, done on purpose. Six bytes
// are flags, direction, sequence number, acknowledgement, and payload length; the payload follows.
func FuzzStream(f *testing.F) {
	f.Add(uint16(7000), []byte("\x18\x00\x00\x00\x00\x06"+string(framed("hi"))+"\x18\x00\x00\x06\x00\x06"+string(framed("yo"))))
	f.Add(uint16(502), []byte("\x18\x00\x00\x00\x00\x0c\x00\x01\x00\x00\x00\x06\x01\x03\x00\x00\x00\x01"))
	f.Add(uint16(2404), []byte("\x18\x00\x00\x00\x00\x06\x68\x04\x07\x00\x00\x00\x18\x01\x00\x00\x06\x06\x68\x04\x0b\x00\x00\x00"))
	f.Add(uint16(20000), []byte("\x18\x00\x00\x00\x00\x0a\x05\x64\x05\xc9\x01\x00\x02\x00\x00\x00"))
	f.Add(uint16(443), []byte("\x18\x00\x00\x00\x00\x0b\x16\x03\x01\x00\x06\x01\x00\x00\x02\x03\x03"))
	all := append([]*protocols.Protocol{fake}, catalog.All...)
	f.Fuzz(func(t *testing.T, port uint16, b []byte) {
		var got recorder
		var work counts
		watched := make([]*protocols.Protocol, len(all))
		for i, p := range all {
			watched[i] = counting(p, &work)
		}
		table := flow.New(flow.Config{Protocols: watched}, &got)
		var next [2]uint32
		packets := 0
		server := bob
		for ; len(b) >= 6 && packets < 200; packets++ {
			dir := b[1] & 1
			h := tcpHeader{flags: flow.TCPFlags(b[0]), seq: next[dir] + uint32(int32(int8(b[2])))<<(b[1]>>3&24) + uint32(b[3]), ack: next[1-dir] - uint32(int32(int8(b[4])))}
			n := min(int(b[5]), len(b)-6)
			from, to := alice, server
			if dir == 1 {
				from, to = to, from
			}
			frame := tcpFrame(from, to, h, b[6:6+n])
			binary.BigEndian.PutUint16(frame[36-2*int(dir):], port)
			cut := 0
			if b[1]&2 != 0 {
				cut = min(n, int(b[1]>>2))
			}
			p := capture.Packet{At: int64(packets) * 1e8, Frame: uint64(packets + 1), Link: capture.Ethernet, Data: frame[:len(frame)-cut], OrigLen: len(frame)}
			table.Packet(&p)
			next[dir] += uint32(n)
			b = b[6+n:]
		}
		table.Flush()
		checkLaws(t, table, &got, packets)
		work.check(t, "any", packets, len(all))
	})
}
