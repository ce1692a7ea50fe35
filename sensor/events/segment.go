package events

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

const (
	segmentMagic = "RJES"
	blockMagic   = "RJEB"
	version      = 1
	maxHead      = 1 << 20
	blockHead    = 4 + 4 + 4 + 4 + 8 + 8 + 4
	maxRaw       = 1 << 20 // bytes of a block's rows
	extension    = ".rje"
	prefix       = "events-"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A head says how to read a segment.
type head struct {
	Protocols map[string][]string `json:"protocols"` // names of the fields of each protocol's object, in the order of rows
	Facts     []string            `json:"facts"`     // and of what the baseline knows, with their kinds
	Act       []string            `json:"act"`       // and of a control action that is over
}

func headOf(protos []*protocols.Protocol) head {
	h := head{Protocols: map[string][]string{}, Facts: fieldsOf(reflect.TypeFor[rules.Facts]()), Act: fieldsOf(reflect.TypeFor[rules.Act]())}
	for _, p := range protos {
		names := []string{}
		for i := range p.Field {
			names = append(names, p.Field[i].Name)
		}
		h.Protocols[p.Name] = names
	}
	return h
}

// appendHead appends what a segment begins with.
func appendHead(dst []byte, h head) []byte {
	text, _ := json.Marshal(h) // only texts
	at := len(dst)
	dst = append(append(dst, segmentMagic...), version)
	dst = append(binary.LittleEndian.AppendUint32(dst, uint32(len(text))), text...)
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[at:], castagnoli))
}

// readHead reads what a segment begins with, and its length.
func readHead(f io.ReaderAt) (h head, n int64, err error) {
	var start [9]byte
	if _, err := f.ReadAt(start[:], 0); err != nil {
		return h, 0, errors.New("its head is cut short")
	}
	size := binary.LittleEndian.Uint32(start[5:])
	switch {
	case string(start[:4]) != segmentMagic:
		return h, 0, errors.New("it is no segment of events")
	case start[4] != version:
		return h, 0, fmt.Errorf("it has version %d; this program reads %d", start[4], version)
	case size > maxHead:
		return h, 0, fmt.Errorf("a head of %d bytes", size)
	}
	b := make([]byte, len(start)+int(size)+4)
	if _, err := f.ReadAt(b, 0); err != nil {
		return h, 0, errors.New("its head is cut short")
	}
	text := b[:len(b)-4]
	if crc32.Checksum(text, castagnoli) != binary.LittleEndian.Uint32(b[len(text):]) {
		return h, 0, errors.New("its head is damaged")
	}
	if err := json.Unmarshal(text[len(start):], &h); err != nil {
		return h, 0, fmt.Errorf("its head: %w", err)
	}
	return h, int64(len(b)), nil
}

// A blockInfo is the head of a block.
type blockInfo struct {
	raw, packed, events uint32
	first, last         int64 // packet times
	crc                 uint32
}

func (i *blockInfo) append(dst []byte) []byte {
	dst = append(dst, blockMagic...)
	for _, v := range [...]uint32{i.raw, i.packed, i.events} {
		dst = binary.LittleEndian.AppendUint32(dst, v)
	}
	dst = binary.LittleEndian.AppendUint64(dst, uint64(i.first))
	return binary.LittleEndian.AppendUint64(dst, uint64(i.last))
}

// appendBlock appends a block with these rows.
func appendBlock(dst []byte, rows []byte, i blockInfo) []byte {
	at := len(dst)
	i.raw = uint32(len(rows))
	dst = append(dst, make([]byte, blockHead)...)
	dst = encoder1().EncodeAll(rows, dst)
	i.packed = uint32(len(dst) - at - blockHead)
	start := i.append(dst[at:at])
	sum := crc32.Update(crc32.Checksum(start, castagnoli), castagnoli, dst[at+blockHead:])
	binary.LittleEndian.PutUint32(dst[at+blockHead-4:], sum)
	return dst
}

// readInfo reads the head of a block; false if there is none.
func readInfo(b []byte) (i blockInfo, ok bool) {
	if len(b) < blockHead || string(b[:4]) != blockMagic {
		return i, false
	}
	u32 := func(at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }
	i = blockInfo{raw: u32(4), packed: u32(8), events: u32(12), first: int64(binary.LittleEndian.Uint64(b[16:])), last: int64(binary.LittleEndian.Uint64(b[24:])), crc: u32(32)}
	return i, i.raw <= maxRaw && i.packed <= 2*maxRaw
}

var encoder1 = sync.OnceValue(func() *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false), zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithWindowSize(256<<10))
	if err != nil {
		panic(err) // only a wrong constant option can fail
	}
	return e
})

var decoder1 = sync.OnceValue(func() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxRaw))
	if err != nil {
		panic(err) // only a wrong constant option can fail
	}
	return d
})

// A segment is one file of a folder.
type segment struct {
	path        string
	number      uint64
	size        int64
	first, last int64 // packet times, 0 where it has no whole block
}

// list returns the segments of a folder, oldest first. Other files are not looked at.
func list(dir string) ([]segment, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var all []segment
	for _, e := range entries {
		word, ok := strings.CutPrefix(e.Name(), prefix)
		word, whole := strings.CutSuffix(word, extension)
		if !ok || !whole {
			continue
		}
		number, err := strconv.ParseUint(word, 10, 63)
		if err != nil {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, os.ErrNotExist) {
			continue // dropped meanwhile
		}
		if err != nil {
			return nil, err
		}
		all = append(all, segment{path: filepath.Join(dir, e.Name()), number: number, size: info.Size()})
	}
	slices.SortFunc(all, func(a, b segment) int {
		if a.number < b.number {
			return -1
		}
		return 1
	})
	return all, nil
}

func segmentName(number uint64) string { return fmt.Sprintf("%s%09d%s", prefix, number, extension) }

// span finds the times of s from the heads of its blocks, without unpacking them.
func (s *segment) span() error {
	f, err := os.Open(s.path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, at, err := readHead(f)
	if err != nil {
		return nil // nothing in it can be read; Play says so
	}
	for b := make([]byte, blockHead); ; {
		if _, err := f.ReadAt(b, at); err != nil {
			return nil
		}
		i, ok := readInfo(b)
		if at += blockHead + int64(i.packed); !ok || at > s.size {
			return nil
		}
		s.note(i.first, i.last)
	}
}

// note takes the times of a block into account.
func (s *segment) note(first, last int64) {
	if s.first == 0 || first < s.first {
		s.first = first
	}
	s.last = max(s.last, last)
}
