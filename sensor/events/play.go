package events

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/roje-ot/roje/protocols"
	"github.com/roje-ot/roje/rules"
)

// A Report says what was read of a folder.
type Report struct {
	Segments int
	Blocks   int
	Events   int
	Unknown  int      // events of protocols that this program does not know
	Skipped  []string // what could not be read, in words
}

// Play calls each with every event of a folder, oldest segment first, in the order in which they were taken. An event is
// valid during the call. What is torn or damaged is skipped and said in the report. A store may be writing to the folder
// meanwhile.
func Play(ctx context.Context, dir string, protos []*protocols.Protocol, each func(*rules.Event)) (*Report, error) {
	segments, err := list(dir)
	if err != nil {
		return nil, fmt.Errorf("events: %w", err)
	}
	if len(segments) == 0 {
		return nil, fmt.Errorf("events: %s holds none: no file %s", dir, segmentName(1))
	}
	r := &Report{}
	for _, s := range segments {
		b, err := os.ReadFile(s.path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // dropped meanwhile
		}
		if err != nil {
			return r, fmt.Errorf("events: %w", err)
		}
		r.Segments++
		r.segment(ctx, filepath.Base(s.path), b, protos, each)
		if ctx.Err() != nil {
			return r, ctx.Err()
		}
	}
	return r, nil
}

func (r *Report) skip(name, format string, args ...any) {
	const most = 100
	if len(r.Skipped) < most {
		r.Skipped = append(r.Skipped, name+": "+fmt.Sprintf(format, args...))
	}
}

// segment reads one file.
func (r *Report) segment(ctx context.Context, name string, b []byte, protos []*protocols.Protocol, each func(*rules.Event)) {
	h, at, err := readHead(bytes.NewReader(b))
	if err != nil {
		r.skip(name, "%v", err)
		return
	}
	stands := standsFor(protos, h)
	for at < int64(len(b)) && ctx.Err() == nil {
		rest := b[at:]
		i, ok := readInfo(rest)
		end := blockHead + int(i.packed)
		if !ok || end > len(rest) || crc32.Update(crc32.Checksum(rest[:blockHead-4], castagnoli), castagnoli, rest[blockHead:end]) != i.crc {
			next := bytes.Index(rest[1:], []byte(blockMagic)) + 1
			if next == 0 {
				r.skip(name, "the last block is torn or damaged: %d bytes at byte %d", len(rest), at)
				return
			}
			r.skip(name, "a damaged block: %d bytes at byte %d", next, at)
			at += int64(next)
			continue
		}
		at += int64(end)
		rows, err := decoder1().DecodeAll(rest[blockHead:end], make([]byte, 0, i.raw))
		if err != nil || len(rows) != int(i.raw) {
			r.skip(name, "a block that does not unpack, before byte %d", at)
			continue
		}
		n, unknown, err := (&decoder{names: h, stands: stands}).each(rows, each)
		r.Blocks++
		r.Events += n
		r.Unknown += unknown
		if err != nil {
			r.skip(name, "before byte %d: %v after %d events", at, err, n+unknown)
		}
	}
}
