package dnp3

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/roje-ot/roje/protocols"
)

const (
	fromMasterCtl     = ctlDir | ctlPrm | 4
	fromOutstationCtl = ctlPrm | 4
)

// linkFrame is a frame from src to dst.
func linkFrame(ctl byte, src, dst uint16, data ...byte) []byte {
	return seal([]byte{0x05, 0x64, 0, ctl, byte(dst), byte(dst >> 8), byte(src), byte(src >> 8)}, data)
}

// request is a fragment in one segment from master 1 to outstation 10.
func request(app ...byte) []byte {
	return linkFrame(fromMasterCtl, 1, 10, append([]byte{segFir | segFin}, app...)...)
}

// response is a fragment in one segment from outstation 10 to master 1.
func response(app ...byte) []byte {
	return linkFrame(fromOutstationCtl, 10, 1, append([]byte{segFir | segFin}, app...)...)
}

var (
	operate = request(0xc1, 4, 12, 1, 0x17, 1, 7, 3, 1, 100, 0, 0, 0, 200, 0, 0, 0, 0)
	read    = request(0xc2, 1, 60, 2, 6)
)

// segments is one fragment from outstation 10 to master 1 as frames of at most 249 application bytes each.
func segments(app []byte) (frames [][]byte) {
	seq := byte(62)
	for first := true; first || len(app) > 0; first = false {
		n := min(len(app), maxSegment-1)
		h := seq & segSeq
		if first {
			h |= segFir
		}
		if n == len(app) {
			h |= segFin
		}
		frames = append(frames, linkFrame(fromOutstationCtl, 10, 1, append([]byte{h}, app[:n]...)...))
		app, seq = app[n:], seq+1
	}
	return frames
}

// analogs is a response with n points of g30v4 (two bytes each): fits any length that a test asks for.
func analogs(n int) []byte {
	app := []byte{0xc1, 129, 0, 0, 30, 4, 1, 0, 0, byte(n - 1), byte((n - 1) >> 8)}
	for i := range n {
		app = append(app, byte(i), byte(i>>8))
	}
	return app
}

// A stretch is bytes that one end sent in one TCP segment.
type stretch struct {
	dir protocols.Dir
	b   []byte
}

// feed splits and decodes what was sent, as the flow layer does, and returns a copy of each message's essence.
func feed(d protocols.Decoder, sent ...stretch) (texts []string) {
	var held [2][]byte
	var m protocols.Message
	drain := func(dir protocols.Dir, last bool) {
		for {
			skip, n := d.Split(dir, held[dir], last)
			b := held[dir][skip : skip+n]
			if n > 0 && d.Decode(protocols.Frame{Dir: dir, Bytes: b}, &m) {
				texts = append(texts, string(m.AppendText(nil)))
			}
			held[dir] = held[dir][skip+n:]
			if n == 0 {
				return
			}
		}
	}
	for _, s := range sent {
		held[s.dir] = append(held[s.dir], s.b...)
		drain(s.dir, false)
	}
	drain(0, true)
	drain(1, true)
	return texts
}

// names are the fourth words of the texts that carry a function, and of those that do not.
func names(texts []string) (n []string) {
	for _, s := range texts {
		w := strings.Fields(s)
		i := slices.Index(w, "station")
		if i < 0 {
			n = append(n, w[2])
			continue
		}
		n = append(n, w[i+2])
	}
	return n
}

func wantNames(t *testing.T, got []string, want ...string) {
	t.Helper()
	if n := names(got); !slices.Equal(n, want) {
		t.Errorf("got %v, want %v\n%s", n, want, strings.Join(got, "\n"))
	}
}

func wantIn(t *testing.T, text, part string) {
	t.Helper()
	if !strings.Contains(text, part) {
		t.Errorf("%q is not in %s", part, text)
	}
}

// Zeek waits for 11 bytes and so takes one of the next frame, then drops the rest of the segment.
func TestPeerDefect01LinkOnlyFrameBeforeOperate(t *testing.T) {
	status := linkFrame(ctlDir|ctlPrm|9, 1, 10)
	all := slices.Concat(status, operate, status, read, status)
	wantNames(t, feed(newDecoder(protocols.Hint{}), stretch{1, all}),
		"REQUEST_LINK_STATUS", "OPERATE", "REQUEST_LINK_STATUS", "READ", "REQUEST_LINK_STATUS")
	two := segments(analogs(200))
	between := slices.Concat(two[0], linkFrame(ctlPrm|9, 10, 1), two[1])
	wantNames(t, feed(newDecoder(protocols.Hint{}), stretch{0, between}), "REQUEST_LINK_STATUS", "RESPONSE")
}

// Zeek ends the analysis of a connection at the first bad checksum.
func TestPeerDefect02BadChecksumThenGoodFrames(t *testing.T) {
	for at := range operate {
		bad := slices.Clone(operate)
		bad[at] ^= 0x10
		got := feed(newDecoder(protocols.Hint{}), stretch{1, slices.Concat(read, bad, operate, read)})
		if n := names(got); len(n) < 3 || n[0] != "READ" || !slices.Equal(n[len(n)-2:], []string{"OPERATE", "READ"}) {
			t.Errorf("byte %d broken: %v", at, n)
		}
		for _, s := range got[1 : len(got)-2] {
			wantIn(t, s, "FAULT=bad_checksum")
		}
		if at > 2 && len(got) != 4 {
			t.Errorf("byte %d broken: %d messages, want 4", at, len(got))
		}
	}
}

// Zeek takes the opener of the TCP connection for the master.
func TestPeerDefect03OutstationOpens(t *testing.T) {
	for _, hint := range []protocols.Hint{{}, {Known: true, Server: 0}, {Known: true, Server: 1}} {
		got := feed(newDecoder(hint), stretch{0, response(0xf0, 130, 0x90, 0)}, stretch{1, request(0xd0, 0)}, stretch{1, operate})
		wantNames(t, got, "UNSOLICITED_RESPONSE", "CONFIRM", "OPERATE")
		wantIn(t, got[0], "dnp3 < master 1 station 10")
		wantIn(t, got[2], "dnp3 > master 1 station 10")
	}
}

// Zeek reads the bodies of analog outputs and deadbands as object headers.
func TestPeerDefect04AnalogOutputsThenRead(t *testing.T) {
	sizes := []int{4, 2, 4, 8}
	for i, size := range sizes {
		app := append([]byte{0xc1, 4, 41, byte(i + 1), 0x17, 1, 7}, make([]byte, size+1)...)
		got := feed(newDecoder(protocols.Hint{}), stretch{1, slices.Concat(request(app...), request(0xc2, 2, 34, 1, 0x17, 1, 3, 9, 0), read)})
		wantNames(t, got, "OPERATE", "WRITE", "READ")
		wantIn(t, got[0], `{"kind":"analog_out","addr":7,"n":1,"value":0,"control_status":0}`)
		wantIn(t, got[1], `"addr":3,"n":1,"value":9`)
		for _, s := range got {
			if strings.Contains(s, "FAULT") {
				t.Errorf("a fault in %s", s)
			}
		}
	}
}

// Zeek's log has no link addresses, and ICSNPP drops unsolicited data and what stands behind unknown objects.
func TestPeerDefect05TwoOutstationsOnOneSocket(t *testing.T) {
	a, b := segments(analogs(200)), segments(analogs(201))
	for i := range b {
		b[i] = linkFrame(fromOutstationCtl, 11, 1, userData(b[i])...)
	}
	unsol := linkFrame(fromOutstationCtl, 11, 1, segFir|segFin, 0xf3, 130, 0, 0, 2, 1, 0x17, 1, 5, 0x81)
	got := feed(newDecoder(protocols.Hint{}), stretch{0, slices.Concat(a[0], b[0], a[1], b[1], unsol)})
	wantNames(t, got, "RESPONSE", "RESPONSE", "UNSOLICITED_RESPONSE")
	wantIn(t, got[0], "station 10")
	wantIn(t, got[0], `"addr":199`)
	wantIn(t, got[1], "station 11")
	wantIn(t, got[1], `"addr":200`)
	wantIn(t, got[2], `{"kind":"binary_in","addr":5,"n":1,"value":1,"quality":"online"}`)
}

// userData is what a frame carries, without checks.
func userData(b []byte) []byte {
	l, _ := headerAt(b)
	data, _ := l.userBytes(nil, b, false)
	return data
}

// ICSNPP names the control statuses 5, 6 and 7 wrongly and has none for 13 to 18.
func TestPeerDefect06ControlStatus(t *testing.T) {
	want := map[int]string{5: "already_active", 6: "hardware_error", 7: "local", 13: "downstream_local", 14: "already_complete", 15: "blocked",
		16: "canceled", 17: "blocked_other_master", 18: "downstream_fail", 19: "reserved", 126: "non_participating", 127: "undefined"}
	for code, word := range want {
		app := slices.Clone(userData(operate)[1:])
		app[len(app)-1] = byte(code)
		app = slices.Insert(app, 2, 0, 0)
		app[1] = 129
		wantIn(t, feed(newDecoder(protocols.Hint{}), stretch{0, response(app...)})[0], "control_"+word)
	}
}

// Suricata wants at least 10 in LEN of every frame with user data, and stops at a legal last segment of 1 to 3 bytes.
func TestPeerDefect09LastSegmentOfOneByte(t *testing.T) {
	for tail := 1; tail <= 4; tail++ {
		app := []byte{0xc1, 129, 0, 0}
		for _, n := range []int{240, 2*(maxSegment-1) + tail - 4 - 250} { // two octet strings fill the fragment up to the byte
			app = append(append(app, 110, byte(n), 0, 0, 0), make([]byte, n)...)
		}
		frames := segments(app)
		if last := userData(frames[len(frames)-1]); len(frames) != 3 || len(last) != 1+tail {
			t.Fatalf("%d frames, %d bytes in the last", len(frames), len(last))
		}
		got := feed(newDecoder(protocols.Hint{}), stretch{0, slices.Concat(slices.Concat(frames...), response(0xc2, 129, 0, 0))})
		wantNames(t, got, "RESPONSE", "RESPONSE")
		wantIn(t, got[0], `"headers":2`)
	}
	app := analogs(244) // 11 + 488 = 2 × 249 + 1
	if frames := segments(app); len(frames) != 3 || len(userData(frames[2])) != 2 {
		t.Fatalf("%d frames", len(frames))
	}
	got := feed(newDecoder(protocols.Hint{}), stretch{0, slices.Concat(segments(app)...)})
	wantNames(t, got, "RESPONSE")
	wantIn(t, got[0], `{"kind":"analog_in","addr":243,"n":1,"value":243}`)
}

// Suricata ignores CONFIRM and link functions, has no UDP, and never joins requests and responses.
func TestPeerDefect10ConfirmAndDatagrams(t *testing.T) {
	d := newDecoder(protocols.Hint{Datagram: true})
	var m protocols.Message
	steps := []struct {
		dir  protocols.Dir
		b    []byte
		turn protocols.Turn
		rtt  int64
	}{
		{1, read, protocols.Request, 0},
		{0, response(0xe2, 129, 0, 0), protocols.Response, 1e9},
		{1, request(0xc2, 0), protocols.Response, 1e9},
		{1, request(0xc2, 0), protocols.Unpaired, 0},
		{0, response(0xf7, 130, 0, 0), protocols.Unsolicited, 0},
		{1, request(0xc7, 0), protocols.Unpaired, 0}, // confirms a solicited 7, which nobody sent
		{1, request(0xd7, 0), protocols.Response, 2e9},
	}
	for i, s := range steps {
		skip, n := d.Split(s.dir, s.b, true)
		if skip != 0 || n != len(s.b) || !d.Decode(protocols.Frame{Dir: s.dir, At: int64(i) * 1e9, Bytes: s.b}, &m) {
			t.Fatalf("step %d: no message", i)
		}
		if m.Turn != s.turn || m.RTT != s.rtt {
			t.Errorf("step %d: %v after %d ns, want %v after %d", i, m.Turn, m.RTT, s.turn, s.rtt)
		}
	}
}

// Snort calls function 131 reserved in every answer of secure authentication.
func TestPeerDefect11AuthenticationIsQuiet(t *testing.T) {
	_, vs := vectors(t, "testdata/auth.txt")
	for _, v := range vs {
		for _, s := range decodeAll(newDecoder(protocols.Hint{}), v.frames) {
			if strings.Contains(s, "FAULT") || strings.Contains(s, "unknown") {
				t.Errorf("%s: %s", v.title, s)
			}
		}
	}
}

// Snort swaps the bytes of link addresses before it looks for reserved ones.
func TestPeerDefect12ReservedAddresses(t *testing.T) {
	for dst, bad := range map[uint16]bool{0xf0ff: false, 0xffef: false, 0xfff0: true, 0xfffb: true, 0xfffc: false, 0xfffd: false, 0xffff: false, 0xfbff: false} {
		got := feed(newDecoder(protocols.Hint{}), stretch{1, linkFrame(ctlDir|ctlPrm|9, 1, dst)})
		if has := strings.Contains(got[0], "bad_address"); has != bad {
			t.Errorf("%04x: %s", dst, got[0])
		}
		wantIn(t, got[0], fmt.Sprintf("station %d ", dst))
	}
}

// Arkime reads a function code out of every frame, continuation segments too.
func TestPeerDefect14ContinuationSegment(t *testing.T) {
	app := analogs(500)
	for i := 11; i < len(app); i++ {
		app[i] = byte(i % 34) // every byte could be a function
	}
	wantNames(t, feed(newDecoder(protocols.Hint{}), stretch{0, slices.Concat(segments(app)...)}), "RESPONSE")
}

// Quickdraw's rules look at fixed offsets, which checks and segments shift.
func TestPeerDefect16CommandInSecondBlock(t *testing.T) {
	app := []byte{0xc1, 4}
	for i := range byte(30) { // the last of these stands behind two segments of checks
		app = append(app, 12, 1, 0x17, 1, i, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	}
	var frames []byte
	for i, f := range segments(app) {
		data := userData(f)
		data[0] = data[0]&^segSeq | byte(i)
		frames = append(frames, linkFrame(fromMasterCtl, 1, 10, data...)...)
	}
	got := feed(newDecoder(protocols.Hint{}), stretch{1, frames})
	wantNames(t, got, "OPERATE")
	wantIn(t, got[0], `{"kind":"binary_out","addr":29,"n":1,"value":0,"control":4`)
}
