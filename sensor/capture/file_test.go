package capture

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// record is a packet as a test writes it and wants it back.
type record struct {
	at    int64
	data  string
	orig  int
	link  LinkType
	iface int
}

var twoRecords = []record{{at: 1_600_000_000_123_456_000, data: "one", orig: 3, link: Ethernet}, {at: 1_600_000_001_000_001_000, data: "two, cut", orig: 99, link: Ethernet}}

// writePcap makes a classic capture file.
func writePcap(order binary.AppendByteOrder, magic uint32, minor uint16, link uint32, records []record) []byte {
	b := order.AppendUint32(nil, magic)
	b = order.AppendUint16(b, 2)
	b = order.AppendUint16(b, minor)
	b = append(b, make([]byte, 8)...)
	b = order.AppendUint32(b, 0) // a snapshot length of 0 is no limit
	b = order.AppendUint32(b, link)
	unit := int64(1000)
	if magic == 0xa1b23c4d {
		unit = 1
	}
	for _, r := range records {
		b = order.AppendUint32(b, uint32(r.at/1e9))
		b = order.AppendUint32(b, uint32(r.at%1e9/unit))
		lengths := [2]uint32{uint32(len(r.data)), uint32(r.orig)}
		if minor < 3 {
			lengths[0], lengths[1] = lengths[1], lengths[0]
		}
		b = order.AppendUint32(b, lengths[0])
		b = order.AppendUint32(b, lengths[1])
		if magic == 0xa1b2cd34 {
			b = append(b, make([]byte, 8)...)
		}
		b = append(b, r.data...)
	}
	return b
}

// block makes a pcapng block.
func block(order binary.AppendByteOrder, kind uint32, body []byte) []byte {
	body = append(body, make([]byte, -len(body)&3)...)
	b := order.AppendUint32(nil, kind)
	b = order.AppendUint32(b, uint32(len(body)+12))
	b = append(b, body...)
	return order.AppendUint32(b, uint32(len(body)+12))
}

func sectionBlock(order binary.AppendByteOrder) []byte {
	body := order.AppendUint32(nil, byteOrderMagic)
	body = order.AppendUint16(body, 1)
	body = order.AppendUint16(body, 0)
	return block(order, blockSection, append(body, bytes.Repeat([]byte{0xff}, 8)...))
}

// ifaceBlock describes an interface; options are made by option.
func ifaceBlock(order binary.AppendByteOrder, link LinkType, snaplen uint32, options ...[]byte) []byte {
	body := order.AppendUint16(nil, uint16(link))
	body = order.AppendUint16(body, 0)
	body = order.AppendUint32(body, snaplen)
	return block(order, blockInterface, append(body, bytes.Join(options, nil)...))
}

func option(order binary.AppendByteOrder, code uint16, value []byte) []byte {
	b := order.AppendUint16(nil, code)
	b = order.AppendUint16(b, uint16(len(value)))
	b = append(b, value...)
	return append(b, make([]byte, -len(value)&3)...)
}

func packetBlock(order binary.AppendByteOrder, iface uint32, stamp uint64, orig int, data string) []byte {
	body := order.AppendUint32(nil, iface)
	body = order.AppendUint32(body, uint32(stamp>>32))
	body = order.AppendUint32(body, uint32(stamp))
	body = order.AppendUint32(body, uint32(len(data)))
	body = order.AppendUint32(body, uint32(orig))
	return block(order, blockPacket, append(body, data...))
}

func simpleBlock(order binary.AppendByteOrder, orig int, data string) []byte {
	return block(order, blockSimple, append(order.AppendUint32(nil, uint32(orig)), data...))
}

func oldBlock(order binary.AppendByteOrder, iface uint16, stamp uint64, orig int, data string) []byte {
	body := order.AppendUint16(nil, iface)
	body = order.AppendUint16(body, 7) // drops
	return block(order, blockOldPacket, append(append(body, packetBlock(order, 0, stamp, orig, data)[12:28]...), data...))
}

func zipped(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

// readAll reads a capture to its end.
func readAll(t *testing.T, b []byte) (records []record, err error) {
	t.Helper()
	f, err := NewFile("x.pcap", bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	var p Packet
	for err = f.Next(&p); err == nil; err = f.Next(&p) {
		records = append(records, record{p.At, string(p.Data), p.OrigLen, p.Link, p.Iface})
		if p.Frame != uint64(len(records)) {
			t.Errorf("packet %d has number %d", len(records), p.Frame)
		}
	}
	if again := f.Next(&p); again != err {
		t.Errorf("after %v comes %v", err, again)
	}
	return records, err
}

// TestFormats: every form of capture file gives its packets.
func TestFormats(t *testing.T) {
	le, be := binary.AppendByteOrder(binary.LittleEndian), binary.AppendByteOrder(binary.BigEndian)
	fine := []record{{at: 1_600_000_000_123_456_789, data: "one", orig: 3, link: Ethernet}}
	ng := func(order binary.AppendByteOrder) []byte {
		return bytes.Join([][]byte{
			sectionBlock(order),
			ifaceBlock(order, Ethernet, 0),
			ifaceBlock(order, SLL, 4, option(order, 2, []byte("eth1")), option(order, 9, []byte{9})),
			ifaceBlock(order, RawIP, 0, option(order, 9, []byte{0x80 | 10}), option(order, 14, order.AppendUint64(nil, 100))),
			block(order, 10, []byte("secrets")),
			packetBlock(order, 0, 1_600_000_000_123_456, 3, "one"),
			packetBlock(order, 1, 1_600_000_000_123_456_789, 8, "two"),
			packetBlock(order, 2, 5<<10|512, 5, "three"),
			oldBlock(order, 1, 42, 4, "four"),
			simpleBlock(order, 4, "five"),
			sectionBlock(be),
			ifaceBlock(be, PPP, 3),
			simpleBlock(be, 9, "six"),
		}, nil)
	}
	ngWant := []record{{1_600_000_000_123_456_000, "one", 3, Ethernet, 0}, {1_600_000_000_123_456_789, "two", 8, SLL, 1}, {105_500_000_000, "three", 5, RawIP, 2},
		{42, "four", 4, SLL, 1}, {42, "five", 4, Ethernet, 0}, {42, "six", 9, PPP, 0}}
	cases := []struct {
		name string
		file []byte
		want []record
	}{
		{"little endian", writePcap(le, 0xa1b2c3d4, 4, 1, twoRecords), twoRecords},
		{"big endian", writePcap(be, 0xa1b2c3d4, 4, 1, twoRecords), twoRecords},
		{"nanoseconds", writePcap(le, 0xa1b23c4d, 4, 1, fine), fine},
		{"nanoseconds, big endian", writePcap(be, 0xa1b23c4d, 4, 1, fine), fine},
		{"modified", writePcap(le, 0xa1b2cd34, 4, 1, twoRecords), twoRecords},
		{"version 2.2", writePcap(be, 0xa1b2c3d4, 2, 1, twoRecords), twoRecords},
		{"checksum bits in the link type", writePcap(le, 0xa1b2c3d4, 4, 0xf400_0001, twoRecords), twoRecords},
		{"no packets", writePcap(le, 0xa1b2c3d4, 4, 1, nil), nil},
		{"gzip", zipped(writePcap(le, 0xa1b2c3d4, 4, 1, twoRecords)), twoRecords},
		{"pcapng", ng(le), ngWant},
		{"pcapng, big endian", ng(be), ngWant},
		{"pcapng, gzip", zipped(ng(le)), ngWant},
	}
	for _, c := range cases {
		got, err := readAll(t, c.file)
		if err != io.EOF || fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s:\ngot  %+v, %v\nwant %+v", c.name, got, err, c.want)
		}
	}
}

// TestLongRecord: a frame longer than the buffer comes whole.
func TestLongRecord(t *testing.T) {
	long := strings.Repeat("0123456789", bufferSize/5)
	want := []record{{at: 1e18, data: "x", orig: 1, link: Ethernet}, {at: 1e18, data: long, orig: len(long), link: Ethernet}, {at: 1e18, data: "y", orig: 1, link: Ethernet}}
	got, err := readAll(t, writePcap(binary.BigEndian, 0xa1b2c3d4, 4, 1, want))
	if err != io.EOF || len(got) != 3 || got[1].data != long || got[2].data != "y" {
		t.Errorf("got %d records, %v", len(got), err)
	}
}

// TestDamage: what comes before the damage is read, and the error says where it is.
func TestDamage(t *testing.T) {
	le := binary.AppendByteOrder(binary.LittleEndian)
	pcap := writePcap(le, 0xa1b2c3d4, 4, 1, twoRecords)
	huge := writePcap(le, 0xa1b2c3d4, 4, 1, twoRecords)
	le.AppendUint32(huge[24+16+3:24+16+3+8], 0x7fff_ffff)
	ng := bytes.Join([][]byte{sectionBlock(le), ifaceBlock(le, Ethernet, 0), packetBlock(le, 0, 1, 3, "one")}, nil)
	crossed := bytes.Clone(ng)
	crossed[len(crossed)-1] = 9
	cases := []struct {
		name    string
		file    []byte
		packets int
		want    string
	}{
		{"cut in a frame", pcap[:len(pcap)-1], 1, "x.pcap: damaged at byte 43, behind packet 1: a record claims 8 bytes, and 7 are there"},
		{"cut in a header", pcap[:50], 1, "x.pcap: damaged at byte 43, behind packet 1: it ends inside a record header"},
		{"huge", huge, 1, "x.pcap: damaged at byte 43, behind packet 1: a record claims 2147483647 bytes"},
		{"cut gzip", zipped(pcap)[:45], 1, "x.pcap: damaged at byte 43, behind packet 1: it ends inside a record header"},
		{"pcapng, cut in a block", ng[:len(ng)-9], 0, "x.pcap: damaged at byte 48, behind packet 0: a block claims 36 bytes, and 27 are there"},
		{"pcapng, cut in a block header", append(bytes.Clone(ng), 6, 0, 0), 1, "x.pcap: damaged at byte 84, behind packet 1: it ends inside a block header"},
		{"pcapng, lengths differ", crossed, 0, "x.pcap: damaged at byte 48, behind packet 0: a block claims 36 bytes at its start and 150994980 at its end"},
		{"pcapng, length 5", append(bytes.Clone(ng), 6, 0, 0, 0, 5, 0, 0, 0), 1, "x.pcap: damaged at byte 84, behind packet 1: a block claims 5 bytes"},
		{"pcapng, no such interface", append(bytes.Clone(ng), packetBlock(le, 3, 1, 1, "x")...), 1, "x.pcap: damaged at byte 84, behind packet 1: a packet of interface 3, and 1 are described"},
	}
	for _, c := range cases {
		got, err := readAll(t, c.file)
		var damage *Damage
		if !errors.As(err, &damage) || err.Error() != c.want || len(got) != c.packets {
			t.Errorf("%s:\ngot  %d packets, %v\nwant %d packets, %s", c.name, len(got), err, c.packets, c.want)
		}
	}
}

// TestOpenRefuses: what is no capture is refused by its content, in one clear sentence.
func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	cases := []struct{ name, content, want string }{
		{"text.pcap", "This is not a capture.\n", "not a capture file: it starts with 54 68 69 73, which is neither pcap nor pcapng"},
		{"empty.pcap", "", "not a capture file: it is empty"},
		{"short.pcap", "ab", "not a capture file: it ends inside its header"},
		{"header.pcap", "\xd4\xc3\xb2\xa1\x02\x00", "not a capture file: it ends inside its header"},
		{"version.pcap", "\xd4\xc3\xb2\xa1\x07\x00\x04\x00" + strings.Repeat("\x00", 16), "not a capture file that is understood: pcap version 7.4"},
		{"section.pcapng", "\n\r\r\n" + strings.Repeat("\x00", 24), "not a capture file: pcapng: a section header without the byte order mark"},
		{"text.pcap.gz", string(zipped([]byte("This is not a capture.\n"))), "not a capture file: it starts with 54 68 69 73, which is neither pcap nor pcapng"},
		{"bad.gz", "\x1f\x8bxxxxxxxxxxxxxxxx", "not a capture file: gzip: gzip: invalid header"},
	}
	for _, c := range cases {
		path := filepath.Join(dir, c.name)
		if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := Open(path)
		if err == nil {
			f.Close()
		}
		if want := path + ": " + c.want; err == nil || err.Error() != want {
			t.Errorf("%s:\ngot  %v\nwant %s", c.name, err, want)
		}
	}
	if _, err := Open(filepath.Join(dir, "absent.pcap")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("absent file: %v", err)
	}
}

// FuzzFile: any bytes are read to an end or to a clear error, and no claimed length costs memory.
func FuzzFile(f *testing.F) {
	le := binary.AppendByteOrder(binary.LittleEndian)
	f.Add(writePcap(le, 0xa1b2c3d4, 4, 1, twoRecords))
	f.Add(writePcap(binary.BigEndian, 0xa1b2cd34, 2, 1, twoRecords))
	f.Add(bytes.Join([][]byte{sectionBlock(le), ifaceBlock(le, Ethernet, 0, option(le, 9, []byte{0x8a})), packetBlock(le, 0, 1, 3, "one"), simpleBlock(le, 3, "two")}, nil))
	f.Add(zipped(writePcap(le, 0xa1b2c3d4, 4, 1, nil)))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := NewFile("x", bytes.NewReader(b))
		if err != nil {
			return
		}
		var p Packet
		total, n := 0, uint64(0)
		for err = file.Next(&p); err == nil; err = file.Next(&p) {
			total += len(p.Data)
			n++
			if p.Frame != n || p.OrigLen < len(p.Data) || p.At < 0 {
				t.Fatalf("packet %d: %d, %d of %d bytes, at %d", n, p.Frame, len(p.Data), p.OrigLen, p.At)
			}
		}
		var damage *Damage
		if err != io.EOF && !errors.As(err, &damage) {
			t.Errorf("it ends with %v", err)
		}
		if len(b) > 2 && b[0] != 0x1f && total > len(b) {
			t.Errorf("%d bytes of packets out of %d", total, len(b))
		}
		if room := cap(file.long); room > bufferSize && room > 4*len(b) {
			t.Errorf("%d bytes held for a file of %d", room, len(b))
		}
	})
}
