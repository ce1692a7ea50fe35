package evidence

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"io"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/roje-ot/roje/rules"
	"github.com/roje-ot/roje/sensor/capture"
	"github.com/roje-ot/roje/testdata/need"
)

// used is the memory in use after a collection.
func used() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestDeskFlood commands, floods a desk with a million spoofed flows, of which every thousandth raises an alert too, and
// raises the alert about the command after that: its evidence has the command's frames, all of them, and the desk has not
// grown beyond its cap.
func TestDeskFlood(t *testing.T) {
	need.Long(t)
	const most = 128 << 20
	before := used()
	written := map[string]*rules.Alert{}
	dir := t.TempDir()
	d, err := NewDesk(Options{Dir: dir, Key: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize)), Budget: 16 << 20,
		Ready: func(a *rules.Alert) { written[a.ID] = a }})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixNano()
	for i := range 60 {
		d.Packet(packet(0x0a000001, 0x0a000002, at+int64(i), 60))
		if i == 30 {
			d.ring.Mark(d.current) // as Event does for a command
		}
	}
	p := packet(0, 0x0a000002, 0, 60)
	highest := int64(0)
	for i := range uint32(1_000_000) {
		binary.BigEndian.PutUint32(p.Data[26:], 0xc0000000+i)
		p.At = at + int64(i)*int64(10*time.Microsecond)
		d.Packet(p)
		if i%1000 == 0 {
			d.Alert(&rules.Alert{ID: "flood-" + string(rune('a'+i/1000%26)) + string(rune('a'+i/26000%26)) + string(rune('a'+i/1000/26%26)), Client: "192.0.0.1", Server: "10.0.0.2"})
		}
		if i%200_000 == 199_999 {
			highest = max(highest, used()-before)
		}
	}
	if highest > most {
		t.Errorf("%d bytes in use", highest)
	}
	d.Alert(&rules.Alert{ID: "command", Client: "10.0.0.1", Server: "10.0.0.2", Title: "a command"})
	d.Tick(p.At + int64(time.Minute))
	if err := d.Flush(); err != nil {
		t.Fatal(err)
	}
	a := written["command"]
	if a == nil || a.Evidence == nil {
		t.Fatal("the command has no evidence")
	}
	f, err := capture.Open(filepath.Join(dir, a.Evidence.File))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n := 0
	for ; ; n++ {
		var got capture.Packet
		if err := f.Next(&got); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if got.At != at+int64(n) {
			t.Fatalf("frame %d is of %d", n, got.At-at)
		}
	}
	if n != 60 {
		t.Errorf("%d frames, want 60", n)
	}
	runtime.KeepAlive(d)
	t.Logf("at most %.1f MB in use; %d alerts have evidence", float64(highest)/1e6, len(written))
}
